"""A journal of two segments that is cut and changed, and what must come of it."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from onlinedpo.journal import codec, snapshot
from onlinedpo.journal.frames import SEGMENT_SIZE
from onlinedpo.journal.reader import Reader
from onlinedpo.states.errors import JournalDamaged
from onlinedpo.states.records import TailCut
from tests.journal import kit
from tests.states import facts

FIRST, LAST = "000001.odj", "000002.odj"

_NAMED = re.compile(r"(\d{6}\.odj): .*?byte (\d+)")

Values = Callable[[int], Iterable[int]]
"""What a byte may become, by what it was."""


def three_ways(byte: int) -> set[int]:
    """One bit flipped, zero, and 255, where that is a change."""
    return {byte ^ 1, 0x00, 0xFF} - {byte}


def every_bit(byte: int) -> list[int]:
    """Each of its bits flipped."""
    return [byte ^ (1 << bit) for bit in range(8)]


def changes(data: bytes, values: Values = three_ways) -> Iterator[bytes]:
    """The same with each byte changed, in each way."""
    for at, byte in enumerate(data):
        for value in values(byte):
            yield data[:at] + bytes([value]) + data[at + 1 :]


def cuts(data: bytes) -> Iterator[bytes]:
    """Each length below the whole, and something behind it."""
    yield from (data[:at] for at in range(len(data)))
    yield from (data + more for more in (b"\x00", b"\n", b"}", data))


class Original:
    """A sound journal in a run's folder, which is put back before each harm."""

    def __init__(self, run: Path, drops: int) -> None:
        """Write it: two segments and 2 x (5 + drops) frames."""
        self.run, self.folder = run, run / "journal"
        kit.two_segments(self.folder, drops)
        self.contents = kit.files(self.folder)
        self.payloads, _ = payloads(self.folder)
        self.starts = {name: starts(self.folder / name) for name in self.contents}
        """Where the header begins, each frame, and the end, by segment."""

    def size(self) -> int:
        """Bytes of both segments."""
        return sum(map(len, self.contents.values()))

    def place(self, name: str, at: int) -> tuple[int, int]:
        """Where the frame (or header) with a byte begins, and how many came before."""
        begins = self.starts[name]
        index = bisect_right(begins, at) - 1
        before = len(self.starts[FIRST]) - 2 if name == LAST else 0
        return begins[index], before + index - 1

    # -- what must come of it --------------------------------------------------------

    def refused(
        self, name: str, data: bytes, where: tuple[str, int], *, by_writer: bool
    ) -> None:
        """It is refused, naming file and byte, and nothing at all is changed."""
        path = self.folder / name
        path.write_bytes(data)
        for taking in (payloads, kit.reopened) if by_writer else (payloads,):
            with pytest.raises(JournalDamaged) as caught:
                taking(self.folder)
            told = _NAMED.search(str(caught.value))
            assert told, caught.value
            assert (told[1], int(told[2])) == where, caught.value
        if by_writer:
            assert kit.files(self.folder) == {**self.contents, name: data}
            assert not (self.run / "quarantine").exists()
        path.write_bytes(self.contents[name])

    def recovered(self, data: bytes, end: int, whole: int) -> None:
        """The last segment with this data: exactly what was acknowledged is there.

        Those are `whole` frames, which end at `end`.  What follows lies in quarantine
        byte by byte and is told.  The next start repairs nothing: it changes no byte
        of what is there, begins a segment, and its appends are taken.
        """
        kit.put(self.folder, {**self.contents, LAST: data})
        torn = data[end:]
        with kit.reopened(self.folder) as journal:
            cuts = journal.cuts
        assert [self._as_told(cut, end, torn) for cut in cuts] == [True] * bool(torn)
        after = kit.contents(self.run)
        assert after[f"journal/{LAST}"] == data[:end]
        assert (len(after["journal/000003.odj"]) == SEGMENT_SIZE) == (not torn)
        with kit.reopened(self.folder) as journal:
            assert journal.cuts == []
            more = facts.dropped(journal.ledger.next_ticket)
            journal.append([more])
        later = kit.contents(self.run)
        assert {*later} - {*after} == {"journal/000004.odj"}
        assert {name: later[name] for name in after} == after
        told = [codec.encode(cuts)] if cuts else []
        expected = [*self.payloads[:whole], *told, codec.encode([more])]
        assert payloads(self.folder) == (expected, False)
        for kept in (self.run / "quarantine").glob("*"):
            kept.unlink()
        kit.put(self.folder, self.contents)

    def _as_told(self, cut: TailCut, end: int, torn: bytes) -> bool:
        (kept,) = (self.run / "quarantine").iterdir()
        assert kept.read_bytes() == torn
        assert cut.sha256 == hashlib.sha256(torn).hexdigest()
        assert cut.kept_as == f"quarantine/{kept.name}"
        return (cut.segment, cut.offset, cut.size) == (2, end, len(torn))

    # -- every cut, every change -----------------------------------------------------

    def cuts(self) -> Iterator[None]:
        """Each segment, cut at each of its bytes, one after the other."""
        for name, data in self.contents.items():
            for at in range(len(data)):
                begin, whole = self.place(name, at)
                if name == LAST and at >= SEGMENT_SIZE:
                    self.recovered(data[:at], begin, whole)
                elif begin and at == begin:
                    # Between two frames: it is the next segment that gives it away.
                    self.refused(name, data[:at], (LAST, 0), by_writer=True)
                else:
                    self.refused(name, data[:at], (name, begin), by_writer=True)
                yield

    def changes(self, values: Values, *, every: int = 1) -> Iterator[None]:
        """Each byte of both segments, in each way.

        In the very last frame it cannot be told from a torn write: that frame is cut
        off, whole.  Anywhere else it is refused; by the writer at one byte in `every`.
        """
        for name, data in self.contents.items():
            for at, byte in enumerate(data):
                begin, whole = self.place(name, at)
                for value in values(byte):
                    changed = data[:at] + bytes([value]) + data[at + 1 :]
                    if name == LAST and begin == self.starts[LAST][-2]:
                        self.recovered(changed, begin, whole)
                    else:
                        by_writer = at % every == 0
                        self.refused(name, changed, (name, begin), by_writer=by_writer)
                    yield


def harmed_snapshots(folder: Path, harms: Iterable[bytes], *, every: int) -> int:
    """Put each in a journal's snapshot's place; none is used.  How many there were.

    That the journal adds up to the same is looked at one in so many times.
    """
    path, expected = folder / snapshot.NAME, kit.standing(Reader(folder).fold())
    assert snapshot.read(folder)
    tried = 0
    for tried, data in enumerate(harms, start=1):
        path.write_bytes(data)
        assert snapshot.read(folder) is None
        if tried % every == 0:
            assert kit.standing(snapshot.fold(folder)) == expected
    return tried


def payloads(folder: Path) -> tuple[list[bytes], bool]:
    """Every payload of a journal, as bytes, and whether a torn tail was told."""
    reader = Reader(folder)
    found = [frame.payload for _, frame in reader.whole_frames()]
    return found, reader.tail is not None


def starts(path: Path) -> list[int]:
    """Where a segment's header begins, and each frame, and where the last one ends."""
    ends = [0, SEGMENT_SIZE]
    for frame in kit.spans(path).frames:
        ends.append(ends[-1] + len(frame))
    return ends
