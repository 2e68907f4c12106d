"""Settings of what a run shows and saves on its way."""

from __future__ import annotations

from dataclasses import dataclass

from onlinedpo.states.settings.field import setting


@dataclass(frozen=True, kw_only=True)
class WatchingSettings:
    """Reports, win rates, checkpoints."""

    steps_per_report: int = setting(
        10, "Steps between two printed lines.", low=1, resumable=True
    )
    steps_per_eval: int = setting(
        200, "Steps between two held-out win rates.", low=1, resumable=True
    )
    save_every: int | None = setting(
        None,
        "Steps between two checkpoints; null: every step, spaced out where one would"
        " cost more than 2 % of the time.",
        low=1,
        resumable=True,
    )
    adapter_path: str | None = setting(
        None, "Where the adapter goes; null: RUN/adapters.", resumable=True
    )
    report_to: str | None = setting(
        None,
        "Where metrics go besides metrics.jsonl: wandb, swanlab, tensorboard, or"
        " several with commas.",
        resumable=True,
    )
    project_name: str | None = setting(
        None, "Project that wandb or swanlab file the run under.", resumable=True
    )
    memory_limit_gb: float | None = setting(
        None,
        "Refuse to begin where more memory than this is estimated to be needed; null:"
        " what the device has.",
        low=0.0,
        resumable=True,
    )
