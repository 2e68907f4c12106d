"""What failing calls have found, each as the shortest story that shows it."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from onlinedpo.engine import checkpoint
from onlinedpo.engine.models import export
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.journal import disk, lock, manifest, present
from onlinedpo.journal.audit.checkpoints import Checkpoints
from onlinedpo.journal.label_folder import LabelFolder
from onlinedpo.journal.looks import Looks
from onlinedpo.journal.reader import Reader, begun, segments
from onlinedpo.journal.repair.doctor import examine
from onlinedpo.journal.repair.salvage import salvage
from onlinedpo.states.errors import StorageError
from onlinedpo.states.ledger import Ledger
from tests.crash.calls import Call, failing, watched
from tests.crash.io_errors.failing import READS, NthRead
from tests.journal import kit
from tests.journal.checkpoints import checkpoint as made


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with a journal and a checkpoint, both sound."""
    folder = tmp_path / "run"
    kit.two_segments(folder / "journal", drops=1)
    chains = {f.number: f.chain for _, f in Reader(folder / "journal").whole_frames()}
    made(folder, 1, 4, chains[4])
    return folder


def unreadable(path: Path, how: str = "EIO", *, reading: bool = False) -> Any:
    """Within the block a file or folder, with all in it, cannot be looked at."""
    return NthRead(path, 1, how, lasting=True, reading=reading).patched()


# Where each of these came out as "nothing is here" or "it is damaged", a run began over
# another, a sound checkpoint went to quarantine, or a label lost what it was made by.
LOOKED_AT: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a manifest": ("checkpoints", lambda run: manifest.find(run / "checkpoints")),
    "a checkpoint's file": (
        "checkpoints/step-000001/adapters.safetensors",
        lambda run: manifest.find(run / "checkpoints")[0][0].wrong_file(),
    ),
    "an audited checkpoint": (
        "checkpoints/step-000001/optimizer.safetensors",
        lambda run: Checkpoints.of(run).check(Ledger(), run / "adapters"),
    ),
    "the journal": ("journal", lambda run: segments(run / "journal")),
    "its beginning": ("journal", lambda run: begun(run / "journal")),
    "the run": ("", lambda run: RunFolder(run).is_fresh()),
    "its checkpoints": ("checkpoints", lambda run: RunFolder(run).check()),
    "the lock": ("journal/lock", lambda run: lock.holder(run / "journal")),
    "the guidelines": (
        "labels/guidelines.md",
        lambda run: LabelFolder(run / "labels").guidelines_digest(),
    ),
    "another adapter": (
        "adapters",
        lambda run: export.must_be_free(str(run / "adapters")),
    ),
}


# To see that something is there takes no descriptor.
CASES = [
    (what, how)
    for what in LOOKED_AT
    for how in READS
    if what != "the run" or how in ("EIO", "EACCES")
]


@pytest.mark.parametrize(("what", "how"), CASES)
def test_what_cannot_be_looked_at_is_an_error(what: str, how: str, run: Path) -> None:
    """Not "nothing", and not "damaged"; the error names the file."""
    place, look = LOOKED_AT[what]
    with unreadable(run / place, how), pytest.raises(OSError) as refused:
        look(run)
    assert refused.value.errno == READS[how]
    assert str(run / place) in str(refused.value.filename)


@pytest.mark.parametrize(
    "what", ["a manifest", "a checkpoint's file", "the guidelines"]
)
def test_bytes_that_cannot_be_read_are_an_error(what: str, run: Path) -> None:
    """The file is opened; its drive fails after that, and names no file by itself."""
    (run / "labels").mkdir()
    (run / "labels" / "guidelines.md").write_text("Be kind.")
    place, look = LOOKED_AT[what]
    with (
        unreadable(run / place, reading=True),
        pytest.raises(OSError, match=r"Input/output error.*run"),
    ):
        look(run)


def test_the_doctor_goes_on_past_what_cannot_be_read(run: Path) -> None:
    """And says of it what it is; a salvage and a rebuild do without checkpoints."""
    with unreadable(run / "checkpoints" / "step-000001"):
        diagnosis = examine(run)
        salvaged = salvage(run, run.parent / "new")
    (told,) = [f for f in diagnosis.findings if "Input/output error" in f.what]
    assert told.stops and "step-000001" in told.what
    assert not any("damaged" in f.what for f in diagnosis.findings)
    assert salvaged.steps == 2


def test_settings_that_the_disk_does_not_give_are_no_mistake_of_the_users(
    tmp_path: Path,
) -> None:
    """Nobody is told to mend the file or to remove it."""
    folder = RunFolder(tmp_path)
    folder.config.write_text("iters: 3\n")
    with (
        unreadable(folder.config, reading=True),
        pytest.raises(StorageError) as refused,
    ):
        folder.read_config()
    assert str(folder.config) in str(refused.value)
    assert "Mend it" not in refused.value.hint


