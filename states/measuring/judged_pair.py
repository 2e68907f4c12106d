"""What a judge's verdicts on one pair say of the judge, without the texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from onlinedpo.states.answers import Shown, Side
from onlinedpo.states.reasons import Reason
from onlinedpo.states.records import Dropped, Label, Sampled, Verdict
from onlinedpo.states.verdicts.deciding import by_judge, decide
from onlinedpo.states.verdicts.parsing import SCORES

MATCHED = 0.1
"""Lengths are matched if they differ by at most this share of the longer one."""
CLEAR = 1.5
"""One completion is clearly longer if it has at least this many times the tokens."""

Winner = Literal["first", "second", "tie", "split"] | None
"""None: no winner could be read; "split": the judges of a panel name none together."""
Answer = tuple[Shown | Literal[""], Winner]
"""(order shown, winner); a panel as a whole, and scores, know no order."""
Tally = tuple[int, int]
"""(how many have it, of how many): of the verdicts on one pair."""


class JudgedPair(NamedTuple):
    """A kind of judged pair: all that are equal in this are counted together.

    `answers` has those of each order asked, in pair coordinates: of one judge, or the
    one to which a panel came.  `longer` is the side that has more tokens, if one has.
    """

    answers: tuple[Answer, ...]
    longer: Side | None
    apart: str
    """How far the lengths are apart: "" (equal), "matched", "between" or "clear"."""

    @classmethod
    def of(cls, pair: Sampled, verdicts: Sequence[Verdict]) -> JudgedPair:
        """The kind that a pair is of, by the verdicts of a judge or a panel."""
        one, other = len(pair.first.tokens), len(pair.second.tokens)
        return cls(
            answers_of(verdicts),
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
        return side if alike and (side == "first" or side == "second") else None

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
    def shown_first(self) -> Side | None:
        """The side that the judge saw first when it was first asked."""
        shown = self.answers[0][0]
        return ("first" if shown == "first-second" else "second") if shown else None

    @property
    def first_wins(self) -> Tally:
        """Verdicts in which what was shown first wins, of those with a winner."""
        wins = [
            (winner == "first") == (shown == "first-second")
            for shown, winner in self.answers
            if shown and winner in ("first", "second")
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


def answers_of(verdicts: Sequence[Verdict]) -> tuple[Answer, ...]:
    """What a judge answers in the end, in each order; or what a panel comes to."""
    judges = by_judge(verdicts)
    if len(judges) == 1:
        # Whoever scores each completion by itself sees none first.
        ordered = verdicts[0].judge.get("parser") != SCORES
        return tuple([(v.shown if ordered else "", v.winner) for v in judges[0]])
    return (("", _winner(decide(verdicts, 0.0))),)


def _winner(decision: Label | Dropped) -> Winner:
    if isinstance(decision, Label):
        return decision.chosen
    if decision.reason == Reason.FAILED:
        return None
    return "tie" if decision.reason == Reason.TIE else "split"


def _apart(shorter: int, longer: int) -> str:
    if shorter == longer:
        return ""
    if longer - shorter <= MATCHED * longer:
        return "matched"
    return "clear" if longer >= CLEAR * shorter else "between"
