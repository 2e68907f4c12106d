"""The held-out win rate: comparable from one evaluation to the next, and harmless."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.engine import evaluate
from onlinedpo.engine.judges.comparison import Comparison
from onlinedpo.engine.loop import train
from onlinedpo.engine.models.chat import encode
from onlinedpo.engine.sampler import Request
from onlinedpo.states import seeds
from onlinedpo.states.records import Completion, Evaluated, HeldOut, Shown
from tests.engine.runs import (
    Scripted,
    Winner,
    by_text,
    opened,
    prefers_first,
    records,
    trained,
)

HELD_OUT = ["Question 12?", "Question 13?", "Question 14?"]


@pytest.fixture
def parts(toy: Path, data: Path) -> dict[str, Any]:
    """A run that takes its win rate after each step."""
    return {
        "model": str(toy),
        "judge": str(toy),
        "data": str(data),
        "val_prompts": 3,
        "steps_per_eval": 1,
    }


def evaluations(folder: Path) -> list[Evaluated]:
    """All win rates of a run."""
    return [r for r in records(folder) if isinstance(r, Evaluated)]


def test_every_evaluation_has_the_same_prompts_and_opponents(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """Only the policy's answers change: win rates can be compared (D17)."""
    judge = Scripted(by_text)
    trained(tmp_path, judge, **parts, learning_rate=0.05)

    rates = evaluations(tmp_path)
    (reference,) = [r for r in records(tmp_path) if isinstance(r, HeldOut)]
    asked = [c for c in judge.asked if c.messages[0]["content"] in HELD_OUT]
    assert [rate.step for rate in rates] == [0, 1, 2, 3]
    assert len(asked) == 4 * 3
    for rate, three in zip(
        rates, (asked[i : i + 3] for i in (0, 3, 6, 9)), strict=True
    ):
        assert [c.messages[0]["content"] for c in three] == HELD_OUT
        assert [c.second for c in three] == [c.text for c in reference.completions]
        assert [c.first for c in three] == [c.text for c in rate.completions]
    assert rates[0].completions != rates[-1].completions


def test_the_opponent_is_the_model_as_it_began(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """Drawn anew from the reference after training, its answers are the same."""
    with opened(tmp_path, **parts, learning_rate=0.05) as run:
        run.judge = Scripted(by_text)
        train(run)
        asked = [
            Request(
                encode(run.policy.tokenizer, messages),
                [seeds.derive(0, "held-out", "reference", i)],
            )
            for i, messages in enumerate(run.prompts.held_out)
        ]
        with run.policy.reference():
            again = run.sampler.sample(asked)
        trained_by_now = run.sampler.sample(asked)
        assert run.ledger.reference
        assert [a[0] for a in again] == list(run.ledger.reference.completions)
        assert again != trained_by_now


def test_a_policy_that_always_wins_has_a_win_rate_of_one(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """The win rate is the policy's, in its own coordinates."""
    trained(tmp_path, Scripted(prefers_first), **parts)

    assert [e.win_rate for e in evaluations(tmp_path)] == [1.0] * 4
    rows = [
        json.loads(r) for r in (tmp_path / "metrics.jsonl").read_text().splitlines()
    ]
    assert [r["eval/win_rate"] for r in rows if "eval/win_rate" in r] == [1.0] * 4


OUTCOMES: dict[int, tuple[Winner, Winner]] = {
    0: ("first", "first"),
    1: ("second", "second"),
    2: ("first", "second"),
    3: ("first", None),
    4: ("tie", "tie"),
    5: ("first", "first"),
}


def by_ticket(comparison: Comparison, shown: Shown) -> Winner:
    """One of every kind of outcome."""
    return OUTCOMES[comparison.ticket][shown == "second-first"]


def compared(judge: Scripted, ours: list[str], theirs: list[str]) -> Evaluated:
    """The outcome of comparing these texts on as many prompts."""
    held_out = [({"role": "user", "content": f"{i}?"},) for i in range(len(ours))]

    def written(texts: list[str]) -> tuple[Completion, ...]:
        return tuple(
            Completion(tokens=tuple(map(ord, text)), text=text, finish="length")
            for text in texts
        )

    reference = HeldOut(prompts=tuple(held_out), completions=written(theirs), time=0.0)
    return evaluate.compare(
        judge, held_out, reference, written(ours), step=0, began=0.0
    )


def test_a_win_rate_counts_ties_half_and_failures_not() -> None:
    """Two wins, a loss, a tie, a contradiction and a failure: 3 of 5 (D10)."""
    found = compared(Scripted(by_ticket), list("abcdef"), ["other"] * 6)

    assert found.outcomes == ("win", "loss", "tie", "failed", "tie", "win")
    assert found.win_rate == (2 + 2 / 2) / 5
    assert found.mean_length == 1.0


@pytest.mark.parametrize("answer", ["first", "second", None])
def test_an_answer_like_the_references_is_a_tie(answer: Winner) -> None:
    """Whatever the judge makes of two equal texts, no one wins."""
    judge = Scripted(lambda comparison, shown: answer)

    assert compared(judge, ["same", "x"], ["same", "x"]).outcomes == ("tie", "tie")


def test_a_win_rate_of_failures_alone_is_not_a_number(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """A judge that fails on every held-out prompt gives no win rate, and no crash."""

    def fails(comparison: Comparison, shown: Shown) -> Winner:
        held_out = comparison.messages[0]["content"] in HELD_OUT
        return None if held_out else by_text(comparison, shown)

    trained(tmp_path, Scripted(fails), **parts)

    assert all(math.isnan(e.win_rate) for e in evaluations(tmp_path))
    for row in (tmp_path / "metrics.jsonl").read_text().splitlines():
        json.loads(row, parse_constant=_no_constant)


def _no_constant(name: str) -> None:
    raise AssertionError(f"metrics.jsonl has {name}, which is not JSON")


@pytest.mark.parametrize("every", [1, 2])
def test_measuring_does_not_change_what_is_trained(
    every: int, parts: dict[str, Any], tmp_path: Path
) -> None:
    """With a win rate at every step, at some, or none: the same bits."""
    measured = {**parts, "steps_per_eval": every}
    never = {**parts, "val_prompts": 0}

    digests = [
        trained(tmp_path / name, Scripted(by_text), **wanted)
        for name, wanted in (("measured", measured), ("never", never))
    ]

    assert digests[0] == digests[1]
    assert [e.step for e in evaluations(tmp_path / "measured")] == (
        [0, 1, 2, 3] if every == 1 else [0, 2, 3]
    )
    assert evaluations(tmp_path / "never") == []
