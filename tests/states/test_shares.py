"""Shares of verdicts, whose pairs are drawn again, and differences between shares."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from onlinedpo.states.measuring.agreement import Measure, share, wilson
from onlinedpo.states.measuring.shares import Tally, difference, of_pairs


def interval(measure: Measure) -> tuple[float, float]:
    """Its interval, which there must be."""
    assert measure.low is not None and measure.high is not None
    return measure.low, measure.high


def width(measure: Measure) -> float:
    """How wide it is."""
    low, high = interval(measure)
    return high - low


def test_a_share_is_of_verdicts_and_its_n_of_pairs() -> None:
    """Pairs that say nothing do not count."""
    measure = of_pairs({(2, 2): 10, (1, 2): 20, (0, 1): 5, (0, 0): 1000})

    assert (measure.value, measure.n) == (40 / 65, 35)
    assert of_pairs({(0, 0): 9}) == of_pairs({}) == Measure(None, None, None, 0)


def test_where_no_pair_counts_twice_the_interval_is_wilsons() -> None:
    """As every other share of items."""
    for yes in (0, 1, 30, 40):
        found = of_pairs({(1, 1): yes, (0, 1): 40 - yes})
        wanted = share([1.0] * yes + [0.0] * (40 - yes))
        assert (found.value, found.n) == (wanted.value, wanted.n)
        assert interval(found) == pytest.approx(interval(wanted), abs=1e-12)


def test_two_verdicts_that_go_together_count_as_one() -> None:
    """The interval is that of 100 pairs, and not of their 200 verdicts."""
    together = of_pairs({(2, 2): 50, (0, 2): 50})

    assert interval(together) == pytest.approx(interval(wilson(0.5, 100)))


def test_two_verdicts_that_offset_each_other_leave_little_doubt() -> None:
    """A judge that keeps its choice says first once and second once."""
    offset = of_pairs({(1, 2): 95, (2, 2): 3, (0, 2): 2})

    assert width(offset) < width(wilson(0.5, 200)) / 3


def test_the_interval_is_what_numpy_finds_by_drawing_pairs() -> None:
    """20,000 draws of 200 pairs; ends differ by a twentieth of the width at most."""
    counted: dict[Tally, int] = {(2, 2): 60, (1, 2): 90, (0, 2): 30, (1, 1): 20}
    rng = np.random.default_rng(2)
    drawn = rng.multinomial(200, [n / 200 for n in counted.values()], 20_000)
    hits, of = (drawn @ np.array(column) for column in zip(*counted, strict=True))
    wanted = np.quantile(hits / of, [0.025, 0.975])

    found = interval(of_pairs(counted))
    assert found == pytest.approx(wanted, abs=(wanted[1] - wanted[0]) / 20)


@pytest.mark.parametrize(
    ("tally", "low", "high"),
    [((0, 2), 0.0, 0.0370), ((2, 2), 0.9630, 1.0), ((1, 2), 0.4815, 0.5185)],
)
def test_where_all_pairs_are_alike_the_interval_is_no_point(
    tally: Tally, low: float, high: float
) -> None:
    """100 pairs show that fewer than 3.7 % are otherwise, and not that none is."""
    assert interval(of_pairs({tally: 100})) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("keeps", "bias", "fails"), [(0.8, 0.7, 0.1), (0.5, 0.9, 0.3), (0.9, 0.5, 0.03)]
)
def test_intervals_hold_the_true_share_as_often_as_they_say(
    keeps: float, bias: float, fails: float
) -> None:
    """500 runs of 60 pairs each: wins of the first and failures, in 95 % or so."""
    rng = random.Random(11)
    held = Counter[str]()
    for _ in range(500):
        wins, failures = Counter[Tally](), Counter[Tally]()
        for _ in range(60):
            kept, first = rng.random() < keeps, rng.random() < bias
            said = [True, False] if kept else [first, first]
            read = [win for win in said if rng.random() >= fails]
            wins[sum(read), len(read)] += 1
            failures[2 - len(read), 2] += 1
        for name, counted, true in (
            ("wins", wins, keeps * 0.5 + (1 - keeps) * bias),
            ("failures", failures, fails),
        ):
            low, high = interval(of_pairs(counted))
            held[name] += low <= true <= high

    assert all(0.93 <= count / 500 <= 0.97 for count in held.values()), held


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [((48, 80), (56, 70), 0.0524, 0.3339), ((3, 10), (9, 10), 0.1705, 0.8090)],
)
def test_the_interval_of_a_difference_is_newcombes(
    one: Tally, other: Tally, low: float, high: float
) -> None:
    """The examples of his paper (1998), method 10."""
    measures = [of_pairs({(1, 1): a, (0, 1): n - a}) for a, n in (one, other)]
    apart = difference(*measures)

    assert apart.value == pytest.approx(other[0] / other[1] - one[0] / one[1])
    assert interval(apart) == pytest.approx((low, high), abs=5e-5)
    assert apart.n == min(one[1], other[1])


def test_of_four_looks_each_is_wider() -> None:
    """Where all four are to hold together in 95 %, each must in 98.75 %."""
    one, other = wilson(0.5, 100), wilson(0.55, 100)
    alone, together = difference(one, other), difference(one, other, looks=4)

    assert width(together) == pytest.approx(width(alone) * 2.4977 / 1.9600, rel=1e-4)


def test_what_is_undefined_has_no_difference() -> None:
    """To anything."""
    nothing = of_pairs({})

    assert difference(nothing, wilson(0.5, 40)) == nothing
    assert difference(wilson(0.5, 40), nothing) == nothing
