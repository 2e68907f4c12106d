"""The adapter comes out of the base model and the journal again, to the byte."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from mlx_lm.utils import load

from onlinedpo.engine.rebuild import Rebuilt, rebuild
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.engine.start import take_up
from onlinedpo.journal import disk
from onlinedpo.journal.manifest import Manifest, find
from onlinedpo.journal.rewinding import rewind
from onlinedpo.states.errors import ReplayDiverged, SettingsChanged, UsageError
from tests.engine.kit import DROPOUT
from tests.engine.runs import Listener, go_on, opened, steps
from tests.engine.test_constancy import rewrite_weights
from tests.engine.test_resume import forged
from tests.toys import toy_model

LONG: dict[str, Any] = {
    "iters": 42,
    "batch_size": 2,
    "max_completion_length": 4,
    "lora_parameters": DROPOUT,
}


@pytest.fixture(scope="module")
def long_run(toy: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of 42 steps."""
    run = tmp_path_factory.mktemp("long") / "run"
    go_on(run, **LONG, model=str(toy), judge=str(toy), data=str(data))
    return run


def again(run: Path, into: Path, watch: Listener | None = None, **more: Any) -> Rebuilt:
    """Rebuild a run's adapter."""
    wanted = {"to": None, "model": None, **more}
    return rebuild(RunFolder(run), into, watch or Listener(), **wanted)


