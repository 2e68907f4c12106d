"""A journal cut off at any byte, as a crash in the middle of a write leaves it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from onlinedpo.journal import frames
from onlinedpo.journal.frames import SEGMENT_SIZE
from onlinedpo.states.errors import JournalDamaged
from onlinedpo.states.records import Record, TailCut
from tests.conftest import Count
from tests.journal import kit
from tests.journal.rot import FIRST, LAST, Original
from tests.states import facts


def flat(batches: kit.Batches) -> list[Record]:
    """The records of these frames."""
    return [record for batch in batches for record in batch]


@pytest.fixture
def original(quick: Path) -> Original:
    """A journal of two segments with seven frames each."""
    return Original(quick / "run", drops=2)


def test_a_journal_is_cut_at_every_byte(original: Original, count: Count) -> None:
    """Both segments.  In the last one the frames before the cut are all there.

    What is cut off lies byte by byte in quarantine and is told by the journal; the
    journal goes on, and the next start finds nothing to repair.  An earlier segment
    was whole when the next one began, and a header before its file had a name: that
    is no crash, and is refused with nothing changed.
    """
    tried = sum(1 for _ in original.cuts())
    assert tried == original.size()
    count("cuts of a journal", tried)


Behind = Callable[[Original, Path], bytes]
"""What may stand behind the last whole frame: no frame that goes on from it."""


def foreign(number: int) -> Behind:
    """The frames of another run, as a disk may have kept them where files were."""

    def behind(original: Original, place: Path) -> bytes:
        kit.two_segments(place, drops=2, run=kit.OTHER_RUN)
        segment = kit.spans(place / f"00000{number}.odj")
        return b"".join(segment.frames)

    return behind


def whole_file(original: Original, place: Path) -> bytes:
    """A segment of another run with its header."""
    kit.two_segments(place, drops=2, run=kit.OTHER_RUN)
    return (place / FIRST).read_bytes()


def other_end(original: Original, place: Path) -> bytes:
    """A frame of the right number, with a chain from another history of this run."""
    return frames.encode_frame(kit.RUN, bytes(32), 15, b"\x90")[0]


def doubled(original: Original, place: Path) -> bytes:
    """The last frame once more."""
    return kit.spans(original.folder / LAST).frames[-1]


def markers(original: Original, place: Path) -> bytes:
    """The beginning of a frame, again and again."""
    return b"JDPO"[::-1] * 300 + b"\x4f\x44\x50\x4a" * 300


def noise(original: Original, place: Path) -> bytes:
    """Random bytes."""
    return random.Random(7).randbytes(5000)


def ones(byte: bytes, size: int) -> Behind:
    """One byte only."""
    return lambda original, place: byte * size


@pytest.mark.parametrize(
    "behind",
    [
        *(ones(b"\x00", n) for n in (1, 19, 20, 51, 52, 512, 4096, 1 << 20)),
        *(ones(byte, 20) for byte in (b"\xff", b"\n")),
        *(foreign(1), foreign(2), whole_file),
        *(other_end, doubled, markers, noise),
    ],
)
def test_what_stands_behind_the_last_frame_is_a_torn_tail(
    original: Original, behind: Behind, quick: Path
) -> None:
    """A file system may extend a file before its data, or show old blocks there."""
    data = original.contents[LAST]
    torn = behind(original, quick / "other")
    original.recovered(data + torn, len(data), 14)


def test_a_torn_frame_may_end_in_zeros_or_in_old_blocks(
    original: Original, quick: Path, count: Count
) -> None:
    """Cut at every byte of the last frame, and filled up to the end of a block."""
    data, (begin, end) = original.contents[LAST], original.starts[LAST][-2:]
    old = foreign(1)(original, quick / "other")
    tried = 0
    for at in range(begin + 1, end):
        # Of a frame that ends in zeros it may be whole after all.
        for fill in (bytes(512), old):
            block = data[:at] + fill[: -at % 512 or 512]
            if block[:end] != data:
                original.recovered(block, begin, 13)
                tried += 1
    assert tried > 200
    count("torn frames with something behind", tried)


def test_a_torn_frame_may_hold_what_was_a_journal(tmp_path: Path) -> None:
    """People can save anything as a label file, such as a copy of the journal.

    Its frames, within the torn one, are none that were written after it.
    """
    folder = tmp_path / "run" / "journal"
    kit.two_segments(folder, drops=1)
    copy = b"".join(kit.files(folder).values())
    with kit.reopened(folder) as journal:
        journal.append([facts.kept(raw=copy)])
        journal.append([facts.kept(raw=b"")])
    path = folder / "000003.odj"
    data, sizes = path.read_bytes(), [len(f) for f in kit.spans(path).frames]
    before = kit.recorded(folder)
    for torn in (
        data[: SEGMENT_SIZE + sizes[0] - 1],
        data[: SEGMENT_SIZE + sizes[0] // 2] + bytes(9000),
    ):
        path.write_bytes(torn)
        tail = kit.tail_of(folder)
        assert tail and tail.offset == SEGMENT_SIZE
        assert kit.recorded(folder) == before[:-2]
    # A later one is one all the same.
    path.write_bytes(data[: SEGMENT_SIZE + 99] + data[SEGMENT_SIZE + 100 :])
    with pytest.raises(JournalDamaged, match="a later frame stands at"):
        kit.tail_of(folder)


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
    with kit.reopened(folder) as journal:
        assert journal.ledger.opened is None
        journal.append([facts.run_opened()])
    cut, opened = kit.recorded(folder)
    assert isinstance(cut, TailCut)
    assert opened == facts.run_opened()
