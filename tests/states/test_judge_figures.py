"""A judge is questioned: what is counted, on judges whose habits are known."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from onlinedpo.states.answers import ORDERS, Side
from onlinedpo.states.measuring.agreement import Measure
from onlinedpo.states.measuring.judge_figures import (
    DRIFTING,
    FIGURES,
    Drift,
    beside_people,
    drift,
    figure,
)
from onlinedpo.states.measuring.judge_record import Judge
from onlinedpo.states.measuring.judged_pair import JudgedPair
from tests.states.judges import (
    Rule,
    always,
    judge_of,
    judged,
    kind_of,
    left,
    longest,
    pair_of,
    says,
    verdicts,
)

CLEAR, NEAR, SAME = (9, 3), (10, 9), (4, 4)


def value(name: str, pairs: Mapping[JudgedPair, int]) -> tuple[float | None, int]:
    """A figure and the number of pairs that it was taken on."""
    measure = figure(name, pairs)
    return measure.value, measure.n


def interval(measure: Measure) -> tuple[float, float]:
    """Its interval, which there must be."""
    assert measure.low is not None and measure.high is not None
    return measure.low, measure.high


def run_of(*stretches: tuple[int, Rule]) -> Judge:
    """One pair at each step, judged by one rule for so many steps, then by the next."""
    rules = [rule for count, rule in stretches for _ in range(count)]
    return judge_of(
        *(
            judged(pair_of(n, 3 + n % 2, 4 - n % 2, step=n), rule)
            for n, rule in enumerate(rules)
        )
    )


def test_a_judge_that_always_says_a_is_found_out() -> None:
    """It never keeps its choice: what is shown first always wins."""
    pairs = {kind_of(left, *CLEAR): 25, kind_of(left, *SAME): 15}

    assert value("consistency", pairs) == (0.0, 40)
    assert value("first_wins", pairs) == (1.0, 40)
    assert value("disagreed", pairs) == (1.0, 40)
    assert value("decided", pairs) == (0.0, 40)
    assert value("longer_wins", pairs) == value("as_first", pairs) == (None, 0)


def test_a_judge_that_always_takes_the_longest_is_found_out() -> None:
    """It keeps its choice, has no bias of place, and is the longest in all pairs."""
    pairs = Counter(
        {
            kind_of(longest, *CLEAR): 20,
            kind_of(longest, *CLEAR[::-1]): 10,
            kind_of(longest, *NEAR): 6,
            kind_of(longest, *SAME): 4,
        }
    )

    assert value("consistency", pairs) == (1.0, 36)
    assert value("first_wins", pairs) == (0.5, 36)
    assert value("longer_wins", pairs) == value("as_longest", pairs) == (1.0, 36)
    assert value("longer_wins_matched", pairs) == (1.0, 6)
    assert value("longer_wins_clear", pairs) == (1.0, 30)
    assert value("as_first", pairs) == (26 / 36, 36)
    assert value("ties", pairs) == value("tied", pairs) == (0.1, 40)


def test_a_failure_counts_by_verdict_and_loses_its_pair() -> None:
    """One of two that fails is half of the verdicts and all of the pair."""
    pairs = {
        kind_of(says("first", None)): 8,
        kind_of(says(None, None)): 2,
        kind_of(says(None, "tie")): 1,
        kind_of(says("first", "first")): 29,
    }

    assert value("failures", pairs) == (13 / 80, 40)
    assert value("failed", pairs) == (11 / 40, 40)
    assert value("ties", pairs) == (1 / 80, 40)
    assert value("consistency", pairs) == (1.0, 29)
    # 8 verdicts for what was shown first, and 29 pairs in which each order wins once.
    assert value("first_wins", pairs) == (37 / 66, 37)


def test_a_tie_is_no_choice_that_could_be_kept() -> None:
    """A tie in one order or in both: the pair is not among those that choose twice."""
    pairs = {
        kind_of(says("tie", "tie")): 5,
        kind_of(says("tie", "second")): 5,
        kind_of(says("first", "second")): 3,
        kind_of(says("second", "second")): 7,
    }

    assert value("consistency", pairs) == (0.7, 10)
    assert value("tied", pairs) == (0.5, 20)
    assert value("disagreed", pairs) == (3 / 20, 20)
    assert value("ties", pairs) == (15 / 40, 20)


def test_asked_in_one_order_there_is_nothing_to_swap() -> None:
    """Each verdict is the decision; what was shown first is known all the same."""
    pairs = {
        kind_of(left, *CLEAR, orders=ORDERS[:1]): 10,
        kind_of(left, *CLEAR, orders=ORDERS[1:]): 10,
    }

    assert value("consistency", pairs) == (None, 0)
    assert value("first_wins", pairs) == value("as_first", pairs) == (1.0, 20)
    assert value("decided", pairs) == (1.0, 20)
    assert value("longer_wins", pairs) == (0.5, 20)


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        (10, 10, ""),
        (10, 9, "matched"),
        (9, 10, "matched"),
        (100, 90, "matched"),
        (100, 89, "between"),
        (3, 2, "clear"),
        (2, 3, "clear"),
        (149, 100, "between"),
        (1, 0, "clear"),
        (0, 0, ""),
    ],
)
def test_lengths_are_matched_clearly_apart_or_between(
    one: int, other: int, apart: str
) -> None:
    """Within a tenth of the longer; half as long again or more."""
    pair = kind_of(always("first"), one, other)

    assert pair.apart == apart
    assert pair.longer == (
        None if one == other else "first" if one > other else "second"
    )


def test_longer_wins_are_matched_for_length() -> None:
    """A judge that likes length only where it is plain is told from one that looks."""
    pairs = {
        kind_of(always("first"), *NEAR): 20,
        kind_of(always("second"), *NEAR): 20,
        kind_of(always("first"), *CLEAR): 36,
        kind_of(always("second"), *CLEAR): 4,
        kind_of(always("first"), 8, 6): 20,
    }

    assert value("longer_wins_matched", pairs) == (0.5, 40)
    assert value("longer_wins_clear", pairs) == (0.9, 40)
    assert value("longer_wins", pairs) == (76 / 100, 100)


def test_equally_long_ones_are_the_longest_half_of_the_time() -> None:
    """The longest would have to guess there."""
    pairs = {kind_of(always("first"), *SAME): 10, kind_of(always("first"), *CLEAR): 10}

    assert value("as_longest", pairs) == (0.75, 20)


def test_every_figure_is_undefined_where_nothing_was_judged() -> None:
    """No figure is made up."""
    for name in FIGURES:
        assert figure(name, {}) == Measure(None, None, None, 0)


# -- drift


def test_the_run_is_cut_into_equal_parts() -> None:
    """Five by the policy's step; all pairs are in one of them."""
    parts = drift(run_of((203, always("first")))).parts

    assert [(part.begin, part.end) for part in parts] == [
        *((0, 40), (41, 81), (82, 121), (122, 162), (163, 202))
    ]
    assert [part.pairs for part in parts] == [41, 41, 40, 41, 40]