def contents(folder: Path) -> dict[str, str]:
    """The digest of every file in a folder."""
    return {
        str(path.relative_to(folder)): disk.file_digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def last_checkpoint(run: Path) -> Manifest:
    """The newest checkpoint of a run."""
    return find(run / "checkpoints")[0][0]


@pytest.mark.parametrize("checkpoints", [True, False])
def test_a_run_of_many_steps_comes_out_equal_to_the_byte(
    checkpoints: bool, long_run: Path, tmp_path: Path
) -> None:
    """Adapter, optimizer and every figure; also where no checkpoint is left.

    The run itself is not touched.
    """
    run = Path(shutil.copytree(long_run, tmp_path / "run"))
    files = last_checkpoint(run).files
    if not checkpoints:
        shutil.rmtree(run / "checkpoints")
        shutil.rmtree(run / "adapters")
    before = contents(run)

    found = again(run, tmp_path / "rebuilt")

    assert (found.first, found.unpromised) == (None, "")
    assert (found.step, found.digests) == (42, 42)
    made = contents(tmp_path / "rebuilt")
    assert made.keys() == {*files, "adapter_config.json"}
    assert {name: made[name] for name in files} == dict(files)
    assert contents(run) == before
    shown = json.loads((tmp_path / "rebuilt" / "adapter_config.json").read_text())
    assert shown["step"] == 42
    load(shown["model"], adapter_path=str(tmp_path / "rebuilt"))


def test_it_ends_after_the_step_that_is_named(long_run: Path, tmp_path: Path) -> None:
    """The state is the one that the journal has for that step."""
    found = again(long_run, tmp_path / "rebuilt", to=7)

    assert (found.step, found.digests, found.first) == (7, 7, None)
    rebuilt = contents(tmp_path / "rebuilt")
    assert set(rebuilt.values()).isdisjoint(last_checkpoint(long_run).files.values())


@pytest.mark.parametrize("way", [pytest.param("dora", marks=pytest.mark.slow), "full"])
def test_every_way_of_training_comes_out_again(
    way: str, own: dict[str, Any], tmp_path: Path
) -> None:
    """Also with a checkpoint at every third step only."""
    run = tmp_path / "run"
    go_on(run, **{**own, "fine_tune_type": way, "save_every": 3})
    found = again(run, tmp_path / "rebuilt")

    assert (found.first, found.digests) == (None, 2)
    files = last_checkpoint(run).files
    assert contents(tmp_path / "rebuilt").items() >= files.items()


def test_a_run_that_is_at_work_can_be_rebuilt(
    own: dict[str, Any], tmp_path: Path
) -> None:
    """No lock is taken: what stands when it begins is rebuilt."""
    run = tmp_path / "run"
    go_on(run, Listener(stop_after=2), **own)
    with opened(run):
        found = again(run, tmp_path / "rebuilt")

    assert (found.step, found.first) == (2, None)
    assert go_on(run) == go_on(tmp_path / "whole", **own)


def test_what_happens_to_the_run_meanwhile_does_not_count(
    own: dict[str, Any], tmp_path: Path
) -> None:
    """Rewound while the model is being loaded, it is rebuilt as it stood before."""
    run = tmp_path / "run"
    go_on(run, Listener(stop_after=3), **own)

    class Rewinds(Listener):
        """Somebody rewinds the run."""

        def doing(self, what: str, ledger: object = None) -> None:
            if what == "loading the model":
                with take_up(RunFolder(run), Listener()) as journal:
                    rewind(journal, 1)

    found = again(run, tmp_path / "rebuilt", Rewinds())

    assert (found.step, found.digests, found.first) == (3, 3, None)
    rebuilt = contents(tmp_path / "rebuilt")
    assert rebuilt.items() >= last_checkpoint(run).files.items()


def test_a_step_that_is_not_as_recorded_is_told_with_its_figures(
    own: dict[str, Any], tmp_path: Path
) -> None:
    """It was promised to be equal; the other steps are taken nevertheless."""
    go_on(tmp_path / "run", **own)
    untrue = forged(tmp_path / "run", tmp_path / "forged")
    found = again(untrue, tmp_path / "rebuilt")

    assert found.first and found.first.promised and not found.unpromised
    assert found.first.step.index == 1
    assert found.first.result.grad_norm != found.first.step.grad_norm
    assert found.step == 6


def test_on_another_machine_it_says_by_how_much_it_differs(
    own: dict[str, Any], tmp_path: Path
) -> None:
    """Nothing is promised there; a checkpoint at hand is compared number by number."""
    go_on(tmp_path / "run", **own)
    moved = forged(tmp_path / "run", tmp_path / "forged", mlx="0.0.1")
    shutil.copytree(tmp_path / "run" / "checkpoints", moved / "checkpoints")
    watch = Listener()
    found = again(moved, tmp_path / "rebuilt", watch)

    assert found.first and not found.first.promised
    assert "mlx was 0.0.1" in found.unpromised
    assert watch.told("step 1 is not as it was")
    assert {*found.apart} == {5, 6}
    assert all(0 < apart < 1 for apart in found.apart.values())


def test_another_base_model_is_refused(own: dict[str, Any], tmp_path: Path) -> None:
    """By content; the same one may lie elsewhere now."""
    run, rebuilt = tmp_path / "run", tmp_path / "rebuilt"
    go_on(run, Listener(stop_after=2), **own)
    elsewhere = str(Path(own["model"]).rename(tmp_path / "elsewhere"))
    with pytest.raises(UsageError, match="could not be found"):
        again(run, rebuilt)
    other = str(toy_model(tmp_path / "other", seed=9))
    with pytest.raises(SettingsChanged, match="the model changed"):
        again(run, rebuilt, model=other)

    assert again(run, rebuilt, model=elsewhere).first is None
    rewrite_weights(Path(elsewhere))
    with pytest.raises(SettingsChanged, match="weights differ"):
        again(run, tmp_path / "more", model=elsewhere)


def test_another_first_adapter_is_refused(
    own: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the machine is the same, the first random numbers must be."""
    run = tmp_path / "run"
    go_on(run, Listener(stop_after=1), **own)
    monkeypatch.setattr("onlinedpo.states.seeds.derive", lambda *_: 4)

    with pytest.raises(ReplayDiverged, match="does not begin as it did"):
        again(run, tmp_path / "rebuilt")


@pytest.mark.parametrize("to", [0, 3, -1])
def test_a_step_that_was_not_taken_is_refused(
    to: int, own: dict[str, Any], tmp_path: Path
) -> None:
    """With the numbers that could be given; nothing is written."""
    run = tmp_path / "run"
    go_on(run, Listener(stop_after=2), **own)
    with pytest.raises(UsageError, match=f"no step {to}") as caught:
        again(run, tmp_path / "rebuilt", to=to)

    assert "1 to 2" in caught.value.hint
    assert not (tmp_path / "rebuilt").exists()
    assert len(steps(run)) == 2


def test_a_place_that_is_taken_is_refused(long_run: Path, tmp_path: Path) -> None:
    """A folder with something in it, a file, and the run itself."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for into in (tmp_path / "full", tmp_path / "file"):
        with pytest.raises(UsageError, match="exists already"):
            again(long_run, into)
    for into in (long_run, long_run / "rebuilt"):
        with pytest.raises(UsageError, match="nothing is changed"):
            again(long_run, into)
    (tmp_path / "empty").mkdir()
    assert again(long_run, tmp_path / "empty", to=1).first is None
