"""The n-th call fails in runs that sample, judge and train on real, tiny models.

Once with a model as judge and once with a person who edits label files.  What they must
keep is what `test_io_errors.py` says.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.engine import start, watcher
from onlinedpo.engine.people.desk import Desk
from tests.conftest import Count
from tests.crash.io_errors.commands import (
    command,
    is_as_undisturbed,
    is_told,
    is_whole,
    outcome,
    sweep,
)
from tests.crash.io_errors.failing import CHANGES, Nth
from tests.people.kit import Leaps
from tests.toys import prompts_file, toy_model

SIZE = (
    *("--iters", "2", "--batch-size", "2", "--max-completion-length", "6"),
    *("--save-every", "1", "--lora-parameters", "{rank: 4, dropout: 0.0, scale: 2.0}"),
)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """A model and its prompts."""
    folder = tmp_path_factory.mktemp("toy")
    model = toy_model(folder / "model", opinionated=True)
    data = prompts_file(folder / "data", 8, held_out=2)
    return ("--model", str(model), "--data", str(data), *SIZE)


@pytest.fixture
def settings(
    request: pytest.FixtureRequest,
    toy: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[str, ...]:
    """Those of a run with a judge of the kind that is asked for; nobody waits."""

    def desk(*parts: Any) -> Desk:
        folder, journal, settings, tell = parts
        return Desk(folder, journal, settings, tell, clock=Leaps())

    monkeypatch.setattr(watcher, "_CLOSING", 0.0)
    monkeypatch.setattr(start, "Desk", desk)
    if request.param == "people":
        return (*toy, "--judge", "human")
    return (*toy, "--judge", toy[1], "--judge-orders", "1", "--steps-per-eval", "2")


both = pytest.mark.parametrize("settings", ["a model", "people"], indirect=True)


@both
def test_real_runs_go_on_after_a_call_that_failed(
    settings: tuple[str, ...], tmp_path: Path, count: Count
) -> None:
    """At a few places, once and for good."""
    tried = _fail(settings, tmp_path, "EIO", lasting=False, first=23, by=80)
    tried += _fail(settings, tmp_path, "ENOSPC", lasting=True, first=31, by=80)
    assert tried >= 2
    count("failed calls in real runs", tried)


@pytest.mark.slow
@both
@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("how", CHANGES)
def test_real_runs_go_on_whatever_call_failed(
    settings: tuple[str, ...], how: str, lasting: bool, tmp_path: Path, count: Count
) -> None:
    """At each call in turn for EIO and ENOSPC, at every ninth for the others."""
    by = (3 if lasting else 1) if how in ("EIO", "ENOSPC") else 9
    tried = _fail(settings, tmp_path, how, lasting=lasting, by=by)
    assert tried > 100 // by
    count("failed calls in real runs", tried)


def _fail(
    settings: tuple[str, ...],
    tmp_path: Path,
    how: str,
    *,
    lasting: bool,
    first: int = 1,
    by: int = 1,
) -> int:
    whole, run = tmp_path / f"whole-{how}", tmp_path / "run"
    assert command("run", whole, *settings).code == 0
    undisturbed = outcome(whole)
    codes = {0, 11, *([130] if lasting else []), *([1] if how == "EINTR" else [])}

    def tried(n: int) -> bool:
        shutil.rmtree(run, ignore_errors=True)
        fault = Nth(n, how, lasting)
        ended = command("run", run, *settings, fault=fault)
        if not fault.fired:
            return False
        try:
            is_told(ended, run, codes)
            is_whole(run, ended)
            last = command("run", run, *settings)
            assert last.code == 0, last.err
            is_as_undisturbed(run, undisturbed, ended, last)
        except AssertionError as error:
            error.add_note(f"{how} at {fault.what}\n{ended.out}{ended.err}")
            raise
        return True

    return sweep(tried, first=first, by=by)
