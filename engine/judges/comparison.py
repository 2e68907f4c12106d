"""What a judge is asked, and what any judge is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from onlinedpo.states.records import Messages, Verdict


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two texts to compare, under the number that its verdicts will carry."""

    ticket: int
    messages: Messages
    first: str
    second: str


class Judge(Protocol):
    """Anything that compares completions."""

    @property
    def identity(self) -> dict[str, Any]:
        """What the journal says of the judge."""

    def judge(self, comparisons: Sequence[Comparison]) -> list[list[Verdict]]:
        """The verdicts on each comparison: one per order asked."""
