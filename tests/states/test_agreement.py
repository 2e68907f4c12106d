"""Agreement beyond chance: the figures of the literature, and honest intervals."""

from __future__ import annotations

import math
import random
import time
import warnings
from collections.abc import Callable
from itertools import combinations
from typing import Literal

import krippendorff
import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score

from onlinedpo.states.measuring import agreement
from onlinedpo.states.measuring.agreement import (
    Distance,
    Measure,
    alpha,
    kappa,
    mcnemar,
    ordinal,
    raw,
    share,
)

Table = list[list[int | None]]
"""For each rater what they gave to each item; None where they gave nothing."""

Level = Literal["nominal", "ordinal"]
DISTANCES: dict[Level, Distance] = {"nominal": agreement.nominal, "ordinal": ordinal}
__ = None
# Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", parts A, B and C.
TWO_RATERS_BINARY: Table = [
    [0, 1, 0, 0, 0, 0, 0, 0, 1, 0],
    [1, 1, 1, 0, 0, 1, 0, 0, 0, 0],
]
TWO_RATERS_NOMINAL: Table = [
    [1, 1, 2, 2, 4, 3, 3, 3, 5, 4, 4, 1],
    [2, 1, 2, 2, 2, 3, 3, 3, 5, 4, 4, 4],
]
FOUR_RATERS: Table = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, __, __, __],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, __, 3],
    [__, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, __],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, __],
]


def by_item(table: Table) -> list[list[int]]:
    """The ratings of each item, the missing ones left out."""
    return [[v for v in column if v is not None] for column in zip(*table, strict=True)]


def random_table(seed: int) -> Table:
    """Raters who lean towards an item's true value, and leave some items out."""
    rng = random.Random(seed)
    raters, items, values = rng.randint(2, 5), rng.randint(2, 40), rng.randint(1, 5)
    missing, noise = rng.choice([0.0, 0.2, 0.6]), rng.random()
    truth = [rng.randint(-2, values - 3) for _ in range(items)]
    return [
        [
            None
            if rng.random() < missing
            else rng.randint(-2, values - 3)
            if rng.random() < noise
            else value
            for value in truth
        ]
        for _ in range(raters)
    ]


def value(measure: Measure) -> float:
    """The figure, which there must be."""
    assert measure.value is not None
    return measure.value


def interval(measure: Measure) -> tuple[float, float]:
    """Its interval, which there must be."""
    assert measure.low is not None and measure.high is not None
    return measure.low, measure.high


@pytest.mark.parametrize(
    ("table", "level", "published"),
    [
        (TWO_RATERS_BINARY, "nominal", 0.095),
        (TWO_RATERS_NOMINAL, "nominal", 0.692),
        (FOUR_RATERS, "nominal", 0.743),
        (FOUR_RATERS, "ordinal", 0.815),
    ],
)
def test_alpha_has_the_values_that_krippendorff_published(
    table: Table, level: Level, published: float
) -> None:
    """His own worked examples, to the digits that he prints."""
    assert value(alpha(by_item(table), DISTANCES[level])) == pytest.approx(
        published, abs=5e-4
    )


@pytest.mark.parametrize("level", DISTANCES)
def test_alpha_is_what_the_krippendorff_package_says(level: Level) -> None:
    """300 random tables, two to five raters, up to 60 % missing: equal to 1e-9."""
    compared = 0
    for seed in range(300):
        table = random_table(seed)
        items = by_item(table)
        found = alpha(items, DISTANCES[level], draws=0)
        rated = [item for item in items if len(item) > 1]
        assert found.n == len(rated)
        if len({v for item in rated for v in item}) < 2:
            assert found.value is None
            continue
        plain = [[math.nan if v is None else v for v in row] for row in table]
        wanted = krippendorff.alpha(
            reliability_data=np.array(plain, float), level_of_measurement=level
        )
        assert value(found) == pytest.approx(float(wanted), abs=1e-9), seed
        compared += 1
    assert compared > 200


