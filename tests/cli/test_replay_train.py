"""`onlinedpo replay --train`: the verdict, in words, as JSON, and as an exit code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from onlinedpo.cli.story.replay import replay
from onlinedpo.journal import disk
from onlinedpo.states.errors import ReplayDiverged, UsageError
from tests.engine.runs import go_on
from tests.engine.test_resume import forged
from tests.processes import onlinedpo
from tests.toys import prompts_file, toy_model


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of three steps."""
    folder = tmp_path_factory.mktemp("finished")
    model = str(toy_model(folder / "model"))
    data = str(prompts_file(folder / "data", 10))
    parts: dict[str, Any] = {"model": model, "judge": model, "data": data}
    go_on(folder / "run", **parts)
    return folder / "run"


def typed(*arguments: str | Path) -> Result:
    """Type the command."""
    return CliRunner().invoke(replay, [*map(str, arguments)])


def test_it_says_that_all_is_equal(finished: Path, tmp_path: Path) -> None:
    """And where the adapter lies: beside the run, unless another place is given."""
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    beside = typed(run, "--train")
    given = typed(run, "--train", "--to", "1", "--into", tmp_path / "one", "--json")

    assert beside.exit_code == given.exit_code == 0, beside.output + given.output
    assert "3 steps taken again from the base model and the journal" in beside.output
    assert "equal to the byte" in beside.output
    assert f"--adapter-path {run}-replayed" in beside.output
    adapter = tmp_path / "run-replayed" / "adapters.safetensors"
    assert disk.file_digest(adapter) == disk.file_digest(
        run / "adapters" / "adapters.safetensors"
    )
    facts = json.loads(given.output)
    assert facts["equal"] and facts["promised"]
    assert (facts["steps"], facts["digests"]) == (1, 1)


def test_a_run_that_is_not_true_ends_with_exit_code_5(
    finished: Path, tmp_path: Path
) -> None:
    """With the step and its figures; elsewhere the same is no error."""
    untrue = forged(finished, tmp_path / "untrue")
    moved = forged(finished, tmp_path / "moved", mlx="0.0.1")
    caught = typed(untrue, "--train")
    said = typed(moved, "--train")
    facts = json.loads(
        typed(moved, "--train", "--into", tmp_path / "j", "--json").output
    )

    assert isinstance(caught.exception, ReplayDiverged)
    assert caught.exception.exit_code == 5
    assert "step 1, taken again from the journal" in str(caught.exception)
    assert "not equal from step 1 on" in caught.output
    assert said.exit_code == 0, said.output
    assert "equality is not promised here: mlx was 0.0.1" in said.output
    assert "the gradient norm" in said.output
    assert facts["first_difference"]["step"] == 1
    assert facts["first_difference"]["grad_norm"] > 0
    assert not facts["equal"] and not facts["promised"]


def test_mistakes_are_told(finished: Path, tmp_path: Path) -> None:
    """Each with what to do."""
    for arguments, why in (
        (("--into", tmp_path / "x"), "belong to --train"),
        (("--train", "--pair", "3"), "--pair cannot choose"),
        (("--train", "--follow"), "--follow cannot choose"),
        (("--train", "--to", "9"), "no step 9"),
        (("--train", "--into", finished), "nothing is changed"),
    ):
        error = typed(finished, *arguments).exception
        assert isinstance(error, UsageError), error
        assert why in str(error)
    assert isinstance(typed(tmp_path, "--train").exception, UsageError)


@pytest.mark.slow
def test_the_demo_comes_out_again_to_the_byte(tmp_path: Path) -> None:
    """Its 60 steps, from the journal alone: the checkpoints are deleted first."""
    run = tmp_path / "demo"
    ended = onlinedpo("run", run, "--demo")
    assert ended.code == 0, ended.output
    names = ("adapters.safetensors", "optimizer.safetensors")
    last = run / "checkpoints" / "step-000060"
    digests = [disk.file_digest(last / name) for name in names]
    shutil.rmtree(run / "checkpoints")
    shutil.rmtree(run / "adapters")
    ended = onlinedpo("replay", run, "--train")

    assert ended.code == 0, ended.output
    assert "60 steps taken again" in ended.output
    assert "equal to the byte" in ended.output
    made = [disk.file_digest(tmp_path / "demo-replayed" / name) for name in names]
    assert made == digests
