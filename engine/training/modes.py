"""What a model is switched to for one pass, and back from whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import mlx.nn as nn
from mlx_lm.tuner.trainer import grad_checkpoint


@contextmanager
def as_while_training(model: nn.Module) -> Iterator[None]:
    """Compute as the policy does while it is trained, but for dropout.

    On a GPU some layers (gated delta nets) have one kernel for training and another for
    the rest, which agree only up to rounding: the first margins would not be 0.
    """
    model.train()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    try:
        yield
    finally:
        model.eval()


@contextmanager
def checkpointed(model: nn.Module, wanted: bool) -> Iterator[None]:
    """Gradient checkpointing for this block only.

    mlx-lm's function patches the layers' class for good, and with it the sampler and a
    judge of the same class; here the class is put back.
    """
    kinds = {type(layer): layer for layer in model.layers} if wanted else {}
    originals = {kind: kind.__call__ for kind in kinds}
    try:
        for layer in kinds.values():
            grad_checkpoint(layer)
        yield
    finally:
        for kind, original in originals.items():
            kind.__call__ = original
