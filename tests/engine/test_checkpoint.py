"""Checkpoints: whole or not used, and a cache only."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onlinedpo.engine import checkpoint
from onlinedpo.engine.loop import train
from onlinedpo.engine.saving import save_if_due
from onlinedpo.engine.training.optimizer import OPTIMIZERS
from onlinedpo.journal import manifest
from onlinedpo.states.errors import RunLocked
from tests.engine.kit import DROPOUT, WAYS, some_pairs, trainer
from tests.engine.runs import Listener, Scripted, by_text, opened, state, trained

FILES = ("adapters.safetensors", "optimizer.safetensors", "manifest.json")
SETTINGS = [
    *({"optimizer": optimizer} for optimizer in OPTIMIZERS),
    {"fine_tune_type": "dora"},
    {"fine_tune_type": "full"},
    {"optimizer": "sgd", "optimizer_config": {"sgd": {"momentum": 0.9}}},
    {
        "lr_schedule": {"name": "cosine_decay", "arguments": [1e-2, 9], "warmup": 2},
        "lora_parameters": DROPOUT,
    },
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_checkpoint_gives_back_every_bit(
    settings: dict[str, Any], toy: Path, tmp_path: Path
) -> None:
    """Loaded into a fresh learner it is equal, and so are three more steps."""
    whole, fresh = trainer(toy, **settings), trainer(toy, **settings)
    for index in (1, 2):
        whole.learner.step(some_pairs(3, seed=index), index)

    digest = checkpoint.save(
        tmp_path, 2, whole.policy.trainable(), whole.learner.state(), (9, b"chain")
    )
    ((found,), damaged) = manifest.find(tmp_path)
    loaded = checkpoint.load(found)
    assert loaded
    fresh.learner.restore(*loaded)

    assert damaged == []
    assert (found.step, found.state, found.frame, found.chain) == (
        2,
        digest,
        9,
        b"chain",
    )
    assert fresh.digest() == whole.digest() == digest
    results = [
        [built.learner.step(some_pairs(3, seed=index), index) for index in (3, 4, 5)]
        for built in (whole, fresh)
    ]
    assert results[0] == results[1]
    assert fresh.digest() == whole.digest() != digest


@pytest.fixture(scope="module")
def run(toy: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of three steps, to be copied."""
    folder = tmp_path_factory.mktemp("run") / "run"
    parts = {"model": str(toy), "judge": str(toy), "data": str(data)}
    trained(folder, Scripted(by_text), **parts)
    return folder


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    """A copy of it to damage."""
    return Path(shutil.copytree(run, tmp_path / "run"))


