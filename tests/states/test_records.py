"""What records say of themselves."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, replace
from typing import get_args

import pytest

from onlinedpo.states.records import Completion, Record, Sampled
from tests.states import facts

PAIR = facts.sampled(12)


def test_a_pair_is_named_by_its_ticket_and_its_tokens() -> None:
    """The name is part of the format: people and label files refer to it."""
    assert PAIR.pair == "000012-3278dd94"
    assert facts.sampled(1_234_567).pair.startswith("1234567-")


def changed(tokens: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Every way of changing one token, one fewer, one more, another order."""
    ones = [(*tokens[:i], t + 1, *tokens[i + 1 :]) for i, t in enumerate(tokens)]
    return [*ones, tokens[1:], tokens[:-1], (*tokens, 0), tokens[::-1]]


def test_any_changed_token_changes_the_name() -> None:
    """A label can never be taken for a pair of other tokens."""

    def with_tokens(side: Completion, tokens: tuple[int, ...]) -> Completion:
        return replace(side, tokens=tokens)

    others = [
        *(replace(PAIR, prompt_tokens=t) for t in changed(PAIR.prompt_tokens)),
        *(
            replace(PAIR, first=with_tokens(PAIR.first, t))
            for t in changed(PAIR.first.tokens)
        ),
        *(
            replace(PAIR, second=with_tokens(PAIR.second, t))
            for t in changed(PAIR.second.tokens)
        ),
        replace(PAIR, first=PAIR.second, second=PAIR.first),
        replace(PAIR, ticket=13),
        # A token that moves from the prompt's end to a completion's start.
        replace(
            PAIR, prompt_tokens=(1, 2), first=with_tokens(PAIR.first, (3, 4, 5, 6))
        ),
    ]
    names = [other.pair for other in (PAIR, *others)]
    assert len(names) == len(set(names))


def test_the_name_depends_on_tokens_alone() -> None:
    """What is told about a pair (text, time, step) does not rename it."""
    same = replace(
        PAIR, time=0.0, step=9, epoch=3, first=replace(PAIR.first, text="other")
    )
    assert same.pair == PAIR.pair


def test_a_pair_is_truncated_if_either_side_is() -> None:
    """`pairs/truncated_frac` counts pairs in which a completion hit the limit."""
    stop, cut = facts.completion(1), facts.completion(2, finish="length")
    sides = [(stop, stop), (stop, cut), (cut, stop), (cut, cut)]
    pairs = [facts.sampled(0, *side) for side in sides]
    assert [pair.truncated for pair in pairs] == [False, True, True, True]


def test_a_pair_gives_out_its_sides() -> None:
    """First is first, second is second."""
    assert PAIR.side("first") is PAIR.first
    assert PAIR.side("second") is PAIR.second


@pytest.mark.parametrize(
    ("outcomes", "rate"),
    [
        (("win",), 1.0),
        (("loss", "loss"), 0.0),
        (("tie", "tie", "tie"), 0.5),
        (("win", "loss", "tie", "tie"), 0.5),
        (("win", "failed", "failed"), 1.0),
        (("win", "win", "loss", "failed"), 2 / 3),
    ],
)
def test_a_win_rate_is_wins_and_half_the_ties_of_what_was_decided(
    outcomes: tuple[str, ...], rate: float
) -> None:
    """What the judge could not decide counts for neither."""
    assert facts.evaluated(0, *outcomes).win_rate == pytest.approx(rate)


@pytest.mark.parametrize("outcomes", [(), ("failed",), ("failed",) * 5])
def test_a_win_rate_of_nothing_decided_is_no_number(outcomes: tuple[str, ...]) -> None:
    """Neither 0 nor 1/2 would be true."""
    assert math.isnan(facts.evaluated(0, *outcomes).win_rate)


def test_an_evaluation_tells_lengths_and_ends() -> None:
    """Mean length in tokens, and the share of answers that ended by themselves."""
    answers = (
        facts.completion(1, 2, 3),
        facts.completion(4, 5, 6, 7, 8, finish="length"),
    )
    told = replace(facts.evaluated(0, "win", "win"), completions=answers)
    assert (told.mean_length, told.ended) == (4.0, 0.5)


def test_facts_cannot_be_changed() -> None:
    """Every record is frozen, and takes no attribute of its own making."""
    with pytest.raises(FrozenInstanceError):
        PAIR.ticket = 1  # type: ignore[misc]
    for kind in get_args(Record):
        assert kind.__dataclass_params__.frozen, kind
        assert "__slots__" in vars(kind), kind
    assert Sampled in get_args(Record)
