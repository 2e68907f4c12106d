"""The one writer: what it appends is in the state and on the disk, together."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from onlinedpo.journal import frames, writer
from onlinedpo.journal.codec import VERSION, encode
from onlinedpo.journal.reader import Reader
from onlinedpo.journal.writer import Journal
from onlinedpo.states.errors import IllegalMove, JournalError, OnlineDPOError, RunLocked
from onlinedpo.states.lifecycle import LiveMachine, Phase, by_table
from onlinedpo.states.records import Record
from tests.journal import kit
from tests.states import facts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a journal belongs in a run."""
    return tmp_path / "run" / "journal"


def test_a_journal_opens_as_it_was_closed(folder: Path) -> None:
    """Records, state, run id and numbering go on over three processes."""
    written: list[Record] = []
    for index in range(3):
        journal = (
            Journal.open(folder, {}, LiveMachine())
            if index
            else Journal.create(folder, kit.RUN, LiveMachine())
        )
        with journal:
            assert journal.run == kit.RUN
            assert journal.position[0] == 4 * index
            assert journal.ledger.steps == index
            for batch in facts.life(index, index + 1):
                journal.append(batch)
                written += batch
                assert kit.recorded(folder) == written
            assert journal.ledger.steps == index + 1
    assert sorted(kit.files(folder)) == ["000001.odj", "000002.odj", "000003.odj"]
    ledger = Reader(folder).fold()
    assert (ledger.steps, ledger.next_ticket, ledger.turns) == (3, 3, {})


def test_a_batch_that_does_not_fit_the_state_is_taken_back(folder: Path) -> None:
    """A defect of ours must not leave a journal that nobody can read any more."""
    kit.write(folder, [[[facts.run_opened()]]])
    with Journal.open(folder, {}, by_table) as journal:
        journal.append([facts.dropped(0)])
        before = kit.files(folder)
        with pytest.raises(IllegalMove):
            journal.append([facts.dropped(1), facts.submitted(0)])
        assert kit.files(folder) == before
        with pytest.raises(JournalError, match="frame 3 was interrupted"):
            journal.append([facts.dropped(1)])
    with Journal.open(folder, {}, by_table) as journal:
        assert journal.ledger.next_ticket == 1
        assert not journal.cuts


def test_a_process_that_writes_nothing_leaves_a_sound_journal(folder: Path) -> None:
    """Segments of a header alone are as good as any."""
    kit.write(folder, [[], [], [[facts.run_opened()]], []])
    with Journal.open(folder, {}, by_table) as journal:
        journal.append([facts.process_started()])
    assert kit.recorded(folder) == [facts.run_opened(), facts.process_started()]
    assert len(kit.files(folder)) == 5


def test_a_live_journal_can_be_read_along(folder: Path) -> None:
    """Readers take no lock; a frame half written is not there yet."""
    with Journal.create(folder, kit.RUN, by_table) as journal:
        journal.append([facts.run_opened()])
        path = folder / "000001.odj"
        before = path.read_bytes()
        journal.append([facts.process_started(), facts.dropped(0)])
        after = path.read_bytes()
        for at in range(len(before), len(after)):
            path.write_bytes(after[:at])
            assert kit.recorded(folder) == [facts.run_opened()]
            ledger = Reader(folder).fold()
            assert (ledger.next_ticket, ledger.environment) == (0, {})
        path.write_bytes(after)
        assert len(kit.recorded(folder)) == 3


