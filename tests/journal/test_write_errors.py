"""A full disk and other failures in the middle of a write."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from pathlib import Path

import pytest

from onlinedpo.journal import writer
from onlinedpo.journal.lock import Lock
from onlinedpo.journal.writer import Journal
from onlinedpo.states.errors import JournalError, StorageError
from onlinedpo.states.lifecycle import Phase, by_table
from tests.crash.calls import Call, failing, watched
from tests.journal import kit, processes
from tests.states import facts

# The kernel itself refuses to let a file grow beyond a limit: with a short write first,
# if it falls within a frame, and then with an error.
LIMIT = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def limit(size):
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
def refused(ticket):
    try:
        journal.append([fact(ticket)])
    except JournalError as error:
        say("refused", error.exit_code, journal.ledger.next_ticket, error)
    else:
        say("written", ticket)
"""

FULL = (
    LIMIT
    + """
journal = Journal.open(folder, {}, by_table)
last = folder / "000002.odj"
for ticket in (0, 1, 2):
    refused(ticket)
limit(last.stat().st_size + int(sys.argv[2]))
refused(3)
limit(resource.RLIM_INFINITY)
refused(3)
refused(4)
say(journal.ledger.next_ticket)
"""
)


@pytest.mark.parametrize("room", [0, 1, 19, 20, 60, 110])
def test_what_a_full_disk_cuts_off_was_never_acknowledged(
    tmp_path: Path, room: int
) -> None:
    """The append fails, nothing is folded, and nothing more is written after it.

    With space again, the next start has all that was acknowledged and goes on.
    """
    folder = tmp_path / "run" / "journal"
    kit.write(folder, [[[facts.run_opened()]]])
    program = FULL.replace("sys.argv[2]", str(room))
    code, lines = processes.finish(program, folder)
    assert code == 0
    assert lines[:3] == ["written 0", "written 1", "written 2"]
    failed, again, later, told = lines[3:]
    assert failed.startswith("refused 11 3 the journal could not be written: ")
    assert "000002.odj: frame 5: File too large" in failed
    for line in (again, later):
        assert line.startswith("refused 11 3 ") and "frame 5: File too large" in line
    assert told == "3"
    with Journal.open(folder, {}, by_table) as journal:
        assert journal.ledger.next_ticket == 3
        assert sum(cut.size for cut in journal.cuts) == room
        journal.append([facts.dropped(3)])
    assert len(kit.recorded(folder)) == 1 + 3 + bool(room) + 1


NO_SEGMENT = (
    LIMIT
    + """
writer.SEGMENT_LIMIT = 100
journal = Journal.open(folder, {}, by_table)
refused(0)
limit(50)
refused(1)
refused(1)
limit(resource.RLIM_INFINITY)
refused(1)
"""
)


def test_a_new_segment_that_does_not_fit_is_tried_again(tmp_path: Path) -> None:
    """No half-made segment is left; with space again the same process goes on."""
    folder = tmp_path / "run" / "journal"
    kit.write(folder, [[[facts.run_opened()]]])
    code, lines = processes.finish(NO_SEGMENT, folder)
    assert code == 0
    full = "refused 11 1 the journal could not be written: "
    assert lines[0] == "written 0" and lines[3] == "written 1"
    for line in lines[1:3]:
        assert line.startswith(full) and line.endswith("000003.odj: File too large")
    assert sorted(kit.files(folder)) == ["000001.odj", "000002.odj", "000003.odj"]
    assert not list(folder.glob(".tmp-*"))
    assert len(kit.recorded(folder)) == 3


NO_ROOM_TO_OPEN = (
    LIMIT
    + """
limit(50)
try:
    Journal.open(folder, {}, by_table)
except JournalError as error:
    say("refused", error.exit_code, error)
"""
)


@pytest.mark.parametrize("torn", [0, 1], ids=["sound", "torn"])
def test_a_disk_too_full_to_open_a_run_is_told(tmp_path: Path, torn: int) -> None:
    """Nothing is changed; above all no tail is cut before its bytes are kept."""
    folder = tmp_path / "run" / "journal"
    kit.write(folder, [[[facts.run_opened()], [facts.sampled(0)]]])
    path = folder / "000001.odj"
    path.write_bytes(path.read_bytes()[: -torn or None])
    before = kit.files(folder)
    code, lines = processes.finish(NO_ROOM_TO_OPEN, folder)
    assert kit.files(folder) == before
    assert code == 0
    assert lines[0].startswith("refused 11 the journal could not be written: ")
    with Journal.open(folder, {}, by_table) as journal:
        assert len(journal.ledger.tails) == torn


