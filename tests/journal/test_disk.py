"""File operations that a crash leaves whole."""

from __future__ import annotations

import hashlib
import os
import signal
from pathlib import Path

import pytest

from onlinedpo.journal import atomic, disk
from tests.crash.calls import failing, watched
from tests.crash.io_errors.failing import NthRead
from tests.journal import processes
from tests.nobody import as_nobody

REPLACE = """
atomic.replace(folder / "settings", b"new contents")
say("done")
"""
OLD, NEW = b"old, and of another length", b"new contents"


def names(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("point", "contents"), [("settings.write", OLD), ("settings.rename", NEW)]
)
def test_a_replaced_file_has_its_old_or_its_new_contents(
    tmp_path: Path, point: str, contents: bytes
) -> None:
    """Killed before the rename, and after it; what is left over is cleared later."""
    (tmp_path / "settings").write_bytes(OLD)
    (tmp_path / "mine").write_bytes(b"")
    code, lines = processes.finish(REPLACE, tmp_path, ONLINEDPO_CRASH=f"{point}@1")
    assert (code, lines) == (-signal.SIGKILL, [])
    assert (tmp_path / "settings").read_bytes() == contents
    assert (len(names(tmp_path)) == 3) == (contents == OLD)
    atomic.clear_temporary(tmp_path)
    assert names(tmp_path) == ["mine", "settings"]


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_replaced_or_made(tmp_path: Path, durable: bool) -> None:
    """Whatever was there, and whoever has the old file open goes on reading that."""
    path = tmp_path / "settings"
    atomic.replace(path, OLD, durable=durable)
    with path.open("rb") as before:
        atomic.replace(path, NEW, durable=durable)
        atomic.replace(path, b"", durable=durable)
        assert before.read() == OLD
    assert path.read_bytes() == b""
    assert names(tmp_path) == ["settings"]


@pytest.mark.parametrize("durable", [True, False])
def test_a_replacement_that_fails_leaves_the_old_file(
    tmp_path: Path, durable: bool
) -> None:
    """And no temporary one: here a folder is in the way, and then is missing."""
    (tmp_path / "settings" / "full").mkdir(parents=True)
    with pytest.raises(OSError):
        atomic.replace(tmp_path / "settings", NEW, durable=durable)
    with pytest.raises(FileNotFoundError):
        atomic.replace(tmp_path / "missing" / "settings", NEW, durable=durable)
    assert names(tmp_path) == ["settings"]
    assert names(tmp_path / "settings") == ["full"]


def test_bytes_are_written_to_the_last_however_few_the_system_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`write` may take fewer bytes than it is given."""
    really = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: really(fd, data[:3]))
    disk.write_synced(tmp_path / "file", bytes(range(200)))
    assert (tmp_path / "file").read_bytes() == bytes(range(200))


def test_a_new_file_never_takes_the_place_of_another(tmp_path: Path) -> None:
    """`write_synced` creates: what is there stays."""
    disk.write_synced(tmp_path / "file", OLD)
    with pytest.raises(FileExistsError):
        disk.write_synced(tmp_path / "file", NEW)
    assert (tmp_path / "file").read_bytes() == OLD


def test_a_link_is_the_same_file(tmp_path: Path) -> None:
    """It costs no space; linking again, or over another file, is the same."""
    source, path = tmp_path / "source", tmp_path / "path"
    source.write_bytes(NEW)
    path.write_bytes(OLD)
    with path.open("rb") as before:
        for _ in range(2):
            atomic.link(source, path)
            assert path.samefile(source)
        assert before.read() == OLD
    assert names(tmp_path) == ["path", "source"]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A file on another file system, which no hard link can reach."""
    path = Path("/dev/shm")
    if not os.access(path, os.W_OK) or path.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system to write to")
    return path / f"onlinedpo-test-{os.getpid()}"


def test_across_file_systems_a_link_is_a_copy(tmp_path: Path, elsewhere: Path) -> None:
    """The bytes are there all the same, and are replaced as a whole."""
    source = tmp_path / "source"
    elsewhere.mkdir()
    try:
        for contents in (OLD, NEW):
            source.write_bytes(contents)
            atomic.link(source, elsewhere / "path")
            assert (elsewhere / "path").read_bytes() == contents
            assert not (elsewhere / "path").samefile(source)
            assert names(elsewhere) == ["path"]
    finally:
        for path in elsewhere.iterdir():
            path.unlink()
        elsewhere.rmdir()


