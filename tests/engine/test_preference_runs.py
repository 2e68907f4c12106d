"""Whole runs under each preference option: audited, and exact after a restart."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.engine.judges.comparison import Comparison
from onlinedpo.engine.loop import train
from onlinedpo.engine.run import Run
from onlinedpo.journal.audit.auditing import audit
from onlinedpo.states.errors import AuditFailed, NothingToLearn, UsageError
from onlinedpo.states.records import (
    Dropped,
    Label,
    Reason,
    Sampled,
    Step,
    Verdict,
)
from onlinedpo.states.schedules import schedule_of
from tests.engine.kit import ENDS
from tests.engine.runs import Listener, Scripted, opened, records, state, steps
from tests.engine.sure import Sure, some_ties
from tests.journal.forging import Forger
from tests.toys import prompts_file, toy_model

SCHEDULE = {"name": "linear_schedule", "arguments": [0.3, 0.1, 2]}
OPTIONS: dict[str, dict[str, Any]] = {
    "smoothing": {"label_smoothing": 0.1},
    "robust": {"dpo_cpo_loss_type": "robust", "label_smoothing": 0.1},
    "soft": {"soft_labels": True, "ties": "soft"},
    "norm": {"dpo_cpo_loss_type": "sigmoid_norm", "beta_schedule": SCHEDULE},
    "simpo": {"dpo_cpo_loss_type": "simpo", "beta": 2.0, "soft_labels": True},
    "length": {"len_reg_alpha": 0.05, "beta_schedule": SCHEDULE},
    "rao-kupper": {"ties": "rao-kupper"},
    "ipo": {"dpo_cpo_loss_type": "ipo", "beta_schedule": SCHEDULE},
    "penalty": {"missing_eos_penalty": 1.5, "soft_labels": True},
    "drop": {"truncated": "drop"},
    "drop-both": {"truncated": "drop-both"},
}
every_option = pytest.mark.parametrize("option", OPTIONS.values(), ids=[*OPTIONS])


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A policy that ends some of its answers, and many prompts."""
    folder = tmp_path_factory.mktemp("parts")
    model = str(toy_model(folder / "model", eos=ENDS))
    data = str(prompts_file(folder / "data", 24))
    return {"model": model, "judge": model, "data": data, "iters": 3}


def go_on(folder: Path, watch: Listener | None = None, /, **wanted: Any) -> str:
    """Begin a run or go on with it; digest of its state."""
    with opened(folder, watch, **wanted) as run:
        run.judge = Sure(some_ties)
        train(run)
        return state(run)


@every_option
def test_a_run_goes_on_exactly_and_its_audit_passes(
    option: dict[str, Any], parts: dict[str, Any], tmp_path: Path
) -> None:
    """Stopped, its checkpoints lost: the steps come again from the journal alone."""
    whole = go_on(tmp_path / "whole", **parts, **option)
    go_on(tmp_path / "stopped", Listener(stop_after=2), **parts, **option)
    shutil.rmtree(tmp_path / "stopped" / "checkpoints")

    assert go_on(tmp_path / "stopped") == whole
    for run in ("whole", "stopped"):
        audit(tmp_path / run)


def took(folder: Path) -> list[list[tuple[Sampled, Label]]]:
    """The pairs of each step, with the labels that they were trained on with."""
    pairs: dict[int, Sampled] = {}
    labels: dict[int, Label] = {}
    found = []
    for record in records(folder):
        if isinstance(record, Sampled):
            pairs[record.ticket] = record
        elif isinstance(record, Label):
            labels[record.ticket] = record
        elif isinstance(record, Step):
            found.append([(pairs[n], labels[n]) for n in record.tickets])
    return found


@pytest.mark.parametrize("ties", ["drop", "soft", "rao-kupper"])
def test_ties_train_only_where_that_is_asked_for(
    ties: str, parts: dict[str, Any], tmp_path: Path
) -> None:
    """Else they are dropped; trained on, they are never a preference."""
    go_on(tmp_path, **parts, ties=ties, soft_labels=ties == "soft")

    trained = [label for step in took(tmp_path) for _, label in step]
    dropped = {r.reason for r in records(tmp_path) if isinstance(r, Dropped)}
    tied = [label for label in trained if label.chosen is None]
    assert (Reason.TIE in dropped) == (ties == "drop")
    assert bool(tied) == (ties != "drop")
    assert all(label.reason == Reason.TIE for label in tied)
    told = [step.metrics.get("pairs/tied_frac", 0.0) for step in steps(tmp_path)]
    assert sum(told) * 3 == pytest.approx(len(tied))