def test_kappa_is_what_scikit_learn_says() -> None:
    """Every two raters of 300 random tables, on what both rated: equal to 1e-9."""
    compared = 0
    for seed in range(300):
        for one, other in combinations(random_table(seed), 2):
            both = [
                (a, b)
                for a, b in zip(one, other, strict=True)
                if a is not None and b is not None
            ]
            found = kappa(both, draws=0)
            if not both:
                assert found == Measure(None, None, None, 0)
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                wanted = float(cohen_kappa_score(*zip(*both, strict=True)))
            if math.isnan(wanted):
                assert found.value is None
            else:
                assert value(found) == pytest.approx(wanted, abs=1e-9), seed
                compared += 1
    assert compared > 500


@pytest.mark.parametrize("level", DISTANCES)
def test_one_category_alone_leaves_kappa_and_alpha_undefined(level: Level) -> None:
    """All say the same and nothing else: that is neither agreement 1 nor 0."""
    undefined = Measure(None, None, None, 40)
    assert kappa([(1, 1)] * 40) == undefined
    assert alpha([(1, 1)] * 40, DISTANCES[level]) == undefined
    # What one rater alone gave cannot be compared, so it is no second category.
    assert alpha([*[(1, 1)] * 40, (2,)], DISTANCES[level]) == undefined


def test_with_nothing_to_compare_there_is_no_figure() -> None:
    """No item, or none with two ratings: None, taken on 0 items."""
    nothing = Measure(None, None, None, 0)
    assert share([]) == raw([]) == raw([[1], []]) == nothing
    assert kappa([]) == alpha([]) == alpha([[1], []]) == nothing


def test_raters_who_never_give_the_same_have_a_kappa() -> None:
    """One always says 1, the other always 2: agreement as by chance, which is none."""
    assert value(kappa([(1, 2)] * 40)) == 0.0


def test_the_scale_counts_only_for_the_ordinal_alpha() -> None:
    """Differing by one step weighs less than by all of them, unless it is nominal."""
    agreed = [(v, v) for v in (-2, -1, 0, 1, 2)] * 4
    near, far = [(-2, -1), (1, 2)] * 5, [(-2, 2), (1, -1)] * 5

    assert value(alpha([*agreed, *near], ordinal)) > 0.8
    assert value(alpha([*agreed, *far], ordinal)) < 0.4
    assert value(alpha([*agreed, *near])) == pytest.approx(
        value(alpha([*agreed, *far])), abs=0.01
    )


def test_raw_agreement_is_a_mean_over_items() -> None:
    """Three raters of whom two agree are a third agreement; a lone rating is none."""
    assert value(raw([[1, 1], [1, 2]])) == 0.5
    assert value(raw([[1, 1, 2]])) == pytest.approx(1 / 3)
    assert raw([[1, 1], [1, 2, 1], [2]]).n == 2


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (20, 20, 0.8389, 1.0),
    ],
)
def test_the_interval_of_a_share_is_wilsons(
    hits: int, n: int, low: float, high: float
) -> None:
    """The examples of Newcombe (1998), and one of them mirrored."""
    measure = share([1.0] * hits + [0.0] * (n - hits))

    assert value(measure) == hits / n
    assert interval(measure) == pytest.approx((low, high), abs=5e-5)


def draw(rng: random.Random, n: int) -> list[tuple[int, int]]:
    """Two raters who give the same in 60 % of the items, and else guess a side."""
    items = []
    for _ in range(n):
        a, b, same = rng.randint(0, 1), rng.randint(0, 1), rng.random() < 0.6
        items.append((a, a) if same else (a, b))
    return items


