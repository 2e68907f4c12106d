"""The optimizer of a run, made of its settings: MLX's own, under mlx-lm's names."""

from __future__ import annotations

from typing import Any

import mlx.optimizers as optim
from mlx_lm.tuner.utils import build_schedule

from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError

OPTIMIZERS = {
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "adamax": optim.Adamax,
    "adagrad": optim.Adagrad,
    "adadelta": optim.AdaDelta,
    "rmsprop": optim.RMSprop,
    "sgd": optim.SGD,
    "lion": optim.Lion,
    "adafactor": optim.Adafactor,
    "muon": optim.Muon,
}
"""Those of MLX whose state a checkpoint gives back to the bit: all of them."""

# Left to itself, MLX's Adafactor takes a step size of its own over learning_rate.
_DEFAULTS: dict[str, dict[str, Any]] = {"adafactor": {"relative_step": False}}


def optimizer_of(settings: Settings) -> optim.Optimizer:
    """A fresh optimizer; raises `UsageError` if its settings do not fit."""
    name = settings.optimizer
    rate: Any = settings.learning_rate
    try:
        if settings.lr_schedule:
            rate = build_schedule(settings.lr_schedule)
        arguments = _DEFAULTS.get(name, {}) | settings.optimizer_config.get(name, {})
        optimizer: optim.Optimizer = OPTIMIZERS[name](learning_rate=rate, **arguments)
    except (TypeError, ValueError, KeyError, AttributeError, IndexError) as error:
        raise UsageError(
            f"lr_schedule or optimizer_config do not fit {name}: {error}",
            hint="Both are as mlx-lm takes them, for example"
            " lr_schedule: {name: cosine_decay, arguments: [1e-5, 1000], warmup: 10}.",
        ) from error
    return optimizer