def test_a_link_to_nothing_is_an_error(tmp_path: Path) -> None:
    """The old file stays."""
    (tmp_path / "path").write_bytes(OLD)
    with pytest.raises(FileNotFoundError):
        atomic.link(tmp_path / "missing", tmp_path / "path")
    assert (tmp_path / "path").read_bytes() == OLD


def test_a_folder_is_published_whole_and_removed_whole(tmp_path: Path) -> None:
    """It appears under its name when all is in it; it never shrinks under its name."""
    temporary = tmp_path / f"{atomic.TEMPORARY}step-1"
    temporary.mkdir()
    disk.write_synced(temporary / "a", NEW)
    atomic.publish(temporary, tmp_path / "step-1")
    assert names(tmp_path) == ["step-1"]
    assert (tmp_path / "step-1" / "a").read_bytes() == NEW
    atomic.remove_folder(tmp_path / "step-1")
    assert names(tmp_path) == []
    temporary.mkdir()
    atomic.remove_folder(temporary)
    assert names(tmp_path) == []


def test_a_folder_may_lie_below_one_that_may_only_be_passed_through() -> None:
    """As homes do: what was there is not for us to sync, and what we make is synced."""
    with as_nobody() as place:
        homes, mine = place / "homes", place / "homes" / "mine"
        mine.mkdir(parents=True)
        homes.chmod(0o111)
        disk.make_folder(mine)
        disk.make_folder(mine / "run" / "journal")
        disk.make_folder(mine)
        homes.chmod(0o755)

        assert (mine / "run" / "journal").is_dir()


def test_where_no_name_can_be_synced_no_folder_is_made() -> None:
    """Else the next one to come would find it, and build on a name that may go."""
    with as_nobody() as place:
        (place / "letterbox").mkdir()
        (place / "letterbox").chmod(0o333)
        for _ in range(2):
            with pytest.raises(PermissionError):
                disk.make_folder(place / "letterbox" / "run")
        (place / "letterbox").chmod(0o755)

        assert names(place / "letterbox") == []


def test_a_copy_tells_what_was_copied(tmp_path: Path) -> None:
    """By its digest, and in parts where it is large."""
    (tmp_path / "source").write_bytes(bytes(3 << 20))
    digest = disk.copy(tmp_path / "source", tmp_path / "copy")

    assert digest == hashlib.sha256(bytes(3 << 20)).hexdigest()
    assert digest == disk.file_digest(tmp_path / "copy")


def test_a_copy_that_fails_names_the_file(tmp_path: Path) -> None:
    """The one that cannot be read, or the one that takes no more."""
    source, path = tmp_path / "source", tmp_path / "path"
    source.write_bytes(NEW)
    unreadable = NthRead(tmp_path, 1, "EIO", lasting=False, reading=True)
    with unreadable.patched(), pytest.raises(OSError) as told:
        disk.copy(source, path)
    assert told.value.filename == str(source)

    path.unlink()
    with (
        watched(lambda call: failing(28) if call.name == "write" else None),
        pytest.raises(OSError) as told,
    ):
        disk.copy(source, path)
    assert told.value.filename == str(path)


def test_only_what_crashes_left_is_cleared(tmp_path: Path) -> None:
    """Temporary files and folders go; names that people give stay."""
    kept = [".hidden", ".tmp", "a", "tmp-1", "x.tmp-1"]
    for name in (*kept, ".tmp-file-1"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / ".tmp-folder" / "inner").mkdir(parents=True)
    atomic.clear_temporary(tmp_path)
    assert names(tmp_path) == kept
    atomic.clear_temporary(tmp_path / "missing")


def test_temporary_names_never_meet(tmp_path: Path) -> None:
    """A left-over of an earlier crash is in nobody's way."""
    for _ in range(3):
        processes.finish(REPLACE, tmp_path, ONLINEDPO_CRASH="settings.write@1")
    assert len(names(tmp_path)) == 3
    atomic.replace(tmp_path / "settings", NEW)
    assert (tmp_path / "settings").read_bytes() == NEW