def test_an_interruption_in_the_middle_of_an_append_is_safe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C between write and sync: whatever the caller does next, no frame is lost.

    The journal either refuses further appends or goes on soundly; what it acknowledged
    can be read.
    """
    folder = tmp_path / "run" / "journal"

    def interrupted(fd: int) -> None:
        signal.raise_signal(signal.SIGINT)

    with Journal.create(folder, kit.RUN, by_table) as journal:
        journal.append([facts.dropped(0)])
        with monkeypatch.context() as patch:
            patch.delattr(fcntl, "F_FULLFSYNC", raising=False)
            patch.setattr(os, "fsync", interrupted)
            patch.setattr(os, "fdatasync", interrupted, raising=False)
            with pytest.raises(KeyboardInterrupt):
                journal.append([facts.dropped(1)])
        acknowledged = 1
        try:
            while acknowledged < 5:
                journal.append([facts.dropped(acknowledged)])
                acknowledged += 1
        except JournalError as error:
            assert error.hint
    with Journal.open(folder, {}, by_table) as journal:
        assert journal.ledger.next_ticket >= acknowledged


def test_an_interruption_while_the_state_moves_is_safe(tmp_path: Path) -> None:
    """Ctrl-C after the sync: the fact is written, but the state has not taken it in.

    A caller that goes by that state must not be able to write the fact twice.
    """
    folder = tmp_path / "run" / "journal"

    def interrupted(phase: Phase, trigger: str) -> Phase:
        if trigger == "submit" and interruptions:
            interruptions.pop()
            signal.raise_signal(signal.SIGINT)
        return by_table(phase, trigger)

    interruptions = [1]
    with Journal.create(folder, kit.RUN, interrupted) as journal:
        journal.append([facts.sampled(0)])
        with pytest.raises(KeyboardInterrupt):
            journal.append([facts.submitted(0)])
        try:
            if journal.ledger.pairs(Phase.SAMPLED):
                journal.append([facts.submitted(0)])
        except JournalError as error:
            assert error.hint
    with Journal.open(folder, {}, by_table) as journal:
        assert len(journal.ledger.pairs(Phase.JUDGING)) == 1


def test_nothing_is_built_on_a_frame_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor a segment begun after it, which would vouch for it: no sync is repeated.

    After one that failed the kernel may call the pages clean: another would lie.
    """
    folder = tmp_path / "run" / "journal"
    syncs: list[Path] = []

    def fault(call: Call) -> OSError | None:
        if call.name != "sync" or not syncs:
            return None
        syncs.append(call.path)
        return failing(errno.EIO)

    frame = "000001.odj: frame 2: Input/output error"
    with watched(fault):
        journal = Journal.create(folder, kit.RUN, by_table)
        journal.append([facts.dropped(0)])
        syncs.append(folder)
        # In the end the segment is full: another would be begun for the next frame.
        for limit in (writer.SEGMENT_LIMIT, writer.SEGMENT_LIMIT, 1):
            monkeypatch.setattr(writer, "SEGMENT_LIMIT", limit)
            with pytest.raises(StorageError, match=frame):
                journal.append([facts.dropped(1)])
        journal.close()
    assert syncs == [folder, folder / "000001.odj"]
    assert sorted(kit.files(folder)) == ["000001.odj"]
    with Journal.open(folder, {}, by_table) as journal:
        assert journal.ledger.next_ticket in (1, 2)


def test_a_descriptor_that_fails_to_close_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All was synced before, and the next segment has begun; the lock is given back."""
    folder = tmp_path / "run" / "journal"
    monkeypatch.setattr(writer, "SEGMENT_LIMIT", 1)

    def fault(call: Call) -> OSError | None:
        own = call.path.name in ("000001.odj", "000002.odj", "lock")
        return failing(errno.EIO) if call.name == "close" and own else None

    with watched(fault, closing=True):
        journal = Journal.create(folder, kit.RUN, by_table)
        journal.append([facts.dropped(0)])
        journal.append([facts.dropped(1)])
        journal.close()
        journal.close()
    assert len(kit.recorded(folder)) == 2
    Lock(folder).release()


def test_a_lock_that_cannot_be_written_is_given_back(tmp_path: Path) -> None:
    """The same process can take it once there is space; the file is named."""
    folder = tmp_path / "run" / "journal"
    folder.mkdir(parents=True)

    def fault(call: Call) -> OSError | None:
        return failing(errno.ENOSPC) if call.name == "write" else None

    with watched(fault), pytest.raises(OSError, match=r"No space left.*lock"):
        Lock(folder)
    Lock(folder).release()
