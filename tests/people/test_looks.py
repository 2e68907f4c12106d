"""What is seen of a folder: each version that came to rest, once, and theirs alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from onlinedpo.journal.looks import REREAD, RESTLESS, Looks, Saved
from tests.nobody import as_nobody

LIMIT = 1 << 20


class Folder:
    """A folder and the looks at it, by a clock that the test sets."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.looks = Looks(path, limit=LIMIT)
        self.now = 100.0

    def after(self, seconds: float) -> list[Saved]:
        """Look again so much later."""
        self.now += seconds
        return list(self.looks.look(self.now))

    def raws(self, seconds: float) -> list[bytes]:
        """What has settled by then."""
        return [saved.raw for saved in self.after(seconds)]

    def save(self, raw: bytes, name: str = "a.md") -> Path:
        """Write a file as an editor that writes in place."""
        (self.path / name).write_bytes(raw)
        return self.path / name


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty folder."""
    return Folder(tmp_path)


def test_a_version_is_seen_once_and_only_when_it_has_settled(folder: Folder) -> None:
    """Half a second without a change; every change begins it anew."""
    path = folder.save(b"one")
    assert folder.after(0) == []
    assert folder.looks.unsettled == 1
    assert folder.raws(0.4) == []
    folder.save(b"two!")
    assert folder.raws(0.4) == []
    assert folder.looks.unsettled == 1
    (saved,) = folder.after(0.5)

    assert (saved.path, saved.raw, saved.problem) == (path, b"two!", "")
    assert saved.owner == os.getuid()
    assert saved.time == path.stat().st_mtime
    assert folder.looks.unsettled == 0
    assert folder.after(1) == folder.after(1) == []


def test_a_save_that_changes_nothing_is_not_seen(folder: Folder) -> None:
    """What counts is the content: also of a file that was touched or replaced."""
    path = folder.save(b"one")
    folder.after(0)
    assert folder.raws(1) == [b"one"]
    os.utime(path, (1, 1))
    assert folder.raws(1) == folder.raws(1) == []
    beside = folder.path / ".new"
    beside.write_bytes(b"one")
    os.replace(beside, path)
    assert folder.raws(1) == folder.raws(1) == []
    beside.write_bytes(b"two")
    os.replace(beside, path)
    assert folder.raws(1) == []
    assert folder.raws(1) == [b"two"]


def test_a_change_that_no_time_tells_is_seen_within_a_minute(folder: Folder) -> None:
    """Some drives keep times that lie: all is read again from time to time."""
    path = folder.save(b"one")
    folder.after(0)
    assert folder.raws(1) == [b"one"]
    entry = folder.looks._seen["a.md"]
    path.write_bytes(b"two")
    found = path.stat()
    # As if the drive told the same of both.
    entry.stat = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    assert folder.raws(1) == []
    assert folder.raws(REREAD) == [b"two"]


def test_a_file_that_went_and_came_back_is_seen_again(folder: Folder) -> None:
    """As it would be by somebody who looks for the first time."""
    path = folder.save(b"one")
    folder.after(0)
    folder.after(1)
    path.unlink()
    assert folder.raws(1) == []
    folder.save(b"one")
    folder.after(1)
    assert folder.raws(1) == [b"one"]


def test_what_never_rests_is_named_after_a_minute(folder: Folder) -> None:
    """It is not read until then, nor then."""
    for count in range(int(RESTLESS / 0.4) + 2):
        path = folder.save(b"x" * (count + 1))
        assert folder.after(0.4) == []
    assert folder.looks.restless == [path]
    assert [*folder.looks.not_read()] == [
        (path, "has been changing for a minute: not read yet")
    ]
    folder.after(1)
    assert folder.looks.restless == []


NOT_THEIRS = (
    *(".a.md.swp", ".hidden", "a.md~", "~$a.md", "#a.md#", "a.md.swp", "a.swx", "4913"),
    *("a.md.tmp", "a.jsonl.part", "a.crdownload", "a.md.bak", "a.md.error"),
    *("a.jsonl.receipt", ".tmp-a.md-12345678"),
)


@pytest.mark.parametrize("name", NOT_THEIRS)
def test_what_editors_leave_beside_is_no_answer(name: str, folder: Folder) -> None:
    """Swap files, backups, downloads that are not done, and our own notes."""
    folder.save(b"one", name)
    assert folder.raws(0) == folder.raws(1) == []
    assert folder.looks.unsettled == 0


@pytest.mark.parametrize(
    "name",
    [
        "a (conflicted copy).md",
        "a.sync-conflict-20250101-120000-ABCDEFG.md",
        "A.MD",
        "a",
        "4914",
        "a.md.txt",
    ],
)
def test_any_other_name_may_be_somebodys_answer(name: str, folder: Folder) -> None:
    """Also a copy that a sync program made of a conflict."""
    folder.save(b"one", name)
    folder.after(0)
    assert folder.raws(1) == [b"one"]


def test_links_pipes_and_folders_are_passed_over(folder: Folder) -> None:
    """A link could lead out of the folder, and a pipe would never end."""
    outside = folder.path.parent / "outside"
    outside.write_bytes(b"secret")
    (folder.path / "link.md").symlink_to(outside)
    (folder.path / "dangling.md").symlink_to(folder.path / "nowhere")
    os.mkfifo(folder.path / "pipe.md")
    (folder.path / "folder.md").mkdir()

    assert folder.raws(0) == folder.raws(1) == folder.raws(REREAD) == []
    assert folder.looks.unsettled == 0


@pytest.mark.parametrize("other", ["link", "pipe"])
def test_what_takes_a_files_place_at_the_last_instant_is_not_followed(
    other: str, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the reading: a link is not read, a pipe not waited for."""
    path = folder.save(b"one")
    folder.after(0)
    outside = folder.path.parent / "outside"
    outside.write_bytes(b"secret")
    truly_open = os.open

    def swap_and_open(name: Path, flags: int) -> int:
        path.unlink()
        if other == "link":
            path.symlink_to(outside)
        else:
            os.mkfifo(path)
        return truly_open(name, flags)

    monkeypatch.setattr(os, "open", swap_and_open)
    assert [raw for raw in folder.raws(1) if raw] == []
    monkeypatch.undo()
    assert folder.raws(1) == folder.raws(1) == []


