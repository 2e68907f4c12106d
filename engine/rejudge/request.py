"""What is asked for when a run's pairs are to be judged again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from onlinedpo.states.config import PEOPLE, Settings
from onlinedpo.states.errors import UsageError
from onlinedpo.states.given import in_force
from onlinedpo.states.ledger import Ledger

_OWN: Mapping[str, Any] = dict.fromkeys(
    ("judge_panel", "judge_revision", "judge_model")
)
"""Settings that say more of which judge it is: another one has none of them."""


@dataclass(frozen=True, slots=True)
class Request:
    """Which judge, which rubric, how many pairs, and where to; None: not said.

    What is not said is as in the folder, if it holds verdicts, or else as in the run.
    """

    judge: str | None = None
    rubric: str | None = None
    sample: int | None = None
    into: Path | None = None
    how: Mapping[str, Any] = field(default_factory=dict)
    """More settings of the judge."""

    def settings(self, run: Path, source: Ledger, begun: Ledger | None) -> Settings:
        """The run's settings with this judge and rubric; raises `UsageError`.

        `source` is the run as it stands, `begun` what the folder holds already.
        """
        nothing = self.judge is None and self.rubric is None and not self.how
        if begun is None and nothing:
            raise UsageError(
                "neither another judge nor another rubric is given",
                hint="Give --judge, --rubric or both.",
            )
        before = in_force((begun or source).settings)
        if self.judge is not None and begun is None:
            # A judge that is named alone is asked alone.
            before = replace(before, judge_panel=None)
        if self.judge not in (None, before.judge):
            before = replace(before, judge=self.judge, **_OWN)
        if self.rubric is not None:
            before = replace(before, judge_system=self.rubric)
        # The judge alone decides here.
        settings = replace(before, **self.how, escalate_below=None, human_share=0.0)
        if self.judge in PEOPLE:
            raise UsageError(
                f"--judge {self.judge}: people are asked in the run itself",
                hint=f"Label its pairs there: onlinedpo label {run}",
            )
        if settings.judge in PEOPLE:
            who = "a file labels" if settings.offline_pairs else "people judged"
            raise UsageError(
                f"{who} the pairs of {run}: there is no model to ask again",
                hint="Name one with --judge.",
            )
        return settings