@pytest.mark.parametrize("truncated", ["keep", "drop", "drop-both"])
def test_what_was_cut_is_kept_or_dropped_before_anybody_judges(
    truncated: str, parts: dict[str, Any], tmp_path: Path
) -> None:
    """As the setting says, and the share that was dropped is told."""
    judge = Sure(some_ties)
    with opened(tmp_path, **parts, truncated=truncated) as run:
        run.judge = judge
        train(run)

    cut = {
        pair.ticket: [c.finish for c in (pair.first, pair.second)].count("length")
        for pair in records(tmp_path)
        if isinstance(pair, Sampled)
    }
    least = {"keep": 3, "drop": 1, "drop-both": 2}[truncated]
    dropped = {
        record.ticket
        for record in records(tmp_path)
        if isinstance(record, Dropped) and record.reason == Reason.TRUNCATED
    }
    assert Counter(cut.values()).keys() == {0, 1, 2}
    assert dropped == {ticket for ticket, count in cut.items() if count >= least}
    assert {comparison.ticket for comparison in judge.asked}.isdisjoint(dropped)
    told = [s.metrics.get("pairs/truncated_dropped_frac") for s in steps(tmp_path)]
    assert any(told) == bool(dropped)


def test_a_policy_that_never_ends_leaves_nothing_to_learn(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """Where all is dropped as cut, the run says so and ends; nobody was asked."""
    never = str(toy_model(tmp_path / "never"))
    judge, wanted = Sure(some_ties), {**parts, "model": never, "judge": never}
    with (
        opened(tmp_path / "run", **wanted, truncated="drop") as run,
        pytest.raises(NothingToLearn, match="truncated: 60") as ended,
    ):
        run.judge = judge
        train(run)

    audit(tmp_path / "run")
    assert "max_completion_length" in ended.value.hint
    assert not judge.asked


def test_beta_is_told_as_it_was_at_each_step(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """The metric is the schedule's value, and the loss was taken with it."""
    go_on(tmp_path, **parts, beta_schedule=SCHEDULE)

    told = [step.metrics["beta"] for step in steps(tmp_path)]
    beta = schedule_of("beta_schedule", SCHEDULE)
    assert told == [beta(0), beta(1), beta(2)] == pytest.approx([0.3, 0.2, 0.1])


def test_simpo_never_looks_at_the_reference(
    parts: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its step takes one forward pass less, and has no divergence from it to tell."""

    def reference(run: Run) -> list[int]:
        asked: list[int] = []
        policy, real = run.policy, run.policy.reference

        def looked() -> Any:
            asked.append(1)
            return real()

        monkeypatch.setattr(policy, "reference", looked)
        run.judge = Sure(some_ties)
        train(run)
        return asked

    with opened(tmp_path / "dpo", **parts) as run:
        assert reference(run)
    with opened(tmp_path / "simpo", **parts, dpo_cpo_loss_type="simpo") as run:
        assert not reference(run)
    assert "objective/kl" in steps(tmp_path / "dpo")[0].metrics
    assert "objective/kl" not in steps(tmp_path / "simpo")[0].metrics


# -- the penalty -------------------------------------------------------------------


@pytest.fixture(scope="module")
def penalised(tmp_path_factory: pytest.TempPathFactory, parts: dict[str, Any]) -> Path:
    """A run judged by a model, under a penalty that decides where one was cut."""
    folder = tmp_path_factory.mktemp("penalised")
    judge = str(toy_model(folder / "judge", opinionated=True))
    wanted = {**parts, "judge": judge, "missing_eos_penalty": 20.0}
    with opened(folder / "run", **wanted) as run:
        train(run)
    audit(folder / "run")
    return folder / "run"


def test_a_penalty_decides_for_what_ended(penalised: Path) -> None:
    """Large enough, it decides for the completion that ended by itself."""
    decided = Counter(
        (pair.first.finish, pair.second.finish, label.chosen)
        for step in took(penalised)
        for pair, label in step
        if pair.first.finish != pair.second.finish
    )
    assert decided
    assert {*decided} <= {("stop", "length", "first"), ("length", "stop", "second")}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"penalties": ()}, "penalties"),
        ({"penalties": (0.0, 0.0)}, "penalties"),
        ({"penalties": lambda taken: taken[::-1]}, "penalties"),
        ({"penalties": lambda taken: tuple(p / 2 for p in taken)}, "penalties"),
        (
            {"winner": lambda w: {"first": "second", "second": "first"}[w]},
            "winner",
        ),
    ],
)
def test_a_penalty_that_was_not_taken_so_is_found(
    fields: dict[str, Any], says: str, penalised: Path, tmp_path: Path
) -> None:
    """The audit takes it off again, from which completions ended."""
    run = tmp_path / "run"
    shutil.copytree(penalised, run)
    forger = Forger(run)
    forger.change(Verdict, which=lambda v: len({*v.penalties}) == 2, **fields)
    forger.write()
    with pytest.raises(AuditFailed, match=says):
        audit(run)


def test_a_judge_without_probabilities_cannot_be_penalised(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """It is said at its first verdict, and none is taken down."""

    class Named(Scripted):
        def judge(self, comparisons: Sequence[Comparison]) -> list[list[Verdict]]:
            said = super().judge(comparisons)
            return [[replace(v, logprobs=()) for v in each] for each in said]

    with (
        opened(tmp_path, **parts, missing_eos_penalty=1.0) as run,
        pytest.raises(UsageError, match="gives no probabilities"),
    ):
        run.judge = Named(some_ties)
        train(run)
    assert not any(isinstance(record, Verdict) for record in records(tmp_path))
