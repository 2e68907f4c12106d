"""From verdicts to a label: only a clear, whole and agreed verdict becomes one."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from typing import Literal

import pytest

from onlinedpo.states.labelling import decide, screen
from onlinedpo.states.records import Dropped, Label, Reason, Shown, Verdict
from tests.states import facts

Winner = Literal["first", "second", "tie"] | None
WINNERS: tuple[Winner, ...] = ("first", "second", "tie", None)
ORDERS: tuple[Shown, Shown] = ("first-second", "second-first")


def verdict_of(shown: Shown, winner: Winner) -> Verdict:
    """A verdict that says how it failed if it has no winner."""
    return facts.verdict(
        7, shown, winner, failure=f"no answer in {shown}" if winner is None else ""
    )


def outcome(*winners: Winner) -> str:
    """The side that is chosen, or the reason why none is, for both orders asked."""
    decided = decide(
        [verdict_of(*asked) for asked in zip(ORDERS, winners, strict=False)],
        facts.NOW,
    )
    assert (decided.ticket, decided.time) == (7, facts.NOW)
    return decided.chosen or "" if isinstance(decided, Label) else decided.reason


@pytest.mark.parametrize(("one", "other"), [*product(WINNERS, WINNERS)])
def test_a_label_needs_both_orders_to_name_the_same_side(
    one: Winner, other: Winner
) -> None:
    """Disagreement, a tie or a failure in either order is no winner; order is moot."""
    if one is None or other is None:
        wanted = Reason.FAILED
    elif "tie" in (one, other):
        wanted = Reason.TIE
    elif one != other:
        wanted = Reason.DISAGREED
    else:
        wanted = one
    assert outcome(one, other) == outcome(other, one) == wanted


@pytest.mark.parametrize("winner", WINNERS)
def test_one_order_alone_decides_when_only_one_is_asked(winner: Winner) -> None:
    """`judge_orders: 1`: the verdict's winner, or no label."""
    wanted = {None: Reason.FAILED, "tie": Reason.TIE}.get(winner, winner)
    assert outcome(winner) == wanted


@pytest.mark.parametrize("failed", ORDERS)
def test_a_failure_is_told_in_the_judges_words(failed: Shown) -> None:
    """The journal says what went wrong, whichever order it was."""
    verdicts = [verdict_of(o, None if o == failed else "first") for o in ORDERS]
    decided = decide(verdicts, facts.NOW)
    assert isinstance(decided, Dropped)
    assert decided.detail == f"no answer in {failed}"


def test_a_disagreement_is_told_order_by_order() -> None:
    """The reader sees which order gave which winner."""
    decided = decide(
        [verdict_of(ORDERS[0], "first"), verdict_of(ORDERS[1], "second")], facts.NOW
    )
    assert isinstance(decided, Dropped)
    assert decided.detail == "first-second: first, second-first: second"


def confidence(winner: Winner, *logprobs: tuple[float, float]) -> float:
    """The confidence of a label on which all orders agree."""
    decided = decide(
        [
            facts.verdict(0, shown, winner, logprobs=pair)
            for shown, pair in zip(ORDERS, logprobs, strict=False)
        ],
        facts.NOW,
    )
    assert isinstance(decided, Label)
    assert (decided.chosen, decided.source) == (winner, "judge")
    return decided.confidence


def test_confidence_is_the_judges_mean_probability_for_the_chosen_side() -> None:
    """A and B are relative to the order shown, and only their ratio counts."""
    strong, weak = (math.log(0.9), math.log(0.1)), (math.log(0.18), math.log(0.42))
    # first is A at 0.9, then B at 0.7.
    assert confidence("first", strong, weak) == pytest.approx(0.8, abs=1e-12)
    assert confidence("first", strong) == pytest.approx(0.9, abs=1e-12)
    # second is B at 0.7, then A at 0.9.
    assert confidence("second", weak, strong) == pytest.approx(0.8, abs=1e-12)


def test_swapping_the_completions_mirrors_the_label() -> None:
    """A judge that says the same of the same texts chooses the same text."""
    a, b = (-0.2, -1.9), (-3.0, -0.1)
    assert confidence("first", a, b) == pytest.approx(
        confidence("second", b, a), abs=1e-12
    )


@pytest.mark.parametrize(
    ("logprobs", "probability"),
    [
        ((0.0, -math.inf), 1.0),
        ((-math.inf, 0.0), 0.0),
        ((0.0, -1e6), 1.0),
        ((-1e6, 0.0), 0.0),
        ((-5.0, -5.0), 0.5),
    ],
)
def test_a_judge_may_be_as_sure_as_floats_allow(
    logprobs: tuple[float, float], probability: float
) -> None:
    """Extreme log-probabilities give 0, 1/2 and 1, in both orders, and no error."""
    shown = facts.verdict(0, ORDERS[0], logprobs=logprobs)
    swapped = facts.verdict(0, ORDERS[1], logprobs=logprobs)
    assert shown.probability_first() == pytest.approx(probability, abs=1e-300)
    assert swapped.probability_first() == 1.0 - shown.probability_first()


def test_completions_that_read_alike_are_not_worth_a_judge() -> None:
    """The same text says nothing about which is better, however it was spelled."""
    same = facts.completion(4, 5)
    dropped = screen(facts.sampled(3, same, facts.completion(4, 5)), facts.NOW)
    assert dropped == facts.dropped(3, Reason.IDENTICAL)
    cut_short = replace(same, finish="length")
    assert screen(facts.sampled(3, same, cut_short), facts.NOW) == dropped
    in_other_tokens = replace(facts.completion(9), text=same.text)
    assert screen(facts.sampled(3, same, in_other_tokens), facts.NOW) == dropped
    assert screen(facts.sampled(3, same, facts.completion(4)), facts.NOW) is None
    assert screen(facts.sampled(3, same, facts.completion(5, 4)), facts.NOW) is None


@pytest.mark.parametrize(
    ("cut", "kept"),
    [
        ((False, False), {"keep", "drop", "drop-both"}),
        ((True, False), {"keep", "drop-both"}),
        ((False, True), {"keep", "drop-both"}),
        ((True, True), {"keep"}),
    ],
)
def test_what_was_cut_is_not_worth_a_judge_if_that_is_wanted(
    cut: tuple[bool, bool], kept: set[str]
) -> None:
    """Any completion that hit the limit, or only where both did."""
    pair = facts.sampled(
        3,
        *(
            facts.completion(n, finish="length" if was_cut else "stop")
            for n, was_cut in enumerate(cut)
        ),
    )
    for truncated in ("keep", "drop", "drop-both"):
        dropped = screen(pair, facts.NOW, truncated)
        if truncated in kept:
            assert dropped is None
        else:
            assert dropped == facts.dropped(3, Reason.TRUNCATED)