def test_intervals_hold_the_true_value_as_often_as_they_say() -> None:
    """150 samples of 80 items with a known kappa of 0.6: about 95 % of them hold it."""
    rng = random.Random(5)
    samples = [draw(rng, 80) for _ in range(150)]
    for measures in (
        [kappa(items, draws=300) for items in samples],
        [alpha(items, draws=300) for items in samples],
    ):
        held = [low <= 0.6 <= high for low, high in map(interval, measures)]
        assert 0.90 <= sum(held) / len(held) <= 0.99


def test_an_interval_holds_its_figure_and_narrows_with_more_items() -> None:
    """Sixteen times the items, about a quarter of the width."""
    rng = random.Random(6)
    few, many = kappa(draw(rng, 60)), kappa(draw(rng, 960))

    widths = []
    for measure in (few, many):
        low, high = interval(measure)
        assert low < value(measure) < high
        widths.append(high - low)
    assert 3 < widths[0] / widths[1] < 5.5


def test_the_same_answers_give_the_same_interval_for_ever() -> None:
    """Two calls, any process and any machine draw the same items again."""
    items = draw(random.Random(7), 50)

    assert kappa(items) == kappa(items)
    assert alpha(items, ordinal) == alpha(items, ordinal)
    assert interval(kappa([(0, 0), (1, 1), (0, 1)] * 20)) == pytest.approx(
        (0.24491771539206195, 0.5859872611464968), abs=1e-12
    )


def test_who_is_named_first_does_not_matter() -> None:
    """Raters may be swapped: figure and interval stay."""
    items = draw(random.Random(8), 50)
    swapped = [(b, a) for a, b in items]

    assert kappa(swapped) == kappa(items)
    assert alpha(swapped) == alpha(items)


def test_there_is_no_interval_where_drawing_again_often_leaves_no_figure() -> None:
    """One odd item among 40 is in two draws of three only: no interval is made up."""
    measure = kappa([*[(1, 1)] * 39, (2, 2)])

    assert measure == Measure(1.0, None, None, 40)


@pytest.mark.parametrize(("n", "enough"), [(0, False), (29, False), (30, True)])
def test_below_thirty_items_are_too_few(n: int, enough: bool) -> None:
    """The figure says so itself."""
    assert share([1.0] * n).enough is enough


def test_many_items_have_the_interval_that_drawing_each_would_give(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They are counted by kind; ends differ by a tenth of the width at most."""
    items = draw(random.Random(12), 1200)
    takes: list[Callable[[], Measure]] = [lambda: kappa(items), lambda: alpha(items)]
    exact = [interval(take()) for take in takes]

    monkeypatch.setattr(agreement, "EXACT", 1199)
    for (low, high), take in zip(exact, takes, strict=True):
        ends = interval(take())
        assert ends != (low, high)
        assert ends == pytest.approx((low, high), abs=(high - low) / 10)


def test_mcnemar_is_the_two_sided_test_of_a_coin() -> None:
    """All counts up to 24 and some large ones, as scipy's binomial test has them."""
    small = [(b, c) for b in range(25) for c in range(25) if b + c]
    large = [(5000, 5200), (3, 2000), (100_000, 100_000), (1_000_000, 1_002_500)]
    for b, c in small + large:
        wanted = binomtest(b, b + c).pvalue
        assert mcnemar(b, c) == pytest.approx(wanted, rel=1e-8), (b, c)


def test_where_nothing_differs_mcnemar_sees_nothing() -> None:
    """No pair that flipped, or as many either way: p is 1."""
    assert mcnemar(0, 0) == mcnemar(7, 7) == mcnemar(1, 0) == 1.0
    assert mcnemar(0, 6) == mcnemar(6, 0) == pytest.approx(2 / 2**6)


def test_two_thousand_items_take_less_than_two_seconds() -> None:
    """Each measure on its own, interval and all."""
    rng = random.Random(9)
    items = [(rng.randint(-2, 2), rng.randint(-2, 2)) for _ in range(2000)]
    for take in (kappa, alpha, lambda rated: alpha(rated, ordinal)):
        began = time.process_time()
        interval(take(items))
        assert time.process_time() - began < 2
