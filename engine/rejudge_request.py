"""What is asked for when a run's pairs are to be judged again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from onlinedpo.states.config import PEOPLE, Settings
from onlinedpo.states.errors import UsageError
from onlinedpo.states.given import in_force
from onlinedpo.states.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Request:
    """Which judge, which rubric, how many pairs, and where to; None: not said.

    What is not said is as in the folder, if it holds verdicts, or else as in the run.
    """

    judge: str | None = None
    rubric: str | None = None
    sample: int | None = None
    into: Path | None = None

    def settings(self, run: Path, source: Ledger, begun: Ledger | None) -> Settings:
        """The run's settings with this judge and rubric; raises `UsageError`.

        `source` is the run as it stands, `begun` what the folder holds already.
        """
        if begun is None and self.judge is None and self.rubric is None:
            raise UsageError(
                "neither another judge nor another rubric is given",
                hint="Give --judge, --rubric or both.",
            )
        before = in_force((begun or source).settings)
        settings = replace(
            before,
            judge=before.judge if self.judge is None else self.judge,
            judge_system=before.judge_system if self.rubric is None else self.rubric,
            # The judge alone decides here.
            escalate_below=None,
            human_share=0.0,
        )
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
