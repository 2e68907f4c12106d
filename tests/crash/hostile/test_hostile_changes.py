"""Files that change while they are read, folders that are full, files that are huge."""

from __future__ import annotations

import json
import os
import resource
import time
from pathlib import Path

import pytest

from onlinedpo.journal import plain_files
from onlinedpo.journal.looks import LOT, Looks
from onlinedpo.states.records import Kept, Record, Vote
from tests import starter
from tests.conftest import Count
from tests.crash.hostile.hammering import hammer
from tests.crash.hostile.hostile import Waiting
from tests.meanwhile import just_before


def hammered(place: Path, seed: int, times: int) -> int:
    """Three people save all the while a run takes in; how many saves there were.

    The run looks without a pause, as if all had settled, and is taken up anew at times.
    """
    place.mkdir()
    run = Waiting(place, pairs=3)
    asks = run.asks()
    reports = [place / f"report-{n}" for n in range(len(asks))]
    people = [
        starter.child_of(
            *(hammer, str(run.labels), str(ask), seed * 10 + n, times, str(report))
        )
        for n, (ask, report) in enumerate(zip(asks, reports, strict=True))
    ]
    looks = 0
    while any(person.exitcode is None for person in people):
        run.inbox.take_in()
        looks += 1
        if looks % 50 == 0:
            run.restart()
        for person in people:
            person.join(0)
    run.look()
    told = [json.loads(report.read_text()) for report in reports]
    assert not [t["wrong"] for t in told if t["wrong"]], "somebody's file was changed"
    for ask, of in zip(asks, told, strict=True):
        vote = run.journal.ledger.turns[ask.ticket].votes[1]
        assert vote.raw.decode() == of["last"], f"{ask}: not the last that was saved"
    noted = {r.raw for r in run.records() if isinstance(r, Vote | Kept)}
    theirs = (b"annotator: v", b"annotator: last")
    lying = {raw for raw in run.contents() if any(name in raw for name in theirs)}
    assert lying <= noted, "what lies there is not in the journal"
    assert run.stands_still()
    return sum(t["saved"] for t in told)


def test_the_last_that_a_person_saved_counts(tmp_path: Path, count: Count) -> None:
    """However fast they save, in whatever way, while it is read and moved away."""
    count("saves while they are read", hammered(tmp_path / "run", 0, 100))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 21))
def test_the_last_that_a_person_saved_counts_always(
    seed: int, tmp_path: Path, count: Count
) -> None:
    """The same for longer, with other hands."""
    count("saves while they are read", hammered(tmp_path / "run", seed, 1000))


def test_a_file_that_is_removed_as_it_is_moved_away_was_an_answer(
    run: Waiting,
) -> None:
    """The journal had it by then; what is saved there after that is another."""
    ask = run.asks()[0]
    path, first, second = run.file(ask), run.answered(ask), run.answered(ask, "2")
    path.write_bytes(first)
    with just_before("rename", path.unlink, path):
        run.look()
    assert [vote.raw for vote in run.votes()] == [first]
    path.write_bytes(second)
    run.look()

    assert [vote.raw for vote in run.votes()] == [first, second]
    assert not [record for record in run.records() if isinstance(record, Kept)]
    assert run.stands_still()


@pytest.mark.parametrize("part", ["todo", "inbox"])
def test_huge_files_take_little_memory(part: str, tmp_path: Path) -> None:
    """A terabyte, with holes in it, is not read; nor are many large files at once."""
    run = Waiting(tmp_path)
    sizes = {"hole.md": 1 << 40, "large.jsonl": 64 << 20}
    for name, size in sizes.items():
        with (run.labels / part / name).open("wb") as file:
            file.truncate(size)
    ask = run.asks()[0]
    run.file(ask).write_bytes(run.answered(ask))
    run.look()

    assert [vote.ticket for vote in run.votes()] == [ask.ticket]
    assert len(run.bytes_in_journal()) < 1 << 20
    notes = [*(run.labels / part).glob("*.error"), *run.labels.glob("inbox/*.receipt")]
    assert any("larger than" in note.read_text() for note in notes)
    assert run.stands_still()


