"""What is acknowledged is on the disk: the order of writes, syncs and renames.

A killed process loses nothing that it wrote, so only this tells a missing sync, which
would cost the data at a power cut.  The real calls are made; they are watched.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.journal import atomic, disk
from onlinedpo.journal.writer import Journal
from onlinedpo.states.lifecycle import by_table
from tests.crash.calls import Call, Calls, watched
from tests.crash.hostile.hostile import Waiting
from tests.crash.power_cuts import order, simulated
from tests.crash.power_cuts.scenario import Appended, noted
from tests.journal import kit
from tests.states import facts

ACKNOWLEDGED = Appended(0, ())
"""Something rests on the journal as it is now."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for a journal that is there already."""
    (tmp_path / "run" / "journal").mkdir(parents=True)
    (tmp_path / "run" / "quarantine").mkdir()
    return tmp_path / "run" / "journal"


@contextmanager
def in_order(place: Path) -> Iterator[Calls]:
    """Nothing in the block is acknowledged, named or cut before it may be."""
    before = simulated.read(place)
    with noted() as calls:
        yield calls
    assert order.mistakes(place, place / "run", calls, before) == []


def test_an_append_is_on_the_disk_when_it_returns(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes, and the names of new segments, over several segments and two starts."""
    monkeypatch.setattr("onlinedpo.journal.writer.SEGMENT_LIMIT", 300)
    with in_order(tmp_path) as calls:
        with Journal.create(folder, kit.RUN, by_table) as journal:
            calls.mark(ACKNOWLEDGED)
            for ticket in range(6):
                journal.append([facts.dropped(ticket)])
        with Journal.open(folder, {}, by_table) as journal:
            calls.mark(ACKNOWLEDGED)
            journal.append([facts.dropped(6)])
    assert len(kit.files(folder)) >= 4
    assert len(calls.marks) == 9


def test_a_fact_is_on_the_disk_before_anything_moves(
    folder: Path, tmp_path: Path
) -> None:
    """Append, sync, then move: the state never knows more than the disk."""
    moves: list[str] = []
    with in_order(tmp_path) as calls:

        def move(phase: Any, trigger: str) -> Any:
            calls.mark(ACKNOWLEDGED)
            moves.append(trigger)
            return by_table(phase, trigger)

        with Journal.create(folder, kit.RUN, move) as journal:
            for batch in facts.life(0, 1):
                journal.append(batch)
    assert moves == ["sample", "submit", "label", "apply"]


def test_the_folders_of_a_new_run_are_on_the_disk_too(tmp_path: Path) -> None:
    """A label in a folder whose name is lost is lost: every new name is synced."""
    with (
        in_order(tmp_path),
        Journal.create(tmp_path / "run" / "journal", kit.RUN, by_table) as journal,
    ):
        journal.append([facts.run_opened()])


def torn(folder: Path) -> None:
    """Write a journal and tear its last frame."""
    kit.write(folder, [[[facts.run_opened()], [facts.dropped(0)]]])
    path = folder / "000001.odj"
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("there", [True, False])
def test_a_torn_tail_is_kept_before_it_is_cut(
    there: bool, folder: Path, tmp_path: Path
) -> None:
    """At no moment would a power cut lose the bytes, or half of what was done.

    Nor where the folder that they are kept in is made for it.
    """
    if not there:
        (folder.parent / "quarantine").rmdir()
    torn(folder)
    with in_order(tmp_path) as calls, Journal.open(folder, {}, by_table):
        calls.mark(ACKNOWLEDGED)
    assert [call.name for call in calls.made].count("cut") == 1


def test_what_another_process_left_unsynced_is_synced_before_it_is_built_on(
    folder: Path,
) -> None:
    """A process killed between write and sync leaves a whole frame in the cache only.

    The next one folds it in and begins a segment that vouches for it: if a power cut
    then took the frame and left the segment, the journal would be refused.
    """
    kit.write(folder, [[[facts.run_opened()], [facts.dropped(0)]]])
    with watched() as calls, Journal.open(folder, {}, by_table) as journal:
        assert journal.ledger.next_ticket == 1
    begun = next(i for i, c in enumerate(calls.made) if c.to == folder / "000002.odj")
    assert Call("sync", folder / "000001.odj") in calls.made[:begun]


def test_files_are_durable_when_replace_and_publish_return(tmp_path: Path) -> None:
    """Contents before names, and names before the return."""
    new, late = tmp_path / "new", tmp_path / "late"
    with watched() as calls:
        atomic.replace(tmp_path / "settings", b"1")
        disk.new_folder(new)
        disk.write_synced(new / "a", b"2")
        atomic.publish(new, tmp_path / "final")
        disk.write_new(late, b"3")
        disk.sync_files([late])
    lost = [
        [*disk.dirty(tmp_path)] for disk in simulated.replayed(tmp_path, calls.made, {})
    ]
    returned = [i for i, dirty in enumerate(lost) if not dirty]
    assert len(returned) == 3, "at the beginning, and after each"
    assert lost[-1] == [late], "its bytes are there, its name is not yet"
    assert (tmp_path / "final" / "a").read_bytes() == b"2"


def test_a_copy_in_place_of_a_link_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path,
) -> None:
    """As the file is that it is a copy of: the last adapter, on another drive."""
    source, path = tmp_path / "source", tmp_path / "path"
    source.write_bytes(b"x")
    with watched(lambda call: OSError(1, "") if call.name == "link" else None) as calls:
        atomic.link(source, path, durable=True)
    (named,) = (n for n, call in enumerate(calls.made) if call.to == path)
    copy = calls.made[named].path
    assert Call("sync", copy) in calls.made[:named]
    assert path.read_bytes() == b"x"


def test_a_move_that_a_crash_came_before_is_on_the_disk_when_a_run_begins(
    tmp_path: Path,
) -> None:
    """Else the file could come back after a newer answer, and stand against it."""
    run = Waiting(tmp_path / "run")
    ask = run.asks()[0]
    todo, done = run.labels / "todo", run.labels / "done"
    run.file(ask).write_bytes(run.answered(ask))
    run.look()
    (done / f"{ask}.md").rename(run.file(ask))
    with watched() as calls:
        run.restart()
    (moved,) = (n for n, c in enumerate(calls.made) if c.to == done / f"{ask}.md")
    synced = {call.path for call in calls.made[moved:] if call.name == "sync"}
    assert {todo, done} <= synced
