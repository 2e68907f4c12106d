"""One pair that was judged again: what was said of it before, and what is said now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from onlinedpo.states.measuring.judged_pair import JudgedPair
from onlinedpo.states.reasons import Reason

Move = Literal[
    "same",
    "flipped",
    "now tie",
    "now failed",
    "now orders disagree",
    "now decided",
    "no winner still",
    "not decided before",
]

SIDES = ("first", "second")

_LOST: dict[str, Move] = {
    Reason.TIE: "now tie",
    Reason.FAILED: "now failed",
    Reason.DISAGREED: "now orders disagree",
}


@dataclass(slots=True)
class Opinion:
    """What a judge said of a pair: its winners, and P(first) for each order asked."""

    said: JudgedPair
    first: tuple[float, ...]

    @property
    def outcome(self) -> str:
        """The side chosen, or why none is (one of `Reason`)."""
        return self.said.chosen or self.said.outcome

    @property
    def sureness(self) -> float:
        """The mean P(first) over the orders."""
        return sum(self.first) / len(self.first)


@dataclass(slots=True)
class Pair:
    """A pair that was judged again."""

    name: str
    new: Opinion
    old: Opinion | None = None
    label: str | None = None
    """What people decided: a side, or why neither is better; None: nothing."""

    @property
    def before(self) -> str | None:
        """What had been decided: by the judge, or by people where none had judged."""
        return self.old.outcome if self.old else self.label

    @property
    def move(self) -> Move:
        """What became of the decision."""
        before, now = self.before, self.new.outcome
        if before is None:
            return "not decided before"
        if before not in SIDES:
            return "now decided" if now in SIDES else "no winner still"
        if now not in SIDES:
            return _LOST[now]
        return "same" if now == before else "flipped"

    @property
    def swing(self) -> float:
        """How far the mean P(first) moved, from 0 to 1; people are always sure."""
        was = self.old.sureness if self.old else float(self.before == "first")
        return abs(self.new.sureness - was)
