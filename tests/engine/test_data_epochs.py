"""Passes over the prompts: every prompt once in each, and how long a run then is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from onlinedpo.cli.main import cli
from onlinedpo.states import given
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import RunOpened
from onlinedpo.states.rederive import opening
from onlinedpo.states.rederive.mismatch import Mismatch
from tests.engine.runs import Scripted, go_on, prefers_first, records, sampled, trained
from tests.states import facts
from tests.toys import prompts_file


def set_to(run: Path) -> tuple[Any, Any]:
    """(iters, epochs) that a run's journal has in force."""
    ledger = Ledger()
    for record in records(run):
        ledger.fold(record)
    return ledger.settings["iters"], ledger.settings["epochs"]


def visited(run: Path) -> dict[int, list[int]]:
    """The prompts that were sampled in each pass, in order."""
    passes: dict[int, list[int]] = {}
    for pair in sampled(run):
        passes.setdefault(pair.epoch, []).append(pair.prompt)
    return passes


@pytest.mark.parametrize("count", [1, 2, 3])
def test_fewer_prompts_than_a_batch_are_enough(
    count: int, toy: Path, tmp_path: Path
) -> None:
    """A batch then goes on into the next pass, and none is held out."""
    data = str(prompts_file(tmp_path / "data", count))
    run = tmp_path / "run"

    trained(
        run,
        Scripted(prefers_first),
        **{"model": str(toy), "judge": str(toy), "data": data, "batch_size": 4},
        **{"iters": 2, "val_prompts": 64, "temperature": 2.0},
    )

    passes = visited(run)
    last = passes.pop(max(passes))
    assert len(passes) >= 8 // count - 1
    assert all(sorted(prompts) == list(range(count)) for prompts in passes.values())
    assert len(set(last)) == len(last)
    assert CliRunner().invoke(cli, ["audit", str(run)]).exit_code == 0


def test_epochs_set_how_long_a_run_is(toy: Path, tmp_path: Path) -> None:
    """Whole passes in steps, whatever iters says; either makes the run longer."""
    settings = {"model": str(toy), "judge": str(toy), "iters": 99, "epochs": 2}
    settings["data"] = str(prompts_file(tmp_path / "data", 7))
    run = tmp_path / "run"

    # Seven prompts, three a step: three steps a pass.
    trained(run, Scripted(prefers_first), **settings)
    assert set_to(run) == (6, 2)
    begun = next(r for r in records(run) if isinstance(r, RunOpened))
    assert (begun.settings["iters"], begun.settings["epochs"]) == (6, 2)
    assert sorted(visited(run)[0]) == sorted(visited(run)[1]) == list(range(7))

    go_on(run)
    assert set_to(run) == (6, 2)
    go_on(run, epochs=3)
    assert set_to(run) == (9, 3)
    go_on(run, iters=10)
    assert set_to(run) == (10, None)
    go_on(run, iters=11, epochs=4)
    assert set_to(run) == (12, 4)
    assert CliRunner().invoke(cli, ["audit", str(run)]).exit_code == 0


@pytest.mark.parametrize(
    ("wanted", "prompts", "steps"),
    [
        ({"iters": 5}, 100, 5),
        ({"iters": 5, "epochs": 0}, 100, 5),
        ({"epochs": 1}, 100, 25),
        ({"epochs": 1}, 101, 26),
        ({"epochs": 3, "iters": 5}, 1, 3),
        ({"epochs": 2, "grad_accumulation_steps": 4}, 100, 14),
    ],
)
def test_a_pass_takes_as_many_steps_as_its_prompts_fill(
    wanted: dict[str, Any], prompts: int, steps: int
) -> None:
    """Rounded up: the last step of a pass goes on into the next one."""
    assert Settings(**wanted).steps_over(prompts) == steps


def test_a_run_cannot_be_longer_than_can_be_counted() -> None:
    """Nor shorter than no pass."""
    for epochs in (-1, 2**63):
        with pytest.raises(UsageError, match="epochs"):
            Settings(epochs=epochs)


@pytest.mark.parametrize(("iters", "fits"), [(50, True), (49, False), (100, False)])
def test_an_audit_knows_how_long_a_run_of_passes_is(iters: int, fits: bool) -> None:
    """A journal in which iters do not follow from epochs and prompts was forged."""
    ledger = Ledger()
    opened = facts.run_opened(epochs=2, iters=iters)
    opened.data["train"] = 100
    ledger.fold(opened)

    if fits:
        assert opening.settings_of(opened, ledger).iters == iters
    else:
        with pytest.raises(Mismatch) as caught:
            opening.settings_of(opened, ledger)
        assert (caught.value.field, caught.value.derived) == ("iters", 50)


def test_steps_that_a_fork_is_given_count() -> None:
    """Whatever passes the other run was to make."""
    before = Settings(epochs=2, iters=6).as_dict()

    assert given.fork(before, {"iters": 8}) == {"iters": 8, "epochs": None}
    assert given.fork(before, {"epochs": 3}) == {"epochs": 3}
