"""Settings of what a run shows and saves on its way."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from onlinedpo.states.errors import UsageError
from onlinedpo.states.settings.field import setting

REPORTERS = ("wandb", "swanlab", "tensorboard")
"""What `report_to` may name."""


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
        " several with commas; null: nowhere.",
        resumable=True,
    )
    project_name: str | None = setting(
        None,
        "Project that wandb or swanlab file the run under; null: onlinedpo.",
        resumable=True,
    )
    memory_limit_gb: float | None = setting(
        None,
        "Refuse to begin where more memory than this is estimated to be needed; null:"
        " what the device has.",
        low=0.0,
        resumable=True,
    )

    @property
    def reporters(self) -> tuple[str, ...]:
        """What `report_to` names, each once."""
        return reporters_of(self.report_to)


def reporters_of(report_to: str | None) -> tuple[str, ...]:
    """What a value of `report_to` names; raises `UsageError` for what is not known."""
    given = [name.strip().lower() for name in (report_to or "").split(",")]
    names = tuple(dict.fromkeys(name for name in given if name not in ("", "none")))
    for name in names:
        if name not in REPORTERS:
            near = difflib.get_close_matches(name, REPORTERS, n=1)
            raise UsageError(
                f"report_to names '{name}'; it may name {', '.join(REPORTERS)}",
                hint=f"Did you mean '{near[0]}'?" if near else "",
            )
    return names