def test_one_look_reads_a_lot_and_the_next_one_more(tmp_path: Path) -> None:
    """However much lies there, a look holds a bounded part of it; none is left out."""
    files = 10
    for number in range(files):
        with (tmp_path / f"{number}.md").open("wb") as file:
            file.write(b"%d" % number)
            file.truncate(16 << 20)
    looks = Looks(tmp_path, limit=16 << 20)
    seen: list[str] = []
    for now in range(10, 20):
        found = [*looks.look(float(now))]
        assert sum(len(saved.raw) for saved in found) <= LOT
        seen += [saved.path.name for saved in found]
    assert seen == [f"{number}.md" for number in range(files)]
    assert looks.unsettled == 0


@pytest.mark.slow
@pytest.mark.parametrize("part", ["todo", "done", "inbox"])
def test_a_hundred_thousand_files_are_looked_through(
    part: str, tmp_path: Path, count: Count
) -> None:
    """Those among them that answer come in; a look without news takes seconds."""
    files = 100_000
    run = Waiting(tmp_path)
    ask, other, _ = run.asks()
    for number in range(files):
        (run.labels / part / f"{number}.md").write_bytes(b"%d\n" % number)
    run.file(ask).write_bytes(run.answered(ask))
    (run.labels / "inbox" / "z.jsonl").write_text(
        json.dumps({"id": str(other), "choice": "1"}) + "\n"
    )
    began = time.process_time()
    run.look(2)
    news = time.process_time() - began
    began = time.process_time()
    run.inbox.take_in()
    again = time.process_time() - began

    print(
        f"{files:,} files in {part}/: read in {news:.0f} s, looked at in {again:.1f} s"
    )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB")
    assert {vote.ticket for vote in run.votes()} == {ask.ticket, other.ticket}
    assert len([*(run.labels / part).glob("[0-9]*.md")]) >= files
    count("files in one folder", files)


# -- what is read ----------------------------------------------------------------------


def test_only_ordinary_files_are_read(tmp_path: Path) -> None:
    """A link only where that is asked for, and no more of a file than is wanted."""
    (tmp_path / "file").write_bytes(b"0123456789")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")

    assert plain_files.read(tmp_path / "file", 4) == b"0123"
    assert plain_files.read(tmp_path / "link", 99, follow=True) == b"0123456789"
    opened = len(os.listdir("/dev/fd"))
    for name in ("link", "zero", "folder", "pipe", "none"):
        with pytest.raises(OSError):
            plain_files.read(tmp_path / name, 4)
    for name in ("zero", "folder", "pipe", "none"):
        with pytest.raises(OSError):
            plain_files.read(tmp_path / name, 4, follow=True)
    assert len(os.listdir("/dev/fd")) == opened


def test_a_name_that_is_taken_in_the_last_instant_is_not_taken_over(
    run: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is kept under another one, and the journal says under which."""
    really, ask = run.journal.append, run.asks()[0]
    theirs = run.labels / "done" / f"{ask}.md"

    def append(batch: list[Record]) -> None:
        really(batch)
        if any(isinstance(record, Vote) for record in batch):
            theirs.write_bytes(b"of somebody else")

    monkeypatch.setattr(run.journal, "append", append)
    raw = run.answered(ask)
    run.file(ask).write_bytes(raw)
    run.look()

    assert theirs.read_bytes() == b"of somebody else"
    assert theirs.with_name(f"{ask}-2.md").read_bytes() == raw
    (kept,) = (r for r in run.records() if isinstance(r, Kept) and r.raw == raw)
    assert kept.path == f"done/{ask}-2.md"
    assert [vote.raw for vote in run.votes()] == [raw]
    assert run.stands_still()


@pytest.mark.parametrize("way", ["thrown away", "made blank"])
def test_a_note_goes_with_the_version_that_it_is_of(way: str, run: Waiting) -> None:
    """A label file that somebody begins anew has nothing wrong with it."""
    ask = run.asks()[0]
    file, blank = run.file(ask), run.file(ask).read_bytes()
    note = file.with_name(f"{file.name}.error")
    file.write_bytes(run.answered(ask, choice="maybe"))
    run.look()
    assert note.exists()

    file.unlink() if way == "thrown away" else file.write_bytes(blank)
    run.look(40)

    assert file.read_bytes() == blank
    assert not note.exists()
    assert run.votes() == []