def test_a_judge_that_came_later_has_parts_from_there() -> None:
    """Its first part begins where it did."""
    lives = [judged(pair_of(n, step=100 + n), always("first")) for n in range(60)]
    parts = drift(judge_of(*lives)).parts

    assert [(part.begin, part.end, part.pairs) for part in parts] == [
        *((100, 129, 30), (130, 159, 30))
    ]


@pytest.mark.parametrize(
    ("pairs", "parts"), [(150, 5), (149, 4), (90, 3), (60, 2), (59, 0)]
)
def test_there_are_as_many_parts_as_have_thirty_pairs(pairs: int, parts: int) -> None:
    """And no drift is told of fewer than two."""
    found = drift(run_of((pairs, always("first"))))

    assert len(found.parts) == parts
    assert bool(found.difference) == (parts > 0)
    assert not any(found.flagged(name) for name in DRIFTING)


def test_all_pairs_at_one_step_cannot_drift() -> None:
    """There is no first and no last part."""
    lives = [judged(pair_of(n), always("first")) for n in range(100)]

    assert drift(judge_of(*lives)).parts == ()
    assert drift(Judge({})).parts == ()


def test_a_judge_that_drifts_is_found_out() -> None:
    """At first it keeps its choice; then it says A, and later nothing."""
    judge = run_of((120, always("first")), (40, left), (40, says(None, None)))
    found = drift(judge)

    rows = {name: [p.figures[name].value for p in found.parts] for name in DRIFTING}
    assert rows["consistency"] == [1.0, 1.0, 1.0, 0.0, None]
    assert rows["failures"] == [0.0, 0.0, 0.0, 0.0, 1.0]
    assert found.difference["failures"].value == 1.0
    assert found.flagged("failures")
    # There is no choice in the last part that could have been kept.
    assert not found.flagged("consistency")
    assert drift(run_of((120, always("first")), (80, left))).flagged("consistency")


def test_longer_wins_that_rise_are_found_out() -> None:
    """From every second one to all."""
    found = drift(run_of((100, always("first")), (100, longest)))

    assert found.parts[0].figures["longer_wins"].value == 0.5
    assert found.difference["longer_wins"].value == 0.5
    assert found.flagged("longer_wins")