def test_what_is_too_large_is_not_kept_but_told(folder: Folder) -> None:
    """To the byte; whoever reads it gets nothing and the reason."""
    folder.save(b"x" * LIMIT, "fits.md")
    folder.save(b"x" * (LIMIT + 1), "large.md")
    folder.after(0)
    fits, large = folder.after(1)

    assert (len(fits.raw), fits.problem) == (LIMIT, "")
    assert (large.raw, large.problem) == (b"", "it is larger than 1 MB")


def test_what_may_not_be_read_is_told_once() -> None:
    """And read once it may be."""
    user = os.geteuid()
    with as_nobody() as path:
        reader = os.geteuid()
        folder = Folder(path)
        os.seteuid(user)
        file = folder.save(b"one")
        file.chmod(0)
        os.seteuid(reader)
        folder.after(0)
        (saved,) = folder.after(1)
        assert saved.problem == "it cannot be read: Permission denied"
        assert saved.raw == b""
        assert folder.after(1) == []
        os.seteuid(user)
        file.chmod(0o644)
        os.seteuid(reader)
        folder.after(1)
        assert folder.raws(1) == [b"one"]


def test_a_folder_that_is_not_there_is_empty(folder: Folder) -> None:
    """Somebody may have moved it away for a moment."""
    folder.save(b"one")
    folder.after(0)
    folder.path.rename(folder.path.with_name("away"))
    assert folder.raws(1) == []
    folder.path.with_name("away").rename(folder.path)
    folder.after(1)
    assert folder.raws(1) == [b"one"]


def test_what_we_moved_ourselves_is_not_seen_again(tmp_path: Path) -> None:
    """Until somebody changes it in its new place."""
    todo, done = tmp_path / "todo", tmp_path / "done"
    todo.mkdir()
    done.mkdir()
    here, there = Folder(todo), Folder(done)
    here.save(b"one")
    here.after(0)
    here.after(1)
    (todo / "a.md").rename(done / "b.md")
    here.looks.moved("a.md", there.looks, "b.md")

    assert here.raws(1) == there.raws(1) == there.raws(1) == []
    there.save(b"two", "b.md")
    there.after(1)
    assert there.raws(1) == [b"two"]


def test_files_come_in_the_order_of_their_names(folder: Folder) -> None:
    """Whatever the order in which the system lists them."""
    for name in ("b.md", "c.md", "a.md", "d.md"):
        folder.save(name.encode(), name)
    folder.after(0)
    assert folder.raws(1) == [b"a.md", b"b.md", b"c.md", b"d.md"]
