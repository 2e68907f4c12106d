"""Killed while it repairs a torn tail, the journal is repaired by the next start."""

from __future__ import annotations

import hashlib
import signal
from pathlib import Path

import pytest

from onlinedpo.journal.writer import Journal
from onlinedpo.states.lifecycle import by_table
from onlinedpo.states.records import Record, TailCut
from tests.journal import kit, processes
from tests.states import facts

OPEN = """
Journal.open(folder, {}, by_table)
say("open")
"""
WHOLE: list[Record] = [facts.run_opened(), facts.process_started()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A journal whose last frame is torn."""
    folder = tmp_path / "run" / "journal"
    kit.write(folder, [[[WHOLE[0]]], [[WHOLE[1]], [facts.dropped(0)]]])
    path = folder / "000002.odj"
    path.write_bytes(path.read_bytes()[:-1])
    return folder


def torn_bytes(folder: Path) -> bytes:
    """What is no whole frame."""
    tail = kit.tail_of(folder)
    assert tail is not None
    return tail.data


def points(folder: Path, torn: bytes) -> list[str]:
    """The points at which a process can be killed while it opens this journal."""
    kept = f"000002-{(folder / '000002.odj').stat().st_size - len(torn)}"
    kept += f"-{hashlib.sha256(torn).hexdigest()[:8]}.tail"
    files = (kept, "000003.odj")
    renames = [f"{name}.{what}" for name in files for what in ("write", "rename")]
    return [*renames, "tail.cut", "journal.append", "journal.sync", "state.move"]


def test_every_point_of_the_repair_is_tried(folder: Path, tmp_path: Path) -> None:
    """The list below is what the program itself passes, each point once."""
    wanted, log = points(folder, torn_bytes(folder)), tmp_path / "log"
    processes.finish(OPEN, folder, ONLINEDPO_CRASH=f"list:{log}")
    assert sorted(log.read_text().split()) == sorted(wanted)


@pytest.mark.parametrize("index", range(8))
def test_a_repair_that_is_killed_is_finished_by_the_next_start(
    folder: Path, index: int
) -> None:
    """Whole frames stay, torn bytes are kept, and the journal tells of them, once."""
    torn = torn_bytes(folder)
    point = points(folder, torn)[index]
    code, lines = processes.finish(OPEN, folder, ONLINEDPO_CRASH=f"{point}@1")
    assert (code, lines) == (-signal.SIGKILL, [])
    with Journal.open(folder, {}, by_table) as journal:
        journal.append([facts.dropped(0)])
    recorded = kit.recorded(folder)
    cuts = [record for record in recorded if isinstance(record, TailCut)]
    assert [r for r in recorded if r not in cuts] == [*WHOLE, facts.dropped(0)]
    run = folder.parent
    kept = [path.read_bytes() for path in (run / "quarantine").glob("*.tail")]
    assert kept == [torn]
    assert [(run / cut.kept_as).read_bytes() for cut in cuts] == [torn]


def test_what_people_put_into_quarantine_is_left_alone(folder: Path) -> None:
    """Only what the journal cut off itself is told, whatever else lies there."""
    quarantine = folder.parent / "quarantine"
    quarantine.mkdir()
    others = ["notes.tail", "a-b-c.tail", "000002-5.tail", ".tail", "step-000004-17"]
    for name in others:
        (quarantine / name).write_bytes(b"mine")
    torn = torn_bytes(folder)
    with Journal.open(folder, {}, by_table) as journal:
        (cut,) = journal.ledger.tails
    assert cut.size == len(torn)
    assert all((quarantine / name).read_bytes() == b"mine" for name in others)
