"""A completion that did not end by itself loses some of its judge's score."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from onlinedpo.states.answers import ORDERS
from onlinedpo.states.errors import UsageError
from onlinedpo.states.labelling import decide
from onlinedpo.states.records import Completion, Finish, Label, Verdict
from onlinedpo.states.verdicts import penalties
from tests.states import facts

ENDED, CUT = facts.completion(1, 2), facts.completion(3, 4, finish="length")


def ending(finish: Finish) -> Completion:
    """A completion that ended so."""
    return ENDED if finish == "stop" else CUT


def scored(first: float, second: float, place: int = 0) -> Verdict:
    """A verdict with these log-probabilities of the pair's completions."""
    shown, logprobs = ORDERS[place], (first, second)[:: 1 - 2 * place]
    winner = "tie" if first == second else "first" if first > second else "second"
    return facts.verdict(0, shown, winner, logprobs=logprobs)  # type: ignore[arg-type]


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("finishes", [("stop", "length"), ("length", "stop")])
def test_the_odds_are_those_of_the_scores_less_the_penalty(
    finishes: tuple[Finish, Finish], place: int
) -> None:
    """As in TRL: s1 - s2 becomes s1 - s2 less the penalty of what was cut."""
    first, second = map(ending, finishes)
    said = penalties.penalised(scored(-0.5, -1.5, place), first, second, 0.75)

    odds = math.log(said.probability_first() / (1 - said.probability_first()))
    assert odds == pytest.approx(1.0 + (0.75 if finishes[1] == "length" else -0.75))
    assert said.penalties == tuple(0.75 * (f == "length") for f in finishes)
    assert (said.logprobs, said.raw) == (scored(-0.5, -1.5, place).logprobs, "A")


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(
    ("penalty", "winner"), [(0.5, "first"), (1.0, "tie"), (1.5, "second")]
)
def test_the_winner_is_the_one_after_the_penalty(
    penalty: float, winner: str, place: int
) -> None:
    """One nat ahead and cut: a larger penalty turns the verdict, an equal one ties."""
    said = penalties.penalised(scored(-0.5, -1.5, place), CUT, ENDED, penalty)
    assert said.winner == winner
    assert (said.probability_first() > 0.5) == (winner == "first")


@pytest.mark.parametrize("completion", [ENDED, CUT])
def test_where_both_lose_the_same_nothing_changes(completion: Completion) -> None:
    """Both cut is no difference, as in TRL: also where scores and winner differ."""
    for plain in (scored(-0.5, -1.5), replace(scored(-0.5, -1.5), winner="tie")):
        said = penalties.penalised(plain, completion, completion, 2.0)
        assert said.winner == plain.winner
        assert said.probability_first() == pytest.approx(plain.probability_first())


def test_without_the_setting_a_verdict_stays_as_it_is() -> None:
    """And a failure stays one, with nothing taken off."""
    plain, failed = scored(-1.0, -2.0), facts.verdict(0, winner=None, failure="no")
    assert penalties.penalised(plain, CUT, ENDED, None) is plain
    assert penalties.penalised(failed, CUT, ENDED, 1.0) is failed


def test_a_judge_without_probabilities_is_refused() -> None:
    """Nothing is guessed: it is said which judge, and what to do instead."""
    named = replace(facts.verdict(0), logprobs=())
    with pytest.raises(UsageError, match="gives no probabilities") as refused:
        penalties.penalised(named, ENDED, ENDED, 1.0)
    assert "truncated drop" in refused.value.hint


def test_a_label_is_as_sure_as_the_odds_after_the_penalty() -> None:
    """So escalation and soft labels take it in too."""
    said = [
        penalties.penalised(scored(-0.5, -1.5, place), ENDED, CUT, 1.0)
        for place in (0, 1)
    ]
    label = decide(said, facts.NOW)
    assert isinstance(label, Label)
    assert label.confidence == pytest.approx(1 / (1 + math.exp(-2.0)))


def test_verdicts_tell_the_penalty_that_they_were_given_under() -> None:
    """As far as they can: of two that ended, that there was one."""
    cut = penalties.penalised(scored(-0.5, -1.5), CUT, ENDED, 0.5)
    ended = penalties.penalised(scored(-0.5, -1.5), ENDED, ENDED, 0.5)
    assert penalties.said([ended, cut]) == 0.5
    assert penalties.said([ended]) == 0.0
    assert penalties.said([scored(-0.5, -1.5)]) is None