@pytest.fixture(scope="module")
def sound(run: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The state that the run ended with."""
    copy = tmp_path_factory.mktemp("sound") / "run"
    with opened(Path(shutil.copytree(run, copy))) as taken_up:
        return state(taken_up)


def test_a_sound_checkpoint_is_taken_up_as_it_is(copied: Path, sound: str) -> None:
    """Nothing is computed again, and nothing is set aside."""
    watch = Listener()
    with opened(copied, watch) as taken_up:
        assert state(taken_up) == sound

    assert not watch.told("re-applying")
    assert not (copied / "quarantine").exists()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0.0, 0.3, 0.7, 1.0])
def test_a_flipped_byte_is_noticed_and_the_checkpoint_set_aside(
    name: str, place: float, copied: Path, sound: str
) -> None:
    """It is kept for a look, the user is told, and the same state is rebuilt."""
    file = copied / "checkpoints" / "step-000003" / name
    octets = bytearray(file.read_bytes())
    octets[int(place * (len(octets) - 1))] ^= 0x01
    damaged = bytes(octets)
    # A new file: the published adapter is another name of the old one.
    file.unlink()
    file.write_bytes(damaged)
    watch = Listener()

    with opened(copied, watch) as taken_up:
        assert state(taken_up) == sound

    (kept,) = (copied / "quarantine").iterdir()
    assert (kept / name).read_bytes() == damaged
    assert watch.told("is not used") and watch.told(str(kept))
    assert watch.told("re-applying steps 3 to 3")
    assert manifest.find(copied / "checkpoints")[0][0].step == 3


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("left", [None, 0, 40])
def test_a_missing_or_truncated_file_is_noticed(
    name: str, left: int | None, copied: Path, sound: str
) -> None:
    """As a flipped byte is."""
    file = copied / "checkpoints" / "step-000003" / name
    octets = file.read_bytes()
    file.unlink()
    if left is not None:
        file.write_bytes(octets[:left])
    watch = Listener()

    with opened(copied, watch) as taken_up:
        assert state(taken_up) == sound

    assert watch.told("is not used")
    assert len(list((copied / "quarantine").iterdir())) == 1


def test_a_checkpoint_of_another_run_is_not_used(
    copied: Path, sound: str, toy: Path, data: Path, tmp_path: Path
) -> None:
    """Whole as it is, the journal does not know its tensors."""
    parts = {"model": str(toy), "judge": str(toy), "data": str(data)}
    other = tmp_path / "other"
    trained(other, Scripted(by_text), **parts, seed=8)
    target = copied / "checkpoints" / "step-000003"
    own = json.loads((target / "manifest.json").read_text())
    shutil.rmtree(target)
    shutil.copytree(other / "checkpoints" / "step-000003", target)
    # Even if it says that it was made at this run's place in the journal.
    theirs = json.loads((target / "manifest.json").read_text())
    theirs.pop("sha256")
    theirs["journal"] = own["journal"]
    (target / "manifest.json").write_bytes(manifest.sealed(theirs))
    watch = Listener()

    with opened(copied, watch) as taken_up:
        assert state(taken_up) == sound

    assert watch.told("the journal has no such step")


def test_a_checkpoint_whose_step_was_never_committed_is_removed(
    copied: Path, sound: str
) -> None:
    """Its process died before the journal had the step, so it is not told as damage."""
    with opened(copied) as run:
        adapter, optimizer = run.policy.trainable(), run.learner.state()
        written = run.folder.checkpoints
        checkpoint.save(written, 4, adapter, optimizer, run.journal.position)
    watch = Listener()

    with opened(copied, watch) as taken_up:
        assert state(taken_up) == sound

    assert [found.step for found in manifest.find(written)[0]] == [3, 2]
    assert not watch.told("is not used")
    assert not (copied / "quarantine").exists()


def test_two_checkpoints_are_kept(copied: Path) -> None:
    """The newest, and one to fall back on."""
    names = sorted(path.name for path in (copied / "checkpoints").iterdir())

    assert names == ["step-000002", "step-000003"]


def test_save_every_spaces_checkpoints_out_and_the_last_is_always_saved(
    toy: Path, data: Path, tmp_path: Path
) -> None:
    """With save_every 2, steps 2, 4 and the last have one."""
    parts = {"model": str(toy), "judge": str(toy), "data": str(data)}
    with opened(tmp_path, **parts, iters=5, save_every=2) as run:
        run.judge = Scripted(by_text)
        train(run)
        assert sorted(run.ledger.checkpoints) == [2, 4, 5]


def test_none_is_written_where_a_run_lay_before(
    toy: Path, data: Path, tmp_path: Path
) -> None:
    """It was moved while the step was computed: its folder is not made anew."""
    parts = {"model": str(toy), "judge": str(toy), "data": str(data)}
    with (
        pytest.raises(RunLocked, match="this run was moved"),
        opened(tmp_path / "run", **parts, iters=1) as run,
    ):
        run.folder.path.rename(tmp_path / "moved")
        save_if_due(run, 1)

    assert [path.name for path in tmp_path.iterdir()] == ["moved"]


@pytest.mark.parametrize("way", WAYS)
def test_a_checkpoint_holds_what_is_trained_and_no_more(
    way: str, toy: Path, data: Path, tmp_path: Path
) -> None:
    """No base weights are written for an adapter."""
    parts = {"model": str(toy), "judge": str(toy), "data": str(data)}
    with opened(tmp_path, **parts, iters=1, fine_tune_type=way) as run:
        run.judge = Scripted(by_text)
        train(run)
        trainable = run.policy.trainable()

    ((found,), _) = manifest.find(tmp_path / "checkpoints")
    loaded = checkpoint.load(found)
    assert loaded
    assert set(loaded[0]) == set(trainable)
    for name, value in trainable.items():
        np.testing.assert_array_equal(np.array(loaded[0][name]), np.array(value))
