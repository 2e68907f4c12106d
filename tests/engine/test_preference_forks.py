"""Preference options where a run's pairs are judged again, and trained on anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from onlinedpo.engine.judges.comparison import Comparison
from onlinedpo.engine.loop import train
from onlinedpo.journal.audit.auditing import audit
from onlinedpo.states.records import Dropped, Reason, Sampled, Shown, Verdict
from tests.engine.forks import fork, rejudge
from tests.engine.kit import ENDS
from tests.engine.runs import Winner, opened, records, steps
from tests.engine.sure import Sure, some_ties
from tests.toys import prompts_file, toy_model


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run under a penalty, which drops what is cut on both sides."""
    folder = tmp_path_factory.mktemp("run")
    model = str(toy_model(folder / "model", eos=ENDS))
    data = str(prompts_file(folder / "data", 24))
    parts: dict[str, Any] = {"model": model, "judge": model, "data": data}
    options = {"missing_eos_penalty": 1.5, "truncated": "drop-both"}
    with opened(folder / "run", **parts, **options) as it:
        it.judge = Sure(some_ties)
        train(it)
    return folder / "run"


def other_ties(comparison: Comparison, shown: Shown) -> Winner:
    """A tie in every other pair."""
    return "tie" if comparison.ticket % 2 else "second"


@pytest.fixture(scope="module")
def rejudged(run: Path) -> Path:
    """Another judge's verdicts on all its pairs."""
    judge = toy_model(run.parent / "judge", seed=5)
    return rejudge(run, Sure(other_ties), str(judge))


def test_another_judge_is_penalised_alike(run: Path, rejudged: Path) -> None:
    """As the run's own was, and not asked about what the run had dropped as cut."""
    audit(rejudged)
    cut = {
        r.ticket
        for r in records(run)
        if isinstance(r, Dropped) and r.reason == Reason.TRUNCATED
    }
    verdicts = [r for r in records(rejudged) if isinstance(r, Verdict)]
    assert cut
    assert cut.isdisjoint(verdict.ticket for verdict in verdicts)
    assert {p for v in verdicts for p in v.penalties} == {0.0, 1.5}


@pytest.mark.parametrize("ties", ["drop", "rao-kupper"])
def test_a_fork_may_take_ties_and_another_penalty(
    ties: str, run: Path, rejudged: Path, tmp_path: Path
) -> None:
    """Verdicts that came with it stay under their own; ties train if it wants them."""
    new = tmp_path / "new"
    forked = fork(
        *(run, new),
        labels="rejudged",
        rejudged=rejudged,
        ties=ties,
        missing_eos_penalty=0.5,
        beta_schedule={"name": "step_decay", "arguments": [0.2, 0.9, 1]},
    )
    with opened(new) as it:
        it.judge = Sure(some_ties)
        train(it)

    audit(new)
    taken = steps(new)[-forked.batches :]
    tied = [step.metrics.get("pairs/tied_frac", 0.0) for step in taken]
    assert any(tied) == (ties == "rao-kupper")
    assert [step.metrics["beta"] for step in taken] == pytest.approx(
        [0.2 * 0.9**n for n in range(len(taken))]
    )


def test_a_fork_from_a_step_is_penalised_anew(run: Path, tmp_path: Path) -> None:
    """What it judges itself is judged under its own settings; what it copied is not."""
    new = tmp_path / "new"
    fork(run, new, at=2, missing_eos_penalty=0.5, truncated="keep", iters=4)
    with opened(new) as it:
        it.judge = Sure(some_ties)
        train(it)

    audit(new)
    found = {p for r in records(new) if isinstance(r, Verdict) for p in r.penalties}
    assert found == {0.0, 0.5, 1.5}
    pairs = [r for r in records(new) if isinstance(r, Sampled)]
    assert any({c.finish for c in (p.first, p.second)} == {"length"} for p in pairs)
