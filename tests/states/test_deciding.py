"""What several judges come to: more than half of them name the same side, or none."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from onlinedpo.states.answers import ORDERS
from onlinedpo.states.records import Dropped, Label, Reason, Verdict
from onlinedpo.states.verdicts.deciding import decide
from tests.states import facts
from tests.states.judges import always, pair_of, says, verdicts

RULES = {
    "1": always("first"),
    "2": always("second"),
    "tie": says("tie", "tie"),
    "torn": says("first", "second"),
    "failed": says("first", None),
}
"""What a judge may come to by itself."""
ALONE = {"tie": Reason.TIE, "torn": Reason.DISAGREED, "failed": Reason.FAILED}


def judge(number: int) -> dict[str, Any]:
    """Who a judge of the panel is."""
    return {"kind": "model", "id": f"judge {number}", "parser": 1}


def said_by(*opinions: str, **more: Any) -> list[Verdict]:
    """The verdicts of a panel on a pair, judge by judge."""
    return [
        verdict
        for number, opinion in enumerate(opinions)
        for verdict in verdicts(pair_of(0), RULES[opinion], judge=judge(number), **more)
    ]


def outcome(*opinions: str) -> str:
    """The side that a panel names, or why it names none."""
    decision = decide(said_by(*opinions), facts.NOW)
    return str(decision.chosen) if isinstance(decision, Label) else decision.reason


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_more_than_half_of_all_judges_decide(size: int) -> None:
    """Every panel of so many: those that name no side count against either."""
    for opinions in product(RULES, repeat=size):
        first, second = (2 * opinions.count(side) > size for side in ("1", "2"))
        wanted = "first" if first else "second" if second else None
        alike = {ALONE.get(opinion, "") for opinion in opinions}
        if wanted is None:
            (why,) = alike if len(alike) == 1 else {""}
            wanted = why or Reason.NO_MAJORITY
        assert outcome(*opinions) == wanted, opinions


@pytest.mark.parametrize(
    ("opinions", "comes_to"),
    [
        (("1", "2"), Reason.NO_MAJORITY),
        (("1", "failed"), Reason.NO_MAJORITY),
        (("1", "1", "2"), "first"),
        (("1", "1", "failed"), "first"),
        (("1", "failed", "failed"), Reason.NO_MAJORITY),
        (("1", "1", "2", "2"), Reason.NO_MAJORITY),
        (("2", "2", "2", "tie"), "second"),
        (("1", "1", "2", "2", "failed"), Reason.NO_MAJORITY),
        (("tie", "tie"), Reason.TIE),
        (("failed", "failed", "failed"), Reason.FAILED),
    ],
)
def test_some_panels_by_name(opinions: tuple[str, ...], comes_to: str) -> None:
    """Of two both must agree, of four three; a failure is nobody's vote."""
    assert outcome(*opinions) == comes_to


def test_judges_come_in_any_order() -> None:
    """The order of the judges decides nothing."""
    verdicts_of = said_by("1", "2", "1", "failed", "1")
    decisions = {
        (type(d), getattr(d, "chosen", ""), getattr(d, "confidence", 0))
        for d in (decide(verdicts_of, 0.0), decide(verdicts_of[::-1], 0.0))
    }
    assert len(decisions) == 1


def test_a_panel_is_as_sure_as_its_judges_on_average() -> None:
    """One that names the other side, or none, makes it less sure."""
    sure = decide(said_by("1", "1", "1"), 0.0)
    less = decide(said_by("1", "1", "2"), 0.0)
    half = decide(said_by("1", "1", "tie"), 0.0)

    assert isinstance(sure, Label) and isinstance(less, Label)
    assert isinstance(half, Label)
    alone = decide(said_by("1"), 0.0)
    assert isinstance(alone, Label)
    p = alone.confidence
    assert sure.confidence == pytest.approx(p)
    assert less.confidence == pytest.approx((p + p + (1 - p)) / 3)
    assert half.confidence == pytest.approx((p + p + 0.5) / 3)


def test_the_last_attempt_of_a_judge_counts() -> None:
    """Asked again after it failed, it has said what it said then."""
    failed, answered = (
        verdicts(pair_of(0), rule, ORDERS[:1])
        for rule in (says(None, None), RULES["1"])
    )
    again = [replace(answered[0], attempt=2)]

    assert isinstance(decide([*failed, *again], 0.0), Label)
    assert isinstance(decide([*answered, *failed], 0.0), Dropped)
