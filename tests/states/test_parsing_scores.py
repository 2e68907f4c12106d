"""Scores and choices, read from what came back."""

from __future__ import annotations

import json
import math
from itertools import product

import pytest

from onlinedpo.states.answers import Shown
from onlinedpo.states.verdicts.scores import (
    choice,
    choice_fits,
    preference,
    scores,
    scores_fit,
)

GARBAGE = [
    *("", "first", "{}", "[]", "[1]", "[1, 2, 3]", '["1", "2"]', "[1, null]"),
    *("[NaN, 1]", "[1, Infinity]", "[true, 1]", "null", "NaN"),
    *(f"[1, 1{'0' * 400}]", "[" * 100_000),
]


@pytest.mark.parametrize(
    ("shown", "one"), [("first-second", "first"), ("second-first", "second")]
)
def test_the_higher_score_and_the_place_chosen_win(shown: Shown, one: str) -> None:
    """In the order shown; the swap is undone."""
    other = {"first": "second", "second": "first"}[one]

    assert scores((), shown, "[2.5, -1]") == (one, "")
    assert scores((), shown, "[-1, 2.5]") == (other, "")
    assert scores((), shown, "[3, 3.0]") == ("tie", "")
    assert choice((), shown, "0") == (one, "")
    assert choice((), shown, "1") == (other, "")


@pytest.mark.parametrize("raw", GARBAGE, ids=range(len(GARBAGE)))
def test_what_is_no_score_is_a_failure(raw: str) -> None:
    """Nothing else is ever read as a winner."""
    winner, failure = scores((), "first-second", raw)

    assert winner is None and failure


def test_what_is_no_choice_is_a_failure() -> None:
    """-1 is how TRL's judges say that they have none."""
    for raw in (*GARBAGE, "-1", "2", "0.0", "1.0", "true", "false"):
        winner, failure = choice((), "first-second", raw)
        assert winner is None and failure


def test_the_chance_is_the_sigmoid_of_the_difference() -> None:
    """And it is never NaN, nor above one, however far apart the scores are."""
    for one, other in product((-1e308, -800.0, -1.5, 0.0, 0.25, 3.0, 1e308), repeat=2):
        p, q = preference(one, other)
        assert p <= 0 and q <= 0 and not math.isnan(p + q)
        if abs(one - other) < 500:
            assert math.exp(p) == pytest.approx(1 / (1 + math.exp(other - one)))
            assert math.exp(p) + math.exp(q) == pytest.approx(1)


def test_recorded_chances_are_those_of_the_scores() -> None:
    """A C library may differ in the last bit; a person does in more."""
    p, q = preference(0.3, -0.4)
    raw = json.dumps([0.3, -0.4])

    assert scores_fit((p, q), raw)
    assert scores_fit((p * (1 + 1e-15), q), raw)
    assert not scores_fit((p * 1.001, q), raw)
    assert not scores_fit((), raw)
    assert not scores_fit((p,), raw)
    assert scores_fit((), "[1, null]") and not scores_fit((p, q), "[1, null]")
    assert not scores_fit((p, q), "[1, 2, 3]")
    assert choice_fits((), "0") and not choice_fits((p, q), "0")
