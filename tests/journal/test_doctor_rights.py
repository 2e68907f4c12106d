"""The doctor tells what may not be read or written, and takes it for nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from onlinedpo.journal import manifest
from onlinedpo.journal.repair import surroundings
from onlinedpo.journal.repair.doctor import examine
from tests.journal.test_doctor import can_go_on, diagnosed, make, told
from tests.nobody import as_nobody


@pytest.fixture
def run() -> Iterator[Path]:
    """A run of two steps with both checkpoints, of a user who is not root."""
    with as_nobody() as place:
        yield make(place / "run")


@pytest.mark.parametrize("name", ["adapters.safetensors", "manifest.json"])
def test_a_checkpoint_that_may_not_be_read_is_not_called_damaged(
    name: str, run: Path
) -> None:
    """It may be sound: it must be made readable, or moved away."""
    file = run / "checkpoints" / "step-000002" / name
    file.chmod(0)
    diagnosis = examine(run)

    assert f"{file}: Permission denied" in told(diagnosis)
    assert "Whether this checkpoint is sound cannot be told" in told(diagnosis)
    assert "not as it was written" not in told(diagnosis)
    assert "damaged" not in told(diagnosis)
    assert not can_go_on(diagnosis)


def test_a_journal_that_may_not_be_written_can_be_looked_at(run: Path) -> None:
    """But the run cannot go on there."""
    (run / "journal").chmod(0o500)
    diagnosis = diagnosed(run, f"{run}/journal cannot be written to by you", stops=True)
    assert diagnosis.holds.startswith("16 frames")
    (run / "journal").chmod(0o700)


def test_a_lock_that_may_not_be_read_is_told(run: Path) -> None:
    """Nobody can tell whether a process works on the run."""
    lock = run / "journal" / "lock"
    lock.chmod(0)
    diagnosis = examine(run)
    assert f"{lock}: Permission denied" in told(diagnosis)
    assert "works on this run cannot be told" in told(diagnosis)


def test_a_checkpoint_that_goes_away_meanwhile_is_passed_over(run: Path) -> None:
    """A run at work removes its old ones."""
    sound, damaged = manifest.find(run / "checkpoints")
    shutil.rmtree(sound[0].path)
    assert [*surroundings.checkpoints(sound, damaged, None, [])] == []


def test_a_checkpoint_of_another_outcome_is_told(run: Path) -> None:
    """It is whole, and of a step that went otherwise."""
    path = run / "checkpoints" / "step-000002" / manifest.NAME
    content = json.loads(path.read_bytes())
    content.pop("sha256")
    path.write_bytes(manifest.sealed(content | {"state": "other"}))
    diagnosed(run, "step-000002: the journal's step had another outcome", stops=False)
