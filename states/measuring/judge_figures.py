"""The figures by which a judge is questioned, each with its interval.

The words are those of Zheng et al. 2023 ("Judging LLM-as-a-judge with MT-bench") and
Shi et al. 2024 ("Judging the Judges", arXiv 2406.07791), but for ties: they count a tie
in both orders as consistent, and here ties are told apart, as they train nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from onlinedpo.states.measuring import agreement
from onlinedpo.states.measuring.agreement import ENOUGH, Measure, kappa, measured, raw
from onlinedpo.states.measuring.judge_record import Judge
from onlinedpo.states.measuring.judged_pair import JudgedPair
from onlinedpo.states.measuring.shares import Tally, difference, of_pairs
from onlinedpo.states.reasons import Reason
from onlinedpo.states.records import Side

PARTS = 5
"""Into how many parts a run is cut to look for drift, at most."""

Pairs = Mapping[JudgedPair, int]


def _yes(said: bool | None) -> Tally:
    return (0, 0) if said is None else (int(said), 1)


def _as_longest(pair: JudgedPair) -> Tally:
    """Half where both are equally long: it would have to guess."""
    if not pair.chosen:
        return 0, 0
    return (1, 2) if pair.longer is None else (2 * (pair.chosen == pair.longer), 2)


FIGURES: Mapping[str, Callable[[JudgedPair], Tally]] = {
    # Of all judged pairs.
    "decided": lambda pair: (pair.outcome == "decided", 1),
    "disagreed": lambda pair: (pair.outcome == Reason.DISAGREED, 1),
    "tied": lambda pair: (pair.outcome == Reason.TIE, 1),
    "failed": lambda pair: (pair.outcome == Reason.FAILED, 1),
    # Of pairs that were asked in both orders and had a winner in both.
    "consistency": lambda pair: _yes(pair.consistent),
    # Of verdicts: with a winner, and of all.
    "first_wins": lambda pair: pair.first_wins,
    "failures": lambda pair: pair.failures,
    "ties": lambda pair: pair.ties,
    # Of decided pairs in which one is longer.
    "longer_wins": lambda pair: _yes(pair.longer_won),
    "longer_wins_matched": lambda pair: _yes(
        pair.longer_won if pair.apart == "matched" else None
    ),
    "longer_wins_clear": lambda pair: _yes(
        pair.longer_won if pair.apart == "clear" else None
    ),
    # Of all decided pairs: how far simpler judges would have said the same.
    "as_longest": _as_longest,
    "as_first": lambda pair: _yes(
        pair.chosen == pair.shown_first if pair.chosen and pair.shown_first else None
    ),
}
DRIFTING = ("consistency", "first_wins", "longer_wins", "failures")
MATTERS = 0.05
"""A difference from which on drift is worth a word, however sure it is."""


def figure(name: str, pairs: Pairs) -> Measure:
    """One of `FIGURES`, on these pairs."""
    tally, tallies = FIGURES[name], Counter[Tally]()
    for pair, times in pairs.items():
        tallies[tally(pair)] += times
    return of_pairs(tallies)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the run: the pairs sampled after steps `begin` to `end`."""

    begin: int
    end: int
    pairs: int
    figures: Mapping[str, Measure]


@dataclass(frozen=True, slots=True)
class Drift:
    """How figures move over the run; without parts where there are too few pairs."""

    parts: Sequence[Part]
    difference: Mapping[str, Measure]
    """The last part minus the first, with intervals that hold together in 95 %."""

    def flagged(self, name: str) -> bool:
        """Whether it moved by more than chance does, and by enough to matter."""
        apart = self.difference.get(name)
        if apart is None or apart.value is None or not apart.enough:
            return False
        if apart.low is None or apart.high is None or abs(apart.value) < MATTERS:
            return False
        return apart.low > 0 or apart.high < 0


def drift(judge: Judge) -> Drift:
    """Figures in equal parts of the run, by step: as many as have enough pairs each."""
    at_steps = judge.at_steps()
    begin = min((step for step, _ in at_steps), default=0)
    steps = max((step for step, _ in at_steps), default=0) + 1 - begin
    for count in range(min(PARTS, steps), 1, -1):
        cut: list[Counter[JudgedPair]] = [Counter() for _ in range(count)]
        for (step, pair), times in at_steps.items():
            cut[(step - begin) * count // steps][pair] += times
        if all(pairs.total() >= ENOUGH for pairs in cut):
            edges = [begin - (-k * steps // count) for k in range(count + 1)]
            parts = [
                Part(
                    edges[k],
                    edges[k + 1] - 1,
                    pairs.total(),
                    {name: figure(name, pairs) for name in DRIFTING},
                )
                for k, pairs in enumerate(cut)
            ]
            first, last = parts[0].figures, parts[-1].figures
            return Drift(
                parts,
                {
                    name: difference(first[name], last[name], looks=len(DRIFTING))
                    for name in DRIFTING
                },
            )
    return Drift((), {})


Beside = Sequence[tuple[Side, JudgedPair]]
"""What a person chose, and the judge's pair."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far a judge chooses as people do; `kappa` is beyond chance."""

    raw: Measure
    kappa: Measure


@dataclass(frozen=True, slots=True)
class BesidePeople:
    """A judge and simpler ones, on pairs on which people chose too."""

    judge: Agreement
    longest: Agreement
    """Always chooses the longer; of equally long ones either, half of the time."""
    first: Agreement
    """Always chooses what the judge was first shown first, if it was shown an order."""
    beyond_longest: Measure
    """The judge's raw agreement minus that of the longest, pair by pair."""


def beside_people(rows: Beside) -> BesidePeople:
    """The figures on these pairs, whose judge decided all of them."""
    judge = [(person, pair.chosen) for person, pair in rows]
    first = [(person, pair.shown_first) for person, pair in rows if pair.shown_first]
    longest = [(person, pair.longer) for person, pair in rows]
    as_longest = [0.5 if long is None else float(long == p) for p, long in longest]
    beyond = [
        (chosen == person) - long
        for (person, chosen), long in zip(judge, as_longest, strict=True)
    ]
    return BesidePeople(
        Agreement(raw(judge), kappa(judge)),
        Agreement(agreement.share(as_longest), measured(longest, _kappa_of_longest)),
        Agreement(raw(first), kappa(first)),
        measured(beyond, _mean),
    )


def _kappa_of_longest(
    counted: Mapping[tuple[Side, Side | None], int],
) -> float | None:
    """Kappa as expected: either side in half of the pairs that are equally long."""
    halves: Counter[tuple[Side, Side]] = Counter()
    for (person, longer), times in counted.items():
        if longer is None:
            halves[person, "first"] += times
            halves[person, "second"] += times
        else:
            halves[person, longer] += 2 * times
    return agreement.cohen(halves)


def _mean(counted: Mapping[float, int]) -> float | None:
    n = sum(counted.values())
    return math.fsum(value * times for value, times in counted.items()) / n


def together(one: Judge, other: Judge) -> Agreement:
    """How far two judges choose the same, of the pairs on which both chose."""
    theirs = other.of(one.tickets)
    rows = [
        (pair.chosen, theirs[ticket].chosen)
        for ticket, pair in one.of(theirs).items()
        if pair.chosen and theirs[ticket].chosen
    ]
    return Agreement(raw(rows), kappa(rows))