@pytest.mark.parametrize(
    ("value", "low", "high", "n", "flagged"),
    [
        (-0.06, -0.09, -0.03, 40, True),
        (0.06, 0.03, 0.09, 40, True),
        (-0.06, -0.13, 0.01, 40, False),
        (0.06, -0.01, 0.13, 40, False),
        (-0.02, -0.03, -0.01, 40_000, False),
        (-0.06, -0.09, -0.03, 29, False),
        (None, None, None, 40, False),
    ],
)
def test_a_move_is_flagged_if_it_is_sure_and_matters(
    value: float | None, low: float | None, high: float | None, n: int, flagged: bool
) -> None:
    """Zero is outside its interval, it is five points or more, and pairs are enough."""
    found = Drift((), {"consistency": Measure(value, low, high, n)})

    assert found.flagged("consistency") is flagged


def test_a_judge_that_does_not_drift_is_seldom_flagged() -> None:
    """Four figures are looked at, in 80 runs; about one run in twenty may be."""
    rng = random.Random(4)
    flagged = 0
    for _ in range(80):
        judge = Judge({})
        for step in range(200):
            pair = pair_of(step, 3 + rng.randrange(2), 4 - rng.randrange(2), step)
            side: Side = rng.choice(("first", "second"))
            rule = always(side) if rng.random() < 0.8 else left
            judge.take(pair, verdicts(pair, rule))
        found = drift(judge)
        flagged += any(found.flagged(name) for name in DRIFTING)

    assert flagged <= 8


# -- beside people


def rows(count: int, person: Side, pair: JudgedPair) -> list[tuple[Side, JudgedPair]]:
    """As many pairs of a kind, of which a person chose this side."""
    return [(person, pair)] * count


ROWS = [
    *rows(14, "first", kind_of(always("first"), 9, 3)),
    *rows(6, "first", kind_of(always("second"), 9, 3)),
    *rows(10, "second", kind_of(always("second"), 9, 3)),
    *rows(2, "second", kind_of(always("first"), 3, 9)),
    *rows(5, "first", kind_of(always("first"), 4, 4)),
    *rows(3, "second", kind_of(always("second"), 4, 4)),
]
"""40 pairs: the judge is right in 32, the longest in 22 and half of 8."""


def plain(choices: Any, of: Any) -> float:
    """Kappa as scikit-learn has it."""
    return float(cohen_kappa_score(list(choices), list(of)))


def test_the_judge_stands_beside_simpler_ones_on_the_same_pairs() -> None:
    """Raw agreement with people, of each."""
    found = beside_people(ROWS)

    assert (found.judge.raw.value, found.judge.raw.n) == (32 / 40, 40)
    assert found.longest.raw.value == (22 + 8 / 2) / 40
    assert found.first.raw.value == 25 / 40
    assert found.beyond_longest.value == pytest.approx((32 - 26) / 40)


def test_kappa_is_that_of_scikit_learn() -> None:
    """For the longest too, of which a tie is either side in half of the pairs."""
    people = [person for person, _ in ROWS]
    found = beside_people(ROWS)

    assert found.judge.kappa.value == pytest.approx(
        plain(people, [pair.chosen for _, pair in ROWS])
    )
    assert found.first.kappa.value == 0.0
    halves = [
        (person, side)
        for person, pair in ROWS
        for side in ([pair.longer] * 2 if pair.longer else ["first", "second"])
    ]
    assert found.longest.kappa.value == pytest.approx(plain(*zip(*halves, strict=True)))


def test_that_the_judge_is_better_is_taken_pair_by_pair() -> None:
    """The interval is that of the differences, drawn again: numpy's, within a tenth."""
    beyond = [
        (pair.chosen == person)
        - (0.5 if pair.longer is None else float(pair.longer == person))
        for person, pair in ROWS
    ]
    rng = np.random.default_rng(5)
    drawn = rng.choice(beyond, (20_000, len(beyond))).mean(axis=1)
    wanted = np.quantile(drawn, [0.025, 0.975])

    found = interval(beside_people(ROWS).beyond_longest)
    assert found == pytest.approx(wanted, abs=(wanted[1] - wanted[0]) / 10)


def test_a_judge_that_is_the_longest_is_no_better_than_it() -> None:
    """Not by a hair, and the interval says so."""
    pair = kind_of(longest, *CLEAR)
    found = beside_people(rows(27, "first", pair) + rows(13, "second", pair))

    assert interval(found.beyond_longest) == (0.0, 0.0)


def test_with_one_order_the_first_is_what_was_shown_first() -> None:
    """Which is not always the pair's first."""
    found = beside_people(
        [
            *rows(20, "first", kind_of(always("first"), orders=ORDERS[:1])),
            *rows(20, "first", kind_of(always("first"), orders=ORDERS[1:])),
        ]
    )

    assert found.first.raw.value == 0.5


def test_without_people_nothing_is_known_of_it() -> None:
    """No figure is made up."""
    found = beside_people([])

    nothing = Measure(None, None, None, 0)
    assert found.judge.raw == found.longest.kappa == found.beyond_longest == nothing