def test_a_full_segment_is_followed_by_the_next(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process, many segments: each ends soon after the limit, none is lost."""
    monkeypatch.setattr(writer, "SEGMENT_LIMIT", 1000)
    written = [facts.dropped(ticket) for ticket in range(60)]
    with Journal.create(folder, kit.RUN, by_table) as journal:
        for record in written:
            journal.append([record])
    sizes = [len(data) for data in kit.files(folder).values()]
    assert len(sizes) > 5
    assert all(1000 < size < 1300 for size in sizes[:-1])
    assert kit.recorded(folder) == written
    numbers = [frame.number for _, frame in Reader(folder).whole_frames()]
    assert numbers == list(range(1, 61))
    with Journal.open(folder, {}, by_table) as journal:
        journal.append([facts.dropped(60)])
    assert kit.recorded(folder) == [*written, facts.dropped(60)]


def test_a_frame_larger_than_a_segment_is_written_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit says when to begin a new segment, not how much a frame may hold."""
    monkeypatch.setattr(writer, "SEGMENT_LIMIT", 500)
    batch: list[Record] = [facts.dropped(ticket) for ticket in range(100)]
    with Journal.create(folder, kit.RUN, by_table) as journal:
        journal.append(batch)
        journal.append([facts.dropped(100)])
    assert kit.recorded(folder) == [*batch, facts.dropped(100)]
    assert len(kit.files(folder)) == 2


def test_a_frame_that_is_too_large_is_refused_and_the_journal_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is written or folded."""
    monkeypatch.setattr(frames, "MAX_PAYLOAD", 1000)
    with Journal.create(folder, kit.RUN, by_table) as journal:
        with pytest.raises(JournalError, match="over the limit"):
            journal.append([facts.dropped(ticket) for ticket in range(100)])
        assert journal.ledger.next_ticket == 0
        journal.append([facts.dropped(0)])
    assert kit.recorded(folder) == [facts.dropped(0)]


def unwritable() -> list[Record]:
    """Records of which the second one cannot be put into bytes."""
    return [facts.dropped(0), facts.process_started(too_large=2**70)]


def test_what_cannot_be_encoded_is_not_half_written(folder: Path) -> None:
    """The records before it in the same frame are not written either."""
    with Journal.create(folder, kit.RUN, by_table) as journal:
        before = kit.files(folder)
        with pytest.raises((OnlineDPOError, OverflowError)):
            journal.append(unwritable())
        assert kit.files(folder) == before
        assert journal.ledger.next_ticket == 0
        journal.append([facts.dropped(0)])
    assert kit.recorded(folder) == [facts.dropped(0)]


ILLEGAL: dict[str, Record] = {
    "label": facts.label(9),
    "step": facts.step(7),
    "run": facts.run_opened(),
    "prompt": facts.sampled(5),
}


@pytest.mark.parametrize("illegal", ILLEGAL.values(), ids=ILLEGAL.keys())
def test_an_illegal_record_names_file_byte_and_frame(
    folder: Path, illegal: Record
) -> None:
    """A journal whose bytes are sound but whose story is not, as an editor makes it."""
    kit.write(folder, [[[facts.run_opened()]], [[facts.dropped(0)]]])
    path = folder / "000002.odj"
    segment = frames.decode_segment(path.read_bytes())
    *_, last = frames.scan(path.read_bytes(), segment)
    assert isinstance(last, frames.Frame)
    payload = encode([facts.dropped(1), illegal])
    data, _ = frames.encode_frame(kit.RUN, last.chain, 3, payload)
    path.write_bytes(path.read_bytes() + data)
    place = re.escape(f"{path}: byte {last.end}: frame 3: ")
    readers: list[Callable[[], object]] = [
        lambda: Reader(folder).fold(),
        lambda: Journal.open(folder, {}, LiveMachine()),
    ]
    for read in readers:
        with pytest.raises(IllegalMove, match=place) as refused:
            read()
        assert refused.value.exit_code == 5
        assert refused.value.hint


def test_what_cannot_be_read_in_a_frame_names_its_place(folder: Path) -> None:
    """A newer version's record: file, byte, frame, and what can read it."""
    kit.write(folder, [[[facts.run_opened()]]])
    path = folder / "000001.odj"
    size = len(path.read_bytes())
    *_, last = frames.scan(path.read_bytes(), frames.decode_segment(path.read_bytes()))
    assert isinstance(last, frames.Frame)
    ours, theirs = (b"\xa1v" + bytes([v]) for v in (VERSION, VERSION + 1))
    newer = encode([facts.label(0)]).replace(ours, theirs)
    assert theirs in newer
    path.write_bytes(
        path.read_bytes() + frames.encode_frame(kit.RUN, last.chain, 2, newer)[0]
    )
    place = re.escape(f"{path}: byte {size}: frame 2: ") + f".*version {VERSION + 1}"
    for read in (Reader(folder).fold, lambda: kit.recorded(folder)):
        with pytest.raises(JournalError, match=place) as refused:
            read()
        assert "newer" in refused.value.hint


def test_create_never_writes_over_a_run(folder: Path) -> None:
    """The second of two that begin at once is told to take the run up."""
    kit.write(folder, [[[facts.run_opened()]]])
    before = kit.files(folder)
    with pytest.raises(RunLocked, match="just begun"):
        Journal.create(folder, kit.OTHER_RUN, by_table)
    assert kit.files(folder) == before
    with Journal.open(folder, {}, by_table) as journal:
        assert journal.ledger.opened == facts.run_opened()


def test_open_needs_a_journal(folder: Path) -> None:
    """An empty folder is not taken for a run."""
    folder.mkdir(parents=True)
    for _ in range(2):
        with pytest.raises(JournalError, match="no journal"):
            Journal.open(folder, {}, by_table)
    assert kit.files(folder) == {}


def test_appending_takes_time_that_is_told_once(folder: Path) -> None:
    """`seconds` of a step: what was spent since the last time it was asked."""
    with Journal.create(folder, kit.RUN, by_table) as journal:
        assert journal.take_seconds() == 0.0
        journal.append([facts.dropped(0)])
        assert journal.take_seconds() > 0.0
        assert journal.take_seconds() == 0.0
        assert journal.ledger.counts()[Phase.DROPPED] == 1
