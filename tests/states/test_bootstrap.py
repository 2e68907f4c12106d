"""Drawing again: as many as there are, of each kind as often as chance has it."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from statistics import fmean, pvariance

import numpy as np
import pytest
from scipy.stats import poisson

from onlinedpo.states.measuring import bootstrap
from onlinedpo.states.measuring.bootstrap import by_category, interval, one_by_one

MIXED = {"a": 700, "b": 250, "c": 45, "d": 5}


@pytest.mark.parametrize(
    ("mean", "off"),
    [(1, 0), (7, 0), (60, 0), (300, 0), (301, 1), (5000, 1), (10**6, 1)],
)
def test_numbers_of_a_kind_are_poissons(mean: int, off: int) -> None:
    """2000 quantiles are those of scipy, and near them where a table is too long."""
    numbers = [k * 2**32 // 2000 + 7 for k in range(2000)]
    wanted = poisson.ppf([(n + 0.5) / 2**32 for n in numbers], mean)

    assert np.abs(np.array(bootstrap._poisson(mean, numbers)) - wanted).max() <= off


def test_kinds_are_drawn_independently_and_as_often_as_they_occur() -> None:
    """Mean and variance are the number of items of a kind; kinds do not go together."""
    drawn = [[d.get(kind, 0) for kind in MIXED] for d in by_category(MIXED, 4000)]

    for column, count in zip(zip(*drawn, strict=True), MIXED.values(), strict=True):
        assert fmean(column) == pytest.approx(count, rel=0.03)
        assert pvariance(column) == pytest.approx(count, rel=0.08)
    together = np.corrcoef(np.array(drawn).T) - np.eye(4)
    assert np.abs(together).max() < 0.06


def test_both_ways_of_drawing_and_numpy_give_the_same_interval() -> None:
    """Of a share of 1000 items; ends differ by a fifteenth of the width at most."""

    def share_of_a(drawn: Counter[str] | dict[str, int]) -> float:
        return drawn.get("a", 0) / sum(drawn.values())

    rng = np.random.default_rng(1)
    multinomial = rng.multinomial(1000, [n / 1000 for n in MIXED.values()], 20_000)
    wanted = np.quantile(multinomial[:, 0] / 1000, [0.025, 0.975])
    for found in (
        interval(by_category(MIXED, 4000), share_of_a),
        interval(one_by_one([*Counter(MIXED).elements()], 1000), share_of_a),
    ):
        assert found == pytest.approx(wanted, abs=(wanted[1] - wanted[0]) / 15)


def test_the_middle_of_the_draws_is_the_interval() -> None:
    """Of 1000 values the 26th from either end; of fewer that are defined likewise."""
    assert interval(range(1000), float) == (25.0, 974.0)
    assert interval(range(1000), lambda k: k if k >= 40 else None) == (64, 975)
    assert interval(range(1000), lambda k: k if k >= 50 else None) is None
    assert interval([], float) is None


def test_a_kind_that_is_not_drawn_is_not_there() -> None:
    """So that what is undefined without it is seen to be undefined."""
    sizes = {len(drawn) for drawn in by_category({"often": 50, "once": 1}, 200)}

    assert sizes == {1, 2}


def test_the_same_items_are_drawn_for_ever() -> None:
    """In any process, on any machine; and no two draws are alike."""
    first = next(by_category(MIXED, 50))
    drawn = [tuple(d.items()) for d in by_category(MIXED, 50)]

    assert first == {"a": 736, "b": 278, "c": 47, "d": 4}
    assert all(one != other for one, other in pairwise(drawn))