def test_a_lack_of_descriptors_says_nothing_of_a_label_file(tmp_path: Path) -> None:
    """The person who wrote it is not told to mend it; the next look reads it."""
    (tmp_path / "a.md").write_text("choice: 1")
    looks = Looks(tmp_path, limit=100, settle=0.0)
    with unreadable(tmp_path / "a.md", "EMFILE"), pytest.raises(OSError, match="open"):
        list(looks.look(0.0))
    (saved,) = looks.look(1.0)
    assert saved.raw == b"choice: 1" and not saved.problem


def test_tensors_that_cannot_be_loaded_now_may_be_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLX has an error of its own where a file cannot be opened or read."""
    tensors = {"w": mx.array([1.0])}
    checkpoint.save(tmp_path, 1, tensors, tensors, (1, bytes(32)))
    ((found,), _) = manifest.find(tmp_path)

    def load(path: str) -> object:
        raise RuntimeError(f"[load_safetensors] Failed to open file {path}")

    monkeypatch.setattr(mx, "load", load)
    with pytest.raises(StorageError, match="step-000001") as refused:
        checkpoint.load(found)
    assert refused.value.exit_code == 11


@pytest.mark.parametrize("failed", ["write", "sync", "rename"])
def test_a_cleanup_that_fails_hides_nothing(failed: str, tmp_path: Path) -> None:
    """What went wrong first is told, though closing and removing fail then, too."""

    def fault(call: Call) -> OSError | None:
        if call.name == failed:
            return failing(errno.ENOSPC)
        return failing(errno.EIO) if call.name in ("close", "unlink") else None

    def write() -> None:
        disk.write_synced(tmp_path / "new", b"bytes")
        disk.rename(tmp_path / "new", tmp_path / "final")

    if failed == "rename":
        disk.write_synced(tmp_path / "new", b"bytes")
    with watched(fault, closing=True), pytest.raises(OSError) as refused:
        if failed == "rename":
            disk.rename(tmp_path / "new", tmp_path / "final")
        else:
            write()
    assert refused.value.errno == errno.ENOSPC
    if failed != "rename":
        assert refused.value.filename == str(tmp_path / "new")


def test_what_was_saved_in_haste_is_cleared_from_labels_too(tmp_path: Path) -> None:
    """The guidelines' temporary file lay in labels/ for ever, if it was not removed."""
    labels = LabelFolder(tmp_path / "labels")

    def fault(call: Call) -> OSError | None:
        return failing(errno.EIO) if call.name == "unlink" else None

    with watched(fault):
        labels.make("Be kind.")
    assert [*labels.path.glob(".tmp-*")]
    labels.make("Be kind.")
    assert not [*labels.path.glob(".tmp-*")]


def test_no_name_is_taken_for_free_that_cannot_be_looked_at(tmp_path: Path) -> None:
    """Or what somebody saved in done/ would be written over by the next file."""
    labels = LabelFolder(tmp_path / "labels")
    labels.make("Be kind.")
    labels.offer("a.md", b"new")
    (labels.done / "a.md").write_text("somebody's")
    with unreadable(labels.done / "a.md"), pytest.raises(OSError, match=r"a\.md"):
        labels.finish(labels.todo / "a.md", "a.md")
    with unreadable(labels.done / "a.md"), pytest.raises(OSError, match=r"a\.md"):
        labels.free_name(labels.todo / "a.md", ())
    assert (labels.done / "a.md").read_text() == "somebody's"
    assert labels.finish(labels.todo / "a.md", "a.md") == "a-2.md"


def test_what_was_left_in_another_adapters_folder_is_cleared(tmp_path: Path) -> None:
    """A link to a checkpoint's adapter kept its bytes there for ever."""
    ours, theirs = ".tmp-adapters.safetensors-0123abcd", ".tmp-mine"
    for name in (ours, theirs, "adapters.safetensors"):
        (tmp_path / name).write_bytes(b"")
    RunFolder(tmp_path / "run").tidy(str(tmp_path))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        theirs,
        "adapters.safetensors",
    ]


def test_names_are_told_from_folders_that_cannot_be_read(tmp_path: Path) -> None:
    """A file in the place of a folder holds nothing; a link to nowhere is nothing."""
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert present.listed(tmp_path / "file") == present.listed(tmp_path / "none") == []
    assert present.is_there(tmp_path / "file")
    assert not present.is_there(tmp_path / "link")
    assert not present.is_there(tmp_path / "file" / "below")
