"""Resuming: exactly where the run was, with what it was made of, or not at all."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.journal.writer import Journal
from onlinedpo.states.errors import ReplayDiverged
from onlinedpo.states.lifecycle import LiveMachine
from onlinedpo.states.records import Label, ProcessStarted, Step, Verdict
from tests.engine.kit import SIDES
from tests.engine.runs import (
    Listener,
    go_on,
    opened,
    outcome,
    records,
    sampled,
    state,
    steps,
    tokens,
)


@pytest.mark.parametrize("way", ["lora", "dora", "full"])
def test_without_checkpoints_a_run_is_rebuilt_from_its_journal(
    way: str, own: dict[str, Any], tmp_path: Path
) -> None:
    """Every step is applied again, nothing is sampled or judged again: equal bits."""
    run = tmp_path / "run"
    go_on(run, Listener(stop_after=4), **own, fine_tune_type=way)
    with opened(run) as before:
        stood = state(before)
    shutil.rmtree(run / "checkpoints")
    facts = len([r for r in records(run) if not isinstance(r, Step)])
    watch = Listener()

    with opened(run, watch) as rebuilt:
        assert state(rebuilt) == stood

    assert watch.told("re-applying steps 1 to 4 from the journal (no checkpoint)")
    # Only that a process took the run up is new.
    assert len([r for r in records(run) if not isinstance(r, Step)]) == facts + 1
    assert go_on(run) == go_on(tmp_path / "whole", **own, fine_tune_type=way)


def forged(run: Path, target: Path, **environment: str) -> Path:
    """A copy of a run whose journal is sound in itself, but not true; no checkpoints.

    One label is turned round, as if the steps had come out of another machine; and
    the environment that is recorded is changed.
    """
    facts = records(run)
    label = next(fact for fact in facts if isinstance(fact, Label))
    target.mkdir()
    shutil.copy(run / "config.yaml", target)
    with Journal.create(target / "journal", b"x" * 16, LiveMachine()) as journal:
        for fact in facts:
            if fact is label:
                fact = replace(label, chosen=SIDES[label.chosen == "first"])
            elif isinstance(fact, ProcessStarted):
                fact = replace(fact, environment={**fact.environment, **environment})
            journal.append([fact])
    return target


def test_a_rebuild_that_gives_another_result_is_refused(
    own: dict[str, Any], tmp_path: Path
) -> None:
    """If a step does not come out as it is recorded, the run does not go on."""
    go_on(tmp_path / "run", Listener(stop_after=2), **own)
    untrue = forged(tmp_path / "run", tmp_path / "forged")

    with pytest.raises(ReplayDiverged, match="step 1, applied again"), opened(untrue):
        pass


def test_a_run_from_another_machine_goes_on_and_says_so(
    own: dict[str, Any], tmp_path: Path
) -> None:
    """There a rebuilt state differs in its last bits: the run goes on, at any start.

    Also when the first process on this machine ended before its first step.
    """
    go_on(tmp_path / "run", Listener(stop_after=2), **own)
    moved = forged(tmp_path / "run", tmp_path / "forged", mlx="0.0.1")

    for _ in range(2):
        watch = Listener()
        with opened(moved, watch):
            pass
        assert watch.told("is not equal to the bit")

    go_on(moved)
    assert len(steps(moved)) == 6


def test_a_longer_run_begins_like_a_shorter_one(
    own: dict[str, Any], tmp_path: Path
) -> None:
    """Three steps and then three more are six steps."""
    go_on(tmp_path / "run", **{**own, "iters": 3})

    assert go_on(tmp_path / "run", iters=6) == go_on(tmp_path / "whole", **own)


def test_what_was_sampled_and_judged_is_not_done_again(
    own: dict[str, Any], tmp_path: Path
) -> None:
    """Stopped between any two operations, a run goes on with the next one."""
    run, whole = tmp_path / "run", tmp_path / "whole"
    go_on(whole, **own)

    class Impatient(Listener):
        """Stops after one operation."""

        def __init__(self) -> None:
            super().__init__()
            self.asked = 0

        def asked_to_stop(self) -> bool:
            self.asked += 1
            return self.asked > 1

    for _ in range(40):
        go_on(run, Impatient(), **({} if run.exists() else own))

    assert tokens(run) == tokens(whole)
    assert outcome(run) == outcome(whole)
    verdicts = [(r.ticket, r.shown) for r in records(run) if isinstance(r, Verdict)]
    assert len(verdicts) == len(set(verdicts)) == 2 * len(sampled(run))
