"""The policy: one copy of the base model, its trainable part, and its reference.

The reference is the policy with its initial trainable parameters swapped back in.
That is exact for LoRA, DoRA and full fine-tuning alike, and takes no second model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_unflatten
from mlx_lm.tuner.utils import linear_to_lora_layers
from mlx_lm.utils import load as mlx_load

from onlinedpo.engine.environment import on_cpu
from onlinedpo.engine.identity import ModelIdentity
from onlinedpo.engine.tensors import Tensors, digest, flat
from onlinedpo.states import seeds
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError


class Policy:
    """A loaded model with a trainable part."""

    def __init__(self, model: nn.Module, tokenizer: Any, settings: Settings) -> None:
        """Make part of `model` trainable, seeded; raises `UsageError`."""
        self.model = model
        self.tokenizer = tokenizer
        _make_trainable(model, settings)
        model.eval()
        mx.eval(model.parameters())
        self.initial = self.trainable()

    @property
    def eos_ids(self) -> set[int]:
        """Every id that ends the policy's turn."""
        return {int(i) for i in self.tokenizer.eos_token_ids}

    def trainable(self) -> Tensors:
        """The trainable parameters, sorted by name."""
        return flat(self.model.trainable_parameters())

    def update(self, tensors: Mapping[str, mx.array]) -> None:
        """Put trainable parameters in place."""
        self.model.update(tree_unflatten(list(tensors.items())))

    def initial_digest(self) -> str:
        """Digest of the trainable parameters before the first step."""
        return digest(self.initial)

    @contextmanager
    def reference(self) -> Iterator[nn.Module]:
        """The model as it was before the first step, within the block."""
        current = self.trainable()
        self.update(self.initial)
        try:
            yield self.model
        finally:
            self.update(current)


def load(identity: ModelIdentity) -> tuple[nn.Module, Any]:
    """A model and its tokenizer, wholly in memory; raises `UsageError`.

    On a CPU it computes in float32: half precision is far slower there.
    """
    try:
        model, tokenizer = mlx_load(str(identity.path))[:2]
    except (ValueError, KeyError, OSError, RuntimeError) as error:
        raise UsageError(
            f"the model '{identity.id}' could not be loaded: {error}",
            hint="It must be a model that mlx-lm can load.",
        ) from error
    if on_cpu():
        model.set_dtype(mx.float32)
    # MLX loads lazily: nothing may depend on the file after this.
    mx.eval(model.parameters())
    return model, tokenizer


def _make_trainable(model: nn.Module, settings: Settings) -> None:
    model.freeze()
    layers = len(model.layers)
    if settings.num_layers > layers:
        raise UsageError(
            f"the model cannot train {settings.num_layers} layers (num_layers): it has"
            f" {layers}",
            hint="-1 takes all of them.",
        )
    if settings.fine_tune_type == "full":
        if any(isinstance(m, nn.QuantizedLinear) for m in model.modules()):
            raise UsageError(
                "the weights of a quantized model cannot be trained in full",
                hint="Use --fine-tune-type lora or dora, or a model in half precision.",
            )
        for layer in model.layers[-max(settings.num_layers, 0) :]:
            layer.unfreeze()
        return
    mx.random.seed(seeds.derive(settings.seed, "adapter"))
    linear_to_lora_layers(
        model,
        settings.num_layers,
        settings.lora_parameters,
        use_dora=settings.fine_tune_type == "dora",
    )
    if not tree_flatten(model.trainable_parameters()):
        raise UsageError(
            "no layer of the model matches lora_parameters['keys']",
            hint="Leave 'keys' out to adapt every linear layer.",
        )
