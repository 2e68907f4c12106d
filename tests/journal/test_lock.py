"""One writer for a run, and no lock that outlives it."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from onlinedpo.journal.lock import holder
from onlinedpo.journal.making import making
from onlinedpo.journal.writer import Journal
from onlinedpo.states.errors import RunLocked
from onlinedpo.states.lifecycle import by_table
from tests.journal import kit, processes
from tests.states import facts

HOLD = """
try:
    journal = Journal.open(folder, {}, by_table)
    journal.append([fact(journal.ledger.next_ticket)])
    say("open")
except RunLocked as error:
    say("locked", error.exit_code)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A journal that nobody has open."""
    kit.write(tmp_path / "run" / "journal", [[[facts.run_opened()]]])
    return tmp_path / "run" / "journal"


def test_a_second_writer_is_told_who_the_first_one_is(folder: Path) -> None:
    """The error names the run and the process; after kill -9 the run is free."""
    holder = processes.start(HOLD, folder)
    assert processes.line(holder) == "open"
    before = kit.files(folder)
    attempts: list[Callable[[], Journal]] = [
        lambda: Journal.open(folder, {}, by_table),
        lambda: Journal.create(folder, kit.OTHER_RUN, by_table),
    ]
    for attempt in attempts:
        with pytest.raises(RunLocked, match=rf"pid {holder.pid} on \S+\)") as refused:
            attempt()
        assert str(folder.parent) in str(refused.value)
        assert refused.value.exit_code == 6
    assert kit.files(folder) == before
    assert len(kit.recorded(folder)) == 2, "readers need no lock"
    processes.kill(holder)
    with Journal.open(folder, {}, by_table) as journal:
        assert journal.ledger.next_ticket == 1


def test_a_second_writer_in_the_same_process_is_refused(folder: Path) -> None:
    """Until the first one is closed, and that is enough."""
    with Journal.open(folder, {}, by_table), pytest.raises(RunLocked):
        Journal.open(folder, {}, by_table)
    Journal.open(folder, {}, by_table).close()


def test_of_many_at_once_one_wins(folder: Path) -> None:
    """Six processes race; the others do not wait, they leave with code 6."""
    racers = [processes.start(HOLD, folder) for _ in range(6)]
    said = [processes.line(racer) for racer in racers]
    assert sorted(said) == ["locked 6"] * 5 + ["open"]
    for racer in racers:
        processes.kill(racer)
    assert len(kit.recorded(folder)) == 2


def test_a_child_of_the_writer_does_not_hold_the_run(folder: Path) -> None:
    """A helper process that is still there when the run ends does not keep it."""
    journal = Journal.open(folder, {}, by_table)
    child = subprocess.Popen(
        [sys.executable, "-c", "print('ready', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        close_fds=False,
    )
    assert child.stdout is not None and child.stdout.readline() == b"ready\n"
    journal.close()
    try:
        Journal.open(folder, {}, by_table).close()
    finally:
        child.communicate(b"\n", timeout=60)


def test_a_lock_file_that_was_left_behind_means_nothing(folder: Path) -> None:
    """A copied run, or one after a crash, is free whatever its lock file says."""
    (folder / "lock").write_text("1")
    with Journal.open(folder, {}, by_table) as journal:
        assert journal.ledger.opened == facts.run_opened()


def removed(lock: Path) -> None:
    """Take the lock file away, as somebody does who thinks it is in the way."""
    lock.unlink()


def replaced(lock: Path) -> None:
    """Put another file in its place, as a program that syncs folders may."""
    copy = Path(shutil.copy(lock, lock.with_name("copy")))
    os.replace(copy, lock)


Change = Callable[[Path], None]


@pytest.mark.parametrize("change", [removed, replaced])
def test_without_its_lock_file_a_run_still_has_one_writer(
    change: Change, folder: Path
) -> None:
    """The second one is refused and leaves nothing; the first one goes on."""
    with Journal.open(folder, {}, by_table) as journal:
        change(folder / "lock")
        before = kit.files(folder), os.listdir(folder)
        with pytest.raises(RunLocked):
            Journal.open(folder, {}, by_table)
        assert (kit.files(folder), os.listdir(folder)) == before
        assert holder(folder) is not None
        journal.append([facts.dropped(0)])
    assert holder(folder) is None
    with Journal.open(folder, {}, by_table) as journal:
        assert journal.ledger.next_ticket == 1


@pytest.fixture
def no_folder_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drive that locks files only, as NFS does."""
    really = fcntl.flock

    def flock(fd: int, kind: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        really(fd, kind)

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.mark.usefixtures("no_folder_locks")
def test_on_a_drive_without_locks_of_folders_the_file_is_the_lock(folder: Path) -> None:
    """There is one writer, and it is told by its process."""
    with Journal.open(folder, {}, by_table) as journal:
        assert holder(folder) == str(os.getpid())
        with pytest.raises(RunLocked, match=rf"pid {os.getpid()} on "):
            Journal.open(folder, {}, by_table)
        journal.append([facts.dropped(0)])
    assert holder(folder) is None
    Journal.open(folder, {}, by_table).close()


@pytest.mark.usefixtures("no_folder_locks")
@pytest.mark.parametrize("change", [removed, replaced])
def test_there_a_writer_that_loses_the_file_stops(change: Change, folder: Path) -> None:
    """Another one may have the run by now: nothing more is written."""
    with Journal.open(folder, {}, by_table) as first:
        change(folder / "lock")
        with Journal.open(folder, {}, by_table) as second:
            with pytest.raises(RunLocked, match="moved, removed or replaced") as told:
                first.append([facts.dropped(0)])
            assert "Nothing that was acknowledged is lost" in told.value.hint
            second.append([facts.dropped(0)])
    assert len(kit.recorded(folder)) == 2


def test_a_run_that_is_moved_away_takes_nothing_more(folder: Path) -> None:
    """Where it lies now it is whole, and free once the writer has ended."""
    run, now = folder.parent, folder.parent.with_name("elsewhere")
    with Journal.open(folder, {}, by_table) as journal:
        journal.append([facts.dropped(0)])
        run.rename(now)
        before = kit.files(now / "journal")
        with pytest.raises(RunLocked, match=rf"^{run}: .*moved"):
            journal.append([facts.dropped(1)])
        with pytest.raises(RunLocked):
            Journal.open(now / "journal", {}, by_table)
        assert kit.files(now / "journal") == before and not run.exists()
    with Journal.open(now / "journal", {}, by_table) as journal:
        assert journal.ledger.next_ticket == 1


def test_a_run_in_whose_place_another_lies_takes_nothing_more(folder: Path) -> None:
    """A copy that was put back while a process worked is not written to."""
    run = folder.parent
    with Journal.open(folder, {}, by_table) as journal:
        run.rename(run.with_name("before"))
        shutil.copytree(run.with_name("before"), run)
        before = kit.files(folder)
        with pytest.raises(RunLocked, match="replaced"):
            journal.append([facts.dropped(0)])
        assert kit.files(folder) == before
        Journal.open(folder, {}, by_table).close()


def test_a_folder_that_is_being_made_is_locked_no_longer_than_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it cannot be told whether the lock is one: then it can be made."""

    def cannot_tell(path: Path, fd: int) -> bool:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    with monkeypatch.context() as patch:
        patch.setattr("onlinedpo.journal.making.lies_at", cannot_tell)
        with pytest.raises(OSError, match="new"), making(tmp_path / "new"):
            pass
    with making(tmp_path / "new"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_run_that_is_removed_takes_nothing_more(folder: Path) -> None:
    """And is not made again."""
    with Journal.open(folder, {}, by_table) as journal:
        shutil.rmtree(folder.parent)
        with pytest.raises(RunLocked, match="removed"):
            journal.append([facts.dropped(0)])
    assert not folder.parent.exists()


@pytest.mark.parametrize("is_moved", [True, False])
def test_a_file_that_is_missing_in_a_run_that_was_moved_is_told_as_that(
    is_moved: bool, folder: Path
) -> None:
    """Whatever was being written: what it says alone would lead nowhere."""
    wanted = RunLocked if is_moved else FileNotFoundError
    with pytest.raises(wanted), Journal.open(folder, {}, by_table):
        if is_moved:
            folder.rename(folder.with_name("elsewhere"))
        raise FileNotFoundError
    lying = folder.with_name("elsewhere") if is_moved else folder
    assert holder(lying) is None
