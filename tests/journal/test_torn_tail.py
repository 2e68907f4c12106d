"""A journal cut off at any byte, as a crash in the middle of a write leaves it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from onlinedpo.journal.frames import SEGMENT_SIZE
from onlinedpo.journal.writer import Journal
from onlinedpo.states.errors import JournalDamaged
from onlinedpo.states.lifecycle import by_table
from onlinedpo.states.records import Record, TailCut
from tests.journal import kit
from tests.states import facts


def cuts(path: Path) -> Iterator[tuple[int, int, int]]:
    """Every length below the whole: cut, frames left whole, where the last one ends."""
    ends = [SEGMENT_SIZE]
    for frame in kit.spans(path).frames:
        ends.append(ends[-1] + len(frame))
    for at in range(ends[-1]):
        if at >= SEGMENT_SIZE:
            whole = sum(end <= at for end in ends) - 1
            yield at, whole, ends[whole]
        else:
            yield at, -1, 0


def flat(batches: kit.Batches) -> list[Record]:
    """The records of these frames."""
    return [record for batch in batches for record in batch]


def reopened(folder: Path) -> Journal:
    """The journal, taken up by its writer."""
    return Journal.open(folder, {}, by_table)


def test_a_cut_at_every_byte_of_the_last_segment_leaves_the_whole_frames(
    quick: Path,
) -> None:
    """For each of some 3,000 cuts: the frames before it, all of them and no more.

    What is cut off lies byte by byte in quarantine and is told by the journal; the
    journal goes on, and the next start finds nothing to repair.
    """
    run = quick / "run"
    folder, quarantine = run / "journal", run / "quarantine"
    batches = kit.two_segments(folder)
    whole_journal, last = kit.files(folder), folder / "000002.odj"
    before = len(kit.spans(folder / "000001.odj").frames)
    assert before >= 21 and len(batches) - before >= 21
    torn_ones = 0
    for at, whole, end in cuts(last):
        data = whole_journal[last.name][:at]
        kit.put(folder, {**whole_journal, last.name: data})
        if whole < 0:
            # A header is on the disk before its name is: this is no crash.
            with pytest.raises(JournalDamaged, match=r"000002.odj: .*byte 0"):
                reopened(folder)
            assert not quarantine.exists()
            continue
        kept = flat(batches[: before + whole])
        torn = data[end:]
        with reopened(folder) as journal:
            cut = journal.cuts[-1] if journal.cuts else None
            more = facts.dropped(journal.ledger.next_ticket)
            journal.append([more])
        if torn:
            torn_ones += 1
            assert cut is not None
            kept.append(cut)
            digest = hashlib.sha256(torn).hexdigest()
            assert (cut.segment, cut.offset, cut.size) == (2, end, len(torn))
            assert cut.sha256 == digest
            (aside,) = quarantine.iterdir()
            assert str(aside.relative_to(run)) == cut.kept_as
            assert aside.read_bytes() == torn
            aside.unlink()
        else:
            assert cut is None
        assert last.read_bytes() == data[:end]
        assert kit.recorded(folder) == [*kept, more]
        with reopened(folder) as journal:
            assert not journal.cuts
        assert kit.recorded(folder) == [*kept, more]
        assert not quarantine.exists() or not list(quarantine.iterdir())
    assert torn_ones > 2500


def test_a_cut_at_any_byte_of_an_earlier_segment_is_refused(quick: Path) -> None:
    """It was whole when the next segment began: nothing is repaired, all is left."""
    folder = quick / "run" / "journal"
    kit.two_segments(folder)
    whole_journal, first = kit.files(folder), folder / "000001.odj"
    for at, whole, end in reversed(list(cuts(first))):
        os.truncate(first, at)
        # Cut between two frames, it is only the next segment that gives it away.
        named = "000002.odj: byte 0" if at == end else f"000001.odj: byte {end}: frame"
        if whole < 0:
            named = r"000001.odj: .*byte 0"
        with pytest.raises(JournalDamaged, match=named):
            kit.recorded(folder)
        if at == end or at == end + 1:
            with pytest.raises(JournalDamaged, match=named):
                reopened(folder)
        assert first.read_bytes() == whole_journal[first.name][:at]
    assert not (quick / "run" / "quarantine").exists()


def test_records_of_one_frame_come_together_or_not_at_all(tmp_path: Path) -> None:
    """Verdicts and the label that follows from them: cut inside, all are undone."""
    folder = tmp_path / "run" / "journal"
    *asked, judged, _ = facts.life(0, 1)
    kit.write(folder, [[[facts.run_opened()], *asked, judged]])
    path = folder / "000001.odj"
    data, size = path.read_bytes(), len(kit.spans(path).frames[-1])
    for left in (1, size // 3, size // 2, size - 1):
        path.write_bytes(data[: len(data) - size + left])
        assert kit.recorded(folder) == [facts.run_opened(), *flat(asked)]
    path.write_bytes(data)
    assert kit.recorded(folder)[-3:] == judged


def test_a_torn_tail_is_told_to_the_reader_and_left_alone(tmp_path: Path) -> None:
    """Readers repair nothing: they stop where whole frames end and say why."""
    folder = tmp_path / "run" / "journal"
    batches = kit.two_segments(folder, drops=2)
    last = folder / "000002.odj"
    torn = last.read_bytes()[:-3]
    last.write_bytes(torn)
    assert kit.recorded(folder) == flat(batches[:-1])
    tail = kit.tail_of(folder)
    assert tail is not None
    size = len(tail.data)
    assert (tail.path, tail.offset) == (last, len(torn) - size)
    assert tail.data == torn[-size:]
    assert "cut short" in tail.why
    assert last.read_bytes() == torn


def test_the_first_frame_can_be_torn_too(tmp_path: Path) -> None:
    """A run that died in its very first write begins again in the same folder."""
    folder = tmp_path / "run" / "journal"
    kit.write(folder, [[[facts.run_opened()]]])
    path = folder / "000001.odj"
    path.write_bytes(path.read_bytes()[:-1])
    with reopened(folder) as journal:
        assert journal.ledger.opened is None
        journal.append([facts.run_opened()])
    cut, opened = kit.recorded(folder)
    assert isinstance(cut, TailCut)
    assert opened == facts.run_opened()


@pytest.mark.parametrize("garbage", [b"\x00" * 512, b"\xff" * 20, b"ODPOJNL1", b"\n"])
def test_bytes_behind_the_last_frame_are_a_torn_tail(
    tmp_path: Path, garbage: bytes
) -> None:
    """Some file systems leave zeros, or an old block, behind a torn write."""
    folder = tmp_path / "run" / "journal"
    batches = kit.two_segments(folder, drops=1)
    last = folder / "000002.odj"
    last.write_bytes(last.read_bytes() + garbage)
    with reopened(folder) as journal:
        assert len(journal.cuts) == 1
        kept = tmp_path / "run" / journal.cuts[0].kept_as
    assert kept.read_bytes() == garbage
    assert kit.recorded(folder)[:-1] == flat(batches)
