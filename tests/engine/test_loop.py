"""The loop and its judges: what never becomes training, and what is committed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from onlinedpo.engine.loop import run as train_whole
from onlinedpo.engine.loop import train
from onlinedpo.states.errors import NothingToLearn, TrainingDiverged
from onlinedpo.states.records import (
    Dropped,
    Label,
    Reason,
    Submitted,
    Verdict,
)
from tests.engine.runs import (
    SMALL,
    Listener,
    Scripted,
    always_a,
    by_text,
    opened,
    prefers_first,
    records,
    sampled,
    state,
    steps,
    trained,
    unreliable,
)
from tests.toys import toy_model


def test_a_position_biased_judge_trains_nothing(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """It contradicts itself in the other order: the run ends and says why."""
    with opened(tmp_path, **parts) as run:
        run.judge = Scripted(always_a)
        before = state(run)
        with pytest.raises(NothingToLearn, match=r"orders disagree: \d+") as caught:
            train(run)
        assert state(run) == before

    assert "judge_system" in caught.value.hint
    assert steps(tmp_path) == []
    assert not [r for r in records(tmp_path) if isinstance(r, Label)]


def test_a_failed_verdict_never_becomes_a_label(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """With a judge that often fails, no pair it failed on is in any step (D1)."""
    trained(tmp_path, Scripted(unreliable), **parts, iters=8)

    facts = records(tmp_path)
    verdicts = [r for r in facts if isinstance(r, Verdict)]
    undecided = {v.ticket for v in verdicts if v.winner in (None, "tie")}
    used = {ticket for step in steps(tmp_path) for ticket in step.tickets}
    assert len(steps(tmp_path)) == 8
    assert len(undecided) > 5
    assert used
    assert not used & undecided
    reasons = {r.ticket: r.reason for r in facts if isinstance(r, Dropped)}
    assert undecided == set(reasons)
    assert {Reason.FAILED, Reason.TIE} == set(reasons.values())
    # What is left of each pair: what was chosen is what both orders agreed on.
    for label in [r for r in facts if isinstance(r, Label)]:
        assert {v.winner for v in verdicts if v.ticket == label.ticket} == {
            label.chosen
        }


def test_what_was_not_labelled_does_not_count_as_a_pair(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """Steps take whole batches of labelled pairs, or what is left of one, in order."""
    trained(tmp_path, Scripted(unreliable), **parts, iters=8)

    for step in steps(tmp_path):
        assert list(step.tickets) == sorted(step.tickets)
        assert step.metrics["pairs/trained"] == len(step.tickets) == len(step.margins)
        assert 1 <= len(step.tickets) <= 3


def test_identical_completions_are_neither_judged_nor_trained(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """At temperature zero all pairs are identical: the judge is not asked once."""
    judge = Scripted(prefers_first)
    with pytest.raises(NothingToLearn, match=r"identical: \d+"):
        trained(tmp_path, judge, **parts, temperature=0.0)

    assert judge.asked == []
    assert steps(tmp_path) == []


def test_completions_that_read_alike_are_not_judged(data: Path, tmp_path: Path) -> None:
    """Other tokens, the same text: no judge can tell them apart, only guess."""
    ends = tuple(i for i in range(260) if i not in (0, 1, 3) and i % 3)
    model = str(toy_model(tmp_path / "model", eos=ends))
    judge = Scripted(prefers_first)

    trained(tmp_path / "run", judge, model=model, judge=model, data=str(data), iters=4)

    pairs = sampled(tmp_path / "run")
    assert [p for p in pairs if p.first.text == p.second.text and p.first != p.second]
    assert not [c for c in judge.asked if c.first == c.second]


def test_several_batches_make_one_step(parts: dict[str, Any], tmp_path: Path) -> None:
    """With grad_accumulation_steps 2, a step waits for twice the pairs (D14)."""
    trained(tmp_path, Scripted(by_text), **parts, grad_accumulation_steps=2)

    assert [len(step.tickets) for step in steps(tmp_path)] == [6, 6, 6]


def test_a_step_that_diverges_is_not_committed(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """No record, no checkpoint, no adapter: the run stands where it stood (D14)."""
    with opened(tmp_path, **parts, beta=1e38) as run:
        run.judge = Scripted(by_text)
        before = state(run)
        with pytest.raises(TrainingDiverged):
            train(run)
        assert state(run) == before
        assert run.ledger.steps == 0

    assert steps(tmp_path) == []
    assert list((tmp_path / "checkpoints").iterdir()) == []
    assert not (tmp_path / "adapters").exists()


def test_a_run_trains_with_its_own_model_as_judge(
    opinionated: Path, data: Path, tmp_path: Path
) -> None:
    """The whole program, on the CPU, with nothing scripted (D12)."""
    model = str(opinionated)
    wanted = {**SMALL, "model": model, "judge": model, "data": str(data)}

    ledger = train_whole(tmp_path, {**wanted, "judge_orders": 1}, Listener())

    assert ledger.steps == 3
    verdicts = [r for r in records(tmp_path) if isinstance(r, Verdict)]
    asked = [
        t for r in records(tmp_path) if isinstance(r, Submitted) for t in r.tickets
    ]
    assert [v.ticket for v in verdicts] == asked
    assert {v.judge["id"] for v in verdicts} == {model}
    assert ledger.last_step
    assert ledger.last_step.metrics["judge/failure_rate"] < 1.0
