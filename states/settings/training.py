"""Settings of how long is trained, on how much at a time, and with which optimizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from onlinedpo.states.settings.field import setting


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Steps, batches, rounds and the optimizer."""

    seed: int = setting(0, "Decides every random choice.", low=0, high=2**63 - 1)
    iters: int = setting(100, "DPO steps to take.", low=1, resumable=True)
    epochs: int | None = setting(
        None,
        "Passes over the prompts; sets iters, also if both are given in one place."
        " null or 0: iters counts.",
        low=0,
        resumable=True,
    )
    batch_size: int = setting(4, "Prompts sampled at a time.", low=1)
    grad_accumulation_steps: int = setting(
        1, "Batches sampled and judged for one step.", low=1
    )
    micro_batch_size: int | None = setting(
        None, "Pairs in one forward and backward pass; null: batch_size.", low=1
    )
    pairs_per_round: int | None = setting(
        None,
        "Pairs that are sampled from one policy and judged before any is trained on,"
        " step after step (iterative DPO); null: those of one step.",
        low=1,
    )

    learning_rate: float = setting(1e-5, "Learning rate.", low=0.0)
    lr_schedule: dict[str, Any] | None = setting(
        None,
        "Schedule as mlx-lm takes it: name, arguments, warmup, warmup_init; replaces"
        " learning_rate; null: none.",
    )
    optimizer: str = setting(
        "adam",
        "Optimizer.",
        choices=(
            *("adam", "adamw", "adamax", "adagrad", "adadelta"),
            *("rmsprop", "sgd", "lion", "adafactor", "muon"),
        ),
    )
    optimizer_config: dict[str, Any] = setting(
        {}, "Arguments for the optimizer, under its name."
    )
    max_grad_norm: float | None = setting(
        1.0, "Gradients are clipped to this global norm; null: no clipping.", low=1e-6
    )
