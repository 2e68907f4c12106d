"""One writer for a run, and no lock that outlives it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

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
