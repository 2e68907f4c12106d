"""What is acknowledged is on the disk: the order of writes, syncs and renames.

A killed process loses nothing that it wrote, so only this tells a missing sync, which
would cost the data at a power cut.  The real calls are made; they are watched.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.journal import atomic, disk
from onlinedpo.journal.writer import Journal
from onlinedpo.states.lifecycle import by_table
from tests.journal import kit
from tests.states import facts


class Watch:
    """The files and folders that are changed but not synced: what a power cut takes."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        """Watch the calls through which the journal changes files."""
        self.dirty: dict[int, str] = {}
        self.synced: set[int] = set()
        self.mistakes: list[str] = []
        self.cuts = 0
        full = getattr(fcntl, "F_FULLFSYNC", None)
        real = {
            name: getattr(os, name)
            for name in ("open", "write", "fsync", "ftruncate", "replace", "mkdir")
        }
        really_fcntl = fcntl.fcntl

        def create(path: Any, flags: int, *rest: Any, **more: Any) -> Any:
            if flags & os.O_CREAT and not os.path.exists(path):
                self.dirty[os.stat(Path(path).parent).st_ino] = f"the name {path}"
            return real["open"](path, flags, *rest, **more)

        def write(fd: int, data: Any) -> Any:
            self.dirty[os.fstat(fd).st_ino] = f"{len(data)} bytes"
            return real["write"](fd, data)

        def sync(fd: int) -> None:
            self._sync(fd)
            real["fsync"](fd)

        def control(fd: int, command: int, *rest: Any) -> Any:
            if command == full:
                self._sync(fd)
            return really_fcntl(fd, command, *rest)

        def ftruncate(fd: int, size: int) -> None:
            if size:  # the lock's text is data for people only
                self.cuts += 1
                self._nothing_dirty("a tail is cut")
                self.dirty[os.fstat(fd).st_ino] = "a cut"
            real["ftruncate"](fd, size)

        def rename(source: Any, target: Any) -> None:
            if os.stat(source).st_ino in self.dirty:
                self.mistakes.append(f"{target} gets its name before it is synced")
            self.dirty[os.stat(Path(target).parent).st_ino] = f"the name {target}"
            real["replace"](source, target)

        def mkdir(path: Any, mode: int = 0o777) -> None:
            real["mkdir"](path, mode)
            self.dirty[os.stat(Path(path).parent).st_ino] = f"the name {path}"

        for name, call in (
            ("open", create),
            ("write", write),
            ("fsync", sync),
            ("fdatasync", sync),
            ("ftruncate", ftruncate),
            ("replace", rename),
            ("rename", rename),
            ("mkdir", mkdir),
        ):
            patch.setattr(os, name, call, raising=False)
        patch.setattr(fcntl, "fcntl", control)

    def _sync(self, fd: int) -> None:
        self.synced.add(os.fstat(fd).st_ino)
        self.dirty.pop(os.fstat(fd).st_ino, None)

    def _nothing_dirty(self, when: str) -> None:
        self.mistakes += [f"{what} is not synced when {when}" for what in self.all()]

    def all(self) -> list[str]:
        """What a power cut would lose now."""
        return list(self.dirty.values())

    def acknowledged(self) -> None:
        """Something was acknowledged: nothing may be lost from here on."""
        self._nothing_dirty("it is acknowledged")
        assert self.mistakes == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for a journal that is there already."""
    (tmp_path / "run" / "journal").mkdir(parents=True)
    (tmp_path / "run" / "quarantine").mkdir()
    return tmp_path / "run" / "journal"


def test_an_append_is_on_the_disk_when_it_returns(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes, and the names of new segments, over several segments and two starts."""
    monkeypatch.setattr("onlinedpo.journal.writer.SEGMENT_LIMIT", 300)
    watch = Watch(monkeypatch)
    with Journal.create(folder, kit.RUN, by_table) as journal:
        watch.acknowledged()
        for ticket in range(6):
            journal.append([facts.dropped(ticket)])
            watch.acknowledged()
    with Journal.open(folder, {}, by_table) as journal:
        watch.acknowledged()
        journal.append([facts.dropped(6)])
        watch.acknowledged()
    assert len(kit.files(folder)) >= 4
    assert watch.synced


def test_a_fact_is_on_the_disk_before_anything_moves(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Append, sync, then move: the state never knows more than the disk."""
    watch = Watch(monkeypatch)
    moves: list[str] = []

    def move(phase: Any, trigger: str) -> Any:
        watch.acknowledged()
        moves.append(trigger)
        return by_table(phase, trigger)

    with Journal.create(folder, kit.RUN, move) as journal:
        for batch in facts.life(0, 1):
            journal.append(batch)
    assert moves == ["sample", "submit", "label", "apply"]


def test_the_folders_of_a_new_run_are_on_the_disk_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A label in a folder whose name is lost is lost: every new name is synced."""
    watch = Watch(monkeypatch)
    with Journal.create(tmp_path / "run" / "journal", kit.RUN, by_table) as journal:
        journal.append([facts.run_opened()])
        watch.acknowledged()


def torn(folder: Path) -> None:
    """Write a journal and tear its last frame."""
    kit.write(folder, [[[facts.run_opened()], [facts.dropped(0)]]])
    path = folder / "000001.odj"
    path.write_bytes(path.read_bytes()[:-1])


def test_a_torn_tail_is_kept_before_it_is_cut(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At no moment would a power cut lose the bytes, or half of what was done."""
    torn(folder)
    watch = Watch(monkeypatch)
    with Journal.open(folder, {}, by_table):
        watch.acknowledged()
    assert watch.cuts == 1


def test_a_quarantine_that_is_made_for_it_is_kept_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder's own name is on the disk before the tail is cut."""
    (folder.parent / "quarantine").rmdir()
    torn(folder)
    watch = Watch(monkeypatch)
    with Journal.open(folder, {}, by_table):
        watch.acknowledged()
    assert watch.cuts == 1


def test_what_another_process_left_unsynced_is_synced_before_it_is_built_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process killed between write and sync leaves a whole frame in the cache only.

    The next one folds it in and begins a segment that vouches for it: if a power cut
    then took the frame and left the segment, the journal would be refused.
    """
    kit.write(folder, [[[facts.run_opened()], [facts.dropped(0)]]])
    watch = Watch(monkeypatch)
    with Journal.open(folder, {}, by_table) as journal:
        assert journal.ledger.next_ticket == 1
        assert os.stat(folder / "000001.odj").st_ino in watch.synced


def test_files_are_durable_when_replace_and_publish_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contents before names, and names before the return."""
    new = tmp_path / "new"
    new.mkdir()
    watch = Watch(monkeypatch)
    atomic.replace(tmp_path / "settings", b"1")
    watch.acknowledged()
    disk.write_synced(new / "a", b"2")
    atomic.publish(new, tmp_path / "final")
    watch.acknowledged()
    assert (tmp_path / "final" / "a").read_bytes() == b"2"
    (tmp_path / "late").write_bytes(b"3")
    disk.sync_files([tmp_path / "late", tmp_path / "settings"])
    assert os.stat(tmp_path / "late").st_ino in watch.synced
