"""What two judges made of the same pairs, side by side.

Collected in one pass over the facts of each: the new judge's first, then those of the
run whose pairs they are.  Of each pair little more than its name is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from onlinedpo.states.measuring import agreement
from onlinedpo.states.measuring.agreement import Measure
from onlinedpo.states.measuring.answers_given import AnswersGiven
from onlinedpo.states.measuring.judged_pair import JudgedPair, answers_of
from onlinedpo.states.measuring.rejudged_pair import SIDES, Move, Opinion, Pair
from onlinedpo.states.records import (
    Dropped,
    Escalated,
    Label,
    Record,
    Restored,
    Sampled,
    Verdict,
    Vote,
    Why,
    Withdrawn,
)
from onlinedpo.states.verdicts.deciding import by_judge


@dataclass(frozen=True, slots=True)
class Changes:
    """Pairs that differ one way, and the other way."""

    one: int
    other: int

    @property
    def p(self) -> float:
        """McNemar's p value: could the two ways be as likely?"""
        return agreement.mcnemar(self.one, self.other)


@dataclass(frozen=True, slots=True)
class BesidePeople:
    """How often old and new judge choose as people do, of pairs where both chose.

    `changes` are pairs on which only the old one does, and only the new one: of those
    on which both judges chose.
    """

    old: Measure
    new: Measure
    changes: Changes


@dataclass(slots=True)
class Cost:
    """What verdicts took: tokens are those read."""

    verdicts: int = 0
    seconds: float = 0.0
    tokens: int = 0

    def add(self, verdict: Verdict) -> None:
        """Count one."""
        self.verdicts += 1
        self.seconds += verdict.seconds
        self.tokens += len(verdict.prompt_tokens)


class Rejudged:
    """All pairs that were judged again, with what was said of them before."""

    def __init__(self) -> None:
        """Nothing has been read yet."""
        self.pairs: dict[int, Pair] = {}
        self.old_cost, self.new_cost = Cost(), Cost()
        self._given = AnswersGiven()
        self._kinds: dict[JudgedPair, JudgedPair] = {}

    @classmethod
    def collect(cls, old: Iterable[Record], new: Iterable[Record]) -> Self:
        """From the facts of a run, and of another judge's verdicts on its pairs."""
        both = cls()
        both._take_new(new)
        both._take_old(old)
        return both

    # -- figures -----------------------------------------------------------------

    def moves(self) -> Counter[Move]:
        """How many pairs moved how."""
        return Counter(pair.move for pair in self.pairs.values())

    def flips(self) -> list[Pair]:
        """The pairs whose winner is another one now, the widest swing first."""
        flipped = [pair for pair in self.pairs.values() if pair.move == "flipped"]
        return sorted(flipped, key=lambda pair: -pair.swing)

    def raw(self) -> Measure:
        """How often old and new choose the same, where both choose."""
        return agreement.raw(self._chosen())

    def kappa(self) -> Measure:
        """Cohen's kappa of the two, on the same pairs."""
        return agreement.kappa(self._chosen())

    def sides(self) -> Changes:
        """Flips from first to second, and from second: a shift to a side shows here."""
        before = Counter(pair.before for pair in self.flips())
        return Changes(before["first"], before["second"])

    def lengths(self) -> Changes:
        """Flips from the longer completion to the shorter, and from the shorter."""
        flips = [pair for pair in self.flips() if pair.new.said.longer]
        longer = [pair.before == pair.new.said.longer for pair in flips]
        return Changes(longer.count(True), longer.count(False))

    def beside_people(self, *, at_random: bool = False) -> BesidePeople:
        """Both judges beside people; `at_random`: on pairs that went to them by lot."""
        old, new, both = [], [], []
        for pair, side in self._with_people(at_random):
            said = (pair.old.said.chosen if pair.old else None), pair.new.said.chosen
            right = said[0] == side, said[1] == side
            if said[0]:
                old.append(float(right[0]))
            if said[1]:
                new.append(float(right[1]))
            if said[0] and said[1]:
                both.append(right)
        changes = Changes(both.count((True, False)), both.count((False, True)))
        return BesidePeople(agreement.share(old), agreement.share(new), changes)

    def old_kinds(self) -> Counter[JudgedPair]:
        """What the old judge said, by kind; pairs that it did not judge left out."""
        return Counter(pair.old.said for pair in self.pairs.values() if pair.old)

    def new_kinds(self) -> Counter[JudgedPair]:
        """What the new judge said, by kind."""
        return Counter(pair.new.said for pair in self.pairs.values())

    def _chosen(self) -> list[tuple[str, str]]:
        return [
            (pair.before, pair.new.outcome)
            for pair in self.pairs.values()
            if pair.before in SIDES and pair.new.outcome in SIDES
        ]

    def _with_people(self, at_random: bool) -> Iterator[tuple[Pair, str]]:
        """The pairs on which a person chose a side, one answer a pair."""
        for ticket, asked in self._given.pairs.items():
            answers = asked.independent()
            counts = not at_random or asked.why == Why.SHARE
            if counts and answers and answers[0].value in SIDES:
                yield self.pairs[ticket], answers[0].value

    # -- facts -------------------------------------------------------------------

    def _take_new(self, records: Iterable[Record]) -> None:
        sampled: dict[int, Sampled] = {}
        verdicts: dict[int, list[Verdict]] = {}
        for record in records:
            match record:
                case Sampled(ticket=ticket):
                    sampled[ticket] = record
                case Verdict(ticket=ticket):
                    verdicts.setdefault(ticket, []).append(record)
                    self.new_cost.add(record)
                case Label(ticket=ticket) | Dropped(ticket=ticket):
                    pair, said = sampled.get(ticket), verdicts.pop(ticket, None)
                    if pair and said:
                        new = self._opinion(JudgedPair.of(pair, said), said)
                        self.pairs[ticket] = Pair(pair.pair, new)
                        del sampled[ticket]

    def _take_old(self, records: Iterable[Record]) -> None:
        verdicts: dict[int, list[Verdict]] = {}
        for record in records:
            if isinstance(record, Restored):
                record = record.label
            ticket = getattr(record, "ticket", None)
            pair = self.pairs.get(ticket) if ticket is not None else None
            if ticket is None or pair is None:
                continue
            match record:
                case Verdict():
                    verdicts.setdefault(ticket, []).append(record)
                    self.old_cost.add(record)
                case Label() | Dropped() | Escalated():
                    if said := verdicts.pop(ticket, None):
                        kind = pair.new.said._replace(answers=answers_of(said))
                        pair.old = self._opinion(kind, said)
                    if isinstance(record, Label) and record.source != "judge":
                        pair.label = record.chosen or record.reason
                case Withdrawn():
                    pair.label = None
            if isinstance(record, Escalated | Vote):
                self._given.take(record)

    def _opinion(self, kind: JudgedPair, verdicts: list[Verdict]) -> Opinion:
        # There are few kinds: each is kept once.
        kind = self._kinds.setdefault(kind, kind)
        last = by_judge(verdicts)
        chances = [v.probability_first() for said in last for v in said]
        if len(last) > 1:
            # A panel has one answer, and its judges' mean.
            chances = [sum(chances) / len(chances)]
        return Opinion(kind, tuple(chances))
