"""What a judge's verdicts on one pair say of the judge, without the texts."""

from __future__ import annotations

from typing import Literal, NamedTuple

from onlinedpo.states.answers import Shown, Side
from onlinedpo.states.reasons import Reason
from onlinedpo.states.records import Sampled, Verdict

MATCHED = 0.1
"""Lengths are matched if they differ by at most this share of the longer one."""
CLEAR = 1.5
"""One completion is clearly longer if it has at least this many times the tokens."""

Winner = Literal["first", "second", "tie"] | None
Tally = tuple[int, int]
"""(how many have it, of how many): of the verdicts on one pair."""


class JudgedPair(NamedTuple):
    """A kind of judged pair: all that are equal in this are counted together.

    `answers` has (order shown, winner) of each verdict in the order asked; a winner is
    in pair coordinates.  `longer` is the side that has more tokens, if one has.
    """

    answers: tuple[tuple[Shown, Winner], ...]
    longer: Side | None
    apart: str
    """How far the lengths are apart: "" (equal), "matched", "between" or "clear"."""

    @classmethod
    def of(cls, pair: Sampled, verdicts: list[Verdict]) -> JudgedPair:
        """The kind that a pair is of."""
        one, other = len(pair.first.tokens), len(pair.second.tokens)
        return cls(
            tuple([(verdict.shown, verdict.winner) for verdict in verdicts]),
            "first" if one > other else "second" if one < other else None,
            _apart(one, other) if one < other else _apart(other, one),
        )

    @property
    def winners(self) -> list[Winner]:
        """What each verdict says."""
        return [winner for _, winner in self.answers]

    @property
    def chosen(self) -> Side | None:
        """The side on which all verdicts agree."""
        side = self.winners[0]
        alike = all(winner == side for winner in self.winners)
        return side if alike and side != "tie" else None

    @property
    def outcome(self) -> str:
        """What the verdicts come to: "decided", or why they decide nothing."""
        if None in self.winners:
            return Reason.FAILED
        if "tie" in self.winners:
            return Reason.TIE
        return "decided" if self.chosen else Reason.DISAGREED

    @property
    def consistent(self) -> bool | None:
        """Whether both orders choose the same side; None unless both choose one."""
        chose = {shown: w for shown, w in self.answers if w in ("first", "second")}
        return len(set(chose.values())) == 1 if len(chose) > 1 else None

    @property
    def shown_first(self) -> Side:
        """The side that the judge saw first when it was first asked."""
        return "first" if self.answers[0][0] == "first-second" else "second"

    @property
    def first_wins(self) -> Tally:
        """Verdicts in which what was shown first wins, of those with a winner."""
        wins = [
            (winner == "first") == (shown == "first-second")
            for shown, winner in self.answers
            if winner in ("first", "second")
        ]
        return sum(wins), len(wins)

    @property
    def failures(self) -> Tally:
        """Verdicts in which no winner could be read, of all."""
        return self.winners.count(None), len(self.answers)

    @property
    def ties(self) -> Tally:
        """Verdicts that see a tie, of all."""
        return self.winners.count("tie"), len(self.answers)

    @property
    def longer_won(self) -> bool | None:
        """Whether the longer one was chosen; None where none was, or none is longer."""
        return self.chosen == self.longer if self.chosen and self.longer else None


def _apart(shorter: int, longer: int) -> str:
    if shorter == longer:
        return ""
    if longer - shorter <= MATCHED * longer:
        return "matched"
    return "clear" if longer >= CLEAR * shorter else "between"
