"""Which two of several completions become a pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import pytest

from onlinedpo.states import pairing
from onlinedpo.states.records import Completion, Verdict
from tests.states import facts

LIKELY, NOT = (-0.1, -2.4), (-2.4, -0.1)


def written(*texts: str) -> list[Completion]:
    """Draws that read so."""
    return [
        replace(facts.completion(place), text=text) for place, text in enumerate(texts)
    ]


def by_taste(
    ticket: int, drawn: Sequence[Completion], order: str
) -> tuple[Verdict, ...]:
    """Verdicts of a judge that likes what comes earlier in `order`."""
    said = []
    for number, (i, j) in pairing.to_compare(ticket, drawn).items():
        better = order.index(drawn[i].text) < order.index(drawn[j].text)
        winner, logprobs = ("first", LIKELY) if better else ("second", NOT)
        said.append(facts.verdict(number, winner=winner, logprobs=logprobs))  # type: ignore[arg-type]
    return tuple(said)


@pytest.mark.parametrize("order", ["abcd", "dcba", "cadb"])
def test_the_best_and_the_worst_make_the_pair(order: str) -> None:
    """The one that beats all others, and the one that loses to all."""
    drawn = written(*"abcd")

    for ticket in range(20):
        said = by_taste(ticket, drawn, order)
        pair = pairing.best_and_worst(0, ticket, drawn, said)

        assert {drawn[p].text for p in pair} == {order[0], order[-1]}


def test_which_of_the_two_is_the_first_is_a_coin() -> None:
    """The place in a pair says nothing of who is better."""
    drawn = written(*"abcd")

    firsts = Counter(
        drawn[pairing.best_and_worst(0, n, drawn, by_taste(n, drawn, "abcd"))[0]].text
        for n in range(400)
    )

    assert firsts["a"] + firsts["d"] == 400
    assert 160 < firsts["a"] < 240


def test_scores_are_mean_chances() -> None:
    """Borda's count: over the others, of both orders, a failure counting one half."""
    drawn = written(*"abc")
    one, two, three = pairing.to_compare(5, drawn)
    said = (
        facts.verdict(one, logprobs=LIKELY),
        facts.verdict(one, "second-first", logprobs=(-2.4, -0.1)),
        facts.verdict(two, winner=None, failure="no answer came"),
        facts.verdict(three, winner="second", logprobs=NOT),
    )
    likely = said[0].probability_first()

    found = pairing.scores(pairing.to_compare(5, drawn), said)

    assert found == pytest.approx(
        {0: (likely + 0.5) / 2, 1: 1 - likely, 2: (0.5 + likely) / 2}
    )
    assert sum(found.values()) == pytest.approx(1.5)


def test_no_two_prompts_share_the_number_of_a_comparison() -> None:
    """The order in which one is shown, where it is drawn by lot, is its own."""
    drawn = written(*"abcde")

    numbers = [n for ticket in range(50) for n in pairing.to_compare(ticket, drawn)]

    assert len({*numbers}) == len(numbers) == 50 * 10


def test_draws_that_read_the_same_are_compared_once() -> None:
    """Each text stands for all draws of it."""
    drawn = written("a", "b", "a", "c", "b")

    compared = pairing.to_compare(0, drawn)

    assert [*compared.values()] == [*combinations((0, 1, 3), 2)]


@pytest.mark.parametrize(
    ("texts", "pairs"),
    [("aaaa", {(0, 1)}), ("aaba", {(0, 2), (2, 0)}), ("abab", {(0, 1), (1, 0)})],
)
def test_with_two_texts_or_fewer_there_is_nothing_to_rank(
    texts: str, pairs: set[pairing.Places]
) -> None:
    """Two texts are the pair; one alone is too, and is dropped as identical."""
    drawn = written(*texts)

    assert not pairing.to_compare(0, drawn)
    assert {pairing.best_and_worst(0, n, drawn, ()) for n in range(40)} == pairs
    assert {pairing.at_random(0, n, drawn) for n in range(40)} == pairs


def test_at_random_every_two_are_as_likely() -> None:
    """Of four different texts, each ordered pair comes about as often."""
    drawn = written(*"abcd")

    counts = Counter(pairing.at_random(0, n, drawn) for n in range(2400))

    assert len(counts) == 12
    assert all(140 < count < 260 for count in counts.values())


def test_of_equals_the_earlier_draw_is_better() -> None:
    """A judge that fails on all leaves it to the order of the draws."""
    drawn = written(*"abc")
    said = tuple(
        facts.verdict(n, winner=None, failure="no answer came")
        for n in pairing.to_compare(1, drawn)
    )

    assert {*pairing.best_and_worst(0, 1, drawn, said)} == {0, 1}
