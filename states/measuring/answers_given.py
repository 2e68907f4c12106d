"""What people answered, beside what the judge decided: what agreement is taken on.

Collected from a run's records in one pass.  In each slot the newest answer counts, also
one that came after its pair had ended; "undo" empties the slot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Self

from onlinedpo.states.labelling import decide
from onlinedpo.states.people import choices
from onlinedpo.states.records import (
    Dropped,
    Escalated,
    Label,
    Reason,
    Record,
    Side,
    Verdict,
    Vote,
    Why,
)

PAUSE = 300.0
"""Seconds between two saves from which on a person is taken to have been away."""


def grade(vote: Vote) -> int:
    """The answer on a scale: 2 strongly first, 1 first, 0 tie, and down to -2.

    That both are bad is a tie here: it prefers neither.
    """
    strength = 2 if vote.strong else 1
    return {"first": strength, "second": -strength}.get(vote.value, 0)


def preference(vote: Vote) -> int:
    """The answer without its strength: 1 first, 0 tie, -1 second."""
    return {"first": 1, "second": -1}.get(vote.value, 0)


def picked_left(vote: Vote) -> bool:
    """Whether the answer is the response that was shown first."""
    return choices.shown_as(vote.value, vote.shown).word == "1"


@dataclass(slots=True)
class Pair:
    """One pair that people were asked about, or that they answered unasked."""

    why: str = ""
    """Why people were asked in the first place."""
    wanted: int = 0
    settling: int | None = None
    """Slots beyond this one were asked for only because people differed."""
    votes: dict[int, Vote] = field(default_factory=dict)
    """The newest answer in each slot."""

    def independent(self) -> list[Vote]:
        """The answers that say something on agreement, by slot, skips left out.

        One that was asked for to settle a difference exists only where people differ:
        counted, it would make them seem to agree less than they do.
        """
        return [
            vote
            for slot, vote in sorted(self.votes.items())
            if vote.value != "skip" and (self.settling is None or slot <= self.settling)
        ]


class AnswersGiven:
    """Everything that was answered in a run, and the judge's decisions."""

    def __init__(self) -> None:
        """Nothing has been read yet."""
        self.pairs: dict[int, Pair] = {}
        self.judged: dict[int, Side] = {}
        """The side on which the judge's verdicts agree, where they do."""
        self._verdicts: dict[int, list[Verdict]] = {}
        self._saves: dict[str, list[tuple[float, Vote]]] = {}

    @classmethod
    def collect(cls, records: Iterable[Record]) -> Self:
        """All of a run, from its records in order."""
        given = cls()
        for record in records:
            given.take(record)
        return given

    def take(self, record: Record) -> None:
        """Take one fact in."""
        match record:
            case Verdict(ticket=ticket):
                self._verdicts.setdefault(ticket, []).append(record)
            case Label(ticket=ticket) | Dropped(ticket=ticket):
                self._decided(ticket)
            case Escalated():
                self._decided(record.ticket)
                self._asked(record)
            case Vote():
                self._voted(record)

    def by_annotator(self) -> dict[str, list[Vote]]:
        """The answers that stand, skips included, by who gave them, in name order."""
        found: dict[str, list[Vote]] = {}
        for pair in self.pairs.values():
            for vote in pair.votes.values():
                found.setdefault(vote.annotator, []).append(vote)
        return dict(sorted(found.items()))

    def seconds(self, annotator: str) -> list[float]:
        """How long each saved answer took: as was said, else since the save before.

        A gap counts if it is shorter than `PAUSE`.  All lines of a dropped file bear
        one time, so that there only what was said counts.
        """
        found, before = [], None
        for saved, vote in sorted(self._saves.get(annotator, []), key=itemgetter(0)):
            own = vote.source == "human"
            gap = saved - before if own and before is not None else 0.0
            if vote.value == "undo":
                pass
            elif vote.seconds is not None:
                found.append(vote.seconds)
            elif 0 < gap < PAUSE:
                found.append(gap)
            before = saved if own else before
        return found

    def between_people(self) -> list[dict[str, Vote]]:
        """For each pair that two or more answered: the first answer of each."""
        rows = []
        for pair in self.pairs.values():
            row: dict[str, Vote] = {}
            for vote in pair.independent():
                row.setdefault(vote.annotator, vote)
            if len(row) > 1:
                rows.append(row)
        return rows

    def twice(self) -> Iterator[tuple[Vote, Vote]]:
        """Each pair that one annotator answered twice: how consistent they are."""
        for pair in self.pairs.values():
            own: dict[str, list[Vote]] = {}
            for vote in pair.independent():
                own.setdefault(vote.annotator, []).append(vote)
            yield from ((v[0], v[1]) for v in own.values() if len(v) > 1)

    def beside_judge(self, *, at_random: bool = False) -> list[tuple[Vote, Side]]:
        """Where a person and the judge both chose a side: the answer, and the judge's.

        One answer a pair, the one in the first slot, so that it compares with what two
        people give.  `at_random` leaves only pairs that were sent to people by lot: the
        others were chosen for the judge's doubts, and make it look worse than it is.
        """
        return [
            (answers[0], self.judged[ticket])
            for ticket, pair in self.pairs.items()
            if ticket in self.judged
            and (not at_random or pair.why == Why.SHARE)
            and (answers := pair.independent())
            and answers[0].value in ("first", "second")
        ]

    def _decided(self, ticket: int) -> None:
        if verdicts := self._verdicts.pop(ticket, None):
            decision = decide(verdicts, 0.0)
            if isinstance(decision, Label) and decision.chosen:
                self.judged[ticket] = decision.chosen

    def _asked(self, asked: Escalated) -> None:
        pair = self.pairs.setdefault(asked.ticket, Pair())
        if asked.why == Reason.SPLIT:
            if pair.settling is None:
                pair.settling = pair.wanted or asked.slots - 1
        else:
            pair.why, pair.wanted = asked.why, asked.slots

    def _voted(self, vote: Vote) -> None:
        # A label file holds both completions: too much to keep of every one.
        vote = replace(vote, raw=b"", note="")
        self._saves.setdefault(vote.annotator, []).append((vote.saved, vote))
        pair = self.pairs.setdefault(vote.ticket, Pair())
        if vote.value == "undo":
            pair.votes.pop(vote.slot, None)
        else:
            pair.votes[vote.slot] = vote
