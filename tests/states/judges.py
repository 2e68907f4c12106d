"""Judges whose verdicts are known, for tests: each function makes a pair's records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal

from onlinedpo.states.answers import ORDERS, Side
from onlinedpo.states.labelling import decide
from onlinedpo.states.measuring.judge_record import Judge, JudgeRecord
from onlinedpo.states.measuring.judged_pair import JudgedPair
from onlinedpo.states.records import Record, Sampled, Shown, Verdict
from tests.states import facts

Winner = Literal["first", "second", "tie"] | None
Rule = Callable[[Sampled, Shown], Winner]
"""What a judge says of a pair in one order."""

STRONG = {"kind": "model", "id": "strong", "weights": "ab" * 8, "frame": 1, "parser": 1}


def left(pair: Sampled, shown: Shown) -> Winner:
    """It always says A."""
    return "first" if shown == "first-second" else "second"


def longest(pair: Sampled, shown: Shown) -> Winner:
    """It always takes the longer one, and sees a tie where both are equally long."""
    one, other = len(pair.first.tokens), len(pair.second.tokens)
    return "tie" if one == other else "first" if one > other else "second"


def always(side: Side) -> Rule:
    """It takes one side of the pair, however it is shown."""
    return lambda pair, shown: side


def says(one: Winner, other: Winner) -> Rule:
    """It says this when first asked, and that when swapped."""
    return lambda pair, shown: one if shown == "first-second" else other


def pair_of(ticket: int, one: int = 3, other: int = 2, step: int = 0) -> Sampled:
    """A pair of completions of so many tokens."""
    lengths = (facts.completion(*range(one)), facts.completion(*range(1, other + 1)))
    return facts.sampled(ticket, *lengths, step=step)


def verdicts(
    pair: Sampled, rule: Rule, orders: Iterable[Shown] = ORDERS, **wanted: Any
) -> list[Verdict]:
    """What a judge says of a pair."""
    found: list[Verdict] = []
    plain: dict[str, Any] = {"judge": STRONG}
    for shown in orders:
        winner = rule(pair, shown)
        failure = "" if winner else "neither A nor B is likely"
        said = facts.verdict(pair.ticket, shown, winner, failure=failure)
        found.append(replace(said, **(plain | wanted)))
    return found


def judged(
    pair: Sampled, rule: Rule, orders: Iterable[Shown] = ORDERS, **wanted: Any
) -> list[Record]:
    """A pair that is judged, and labelled or dropped as the verdicts have it."""
    said = verdicts(pair, rule, orders, **wanted)
    return [pair, facts.submitted(pair.ticket), *said, decide(said, facts.NOW)]


def record_of(*lives: Sequence[Record]) -> JudgeRecord:
    """What the journal of a run with these pairs says of its judges."""
    return JudgeRecord.collect(
        record for life in [[facts.run_opened()], *lives] for record in life
    )


def judge_of(*lives: Sequence[Record]) -> Judge:
    """The same of its only judge."""
    (judge,) = record_of(*lives).judges.values()
    return judge


def kind_of(
    rule: Rule, one: int = 3, other: int = 2, orders: Iterable[Shown] = ORDERS
) -> JudgedPair:
    """What is kept of a pair."""
    pair = pair_of(0, one, other)
    return JudgedPair.of(pair, verdicts(pair, rule, orders))
