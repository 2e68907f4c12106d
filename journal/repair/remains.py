"""What can still be read of a journal that is damaged: whole frames, and what is wrong.

A frame is whole if the chain vouches for it: its bytes, and the 32 that stand before it
in the chain, give the 32 at its end.  So what stands after damage can be told from what
only looks like a frame.  Nothing is guessed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from onlinedpo.journal import codec, frames
from onlinedpo.journal.frames import CHAIN, HEADER_SIZE, SEGMENT_SIZE, Broken, Frame
from onlinedpo.journal.plain_files import contents
from onlinedpo.journal.present import listed
from onlinedpo.journal.reader import SUFFIX, Place, Position, header_of, path_of
from onlinedpo.states.errors import JournalDamaged, JournalError
from onlinedpo.states.records import RunOpened


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that is not as it was written: where, and what.

    `torn` is what a crash leaves at the very end, which nothing had acted on.
    """

    path: Path
    offset: int
    what: str
    torn: bool = False

    def __str__(self) -> str:
        """In the order in which errors name a place."""
        byte = f": byte {self.offset}" if self.offset else ""
        return f"{self.path}{byte}: {self.what}"


class Remains:
    """One pass over a journal folder, damaged or not; after it, `flaws` is complete."""

    def __init__(self, folder: Path) -> None:
        """Look which segments there are, and of which run they are."""
        self.flaws: list[Flaw] = []
        self.paths = _numbered(folder)
        self.run = _run_of(self.paths.values())
        """The run's id; None if nothing tells it."""
        self._folder = folder
        self._at = Position(self.run or b"", 0, 0, 0, bytes(CHAIN))
        self._explained = False
        """Whether a flaw was found since the last whole frame."""
        self._strangers: set[bytes] = set()
        """Ends of segments that tell another history of this run."""

    def whole_frames(self) -> Iterator[tuple[Place, bytes]]:
        """Every whole frame with its payload, in order; raises `JournalNewer`.

        As long as the numbers are 1, 2, 3 and so on, each frame was written right after
        the one before it.
        """
        before, last = 0, max(self.paths, default=0)
        for number, path in self.paths.items():
            self._missing(before + 1, number - 1)
            before = number
            try:
                data = contents(path)
            except OSError as error:
                self._flaw(path, f"the file cannot be read: {error.strerror}")
                continue
            if segment := self._begin(path, number, data):
                yield from self._read(path, data, segment, last=number == last)

    def _read(
        self, path: Path, data: bytes, segment: frames.Segment, *, last: bool
    ) -> Iterator[tuple[Place, bytes]]:
        run, number = segment.run, segment.number
        before = segment.first - 1
        self._at = Position(run, number, SEGMENT_SIZE, before, segment.head)
        for found in _scan(data, segment):
            if isinstance(found, Broken):
                torn = last and frames.later_frame(data, found, segment) is None
                what = f"frame {found.number} is damaged: {found.why}"
                self._flaw(path, what, found.offset, torn=torn)
            else:
                chain = found.chain
                self._at = Position(run, number, found.end, found.number, chain)
                self._explained = False
                yield Place(path, found.offset, found.number, chain), found.payload

    def _begin(self, path: Path, number: int, data: bytes) -> frames.Segment | None:
        """The segment's header, if it goes on with what was read before."""
        at = self._at
        try:
            segment = frames.decode_segment(data)
        except JournalDamaged as error:
            self._flaw(path, str(error))
            # What it said follows from the segment before, if that is there.
            return replace(at.next_segment(), number=number) if self.run else None
        if why := self._strange(segment, number, data):
            self._flaw(path, why)
            return None
        if segment.first > at.number + 1 and not self._explained:
            cut = path_of(self._folder, number - 1)
            self._flaw(
                cut,
                f"the file ends here; frames to {segment.first - 1} stood in it when"
                f" {path.name} was begun",
                at.length,
            )
        return segment

    def _strange(self, segment: frames.Segment, number: int, data: bytes) -> str:
        """Why a sound segment does not belong here; empty where it may."""
        at = self._at
        if segment.run != self.run:
            return f"this segment is of another run, {segment.run.hex()[:8]}"
        if segment.number != number:
            return f"this is segment {segment.number} under another name"
        adjoins = at.segment == number - 1 and segment.first == at.number + 1
        if (
            segment.first > at.number
            and segment.previous_head not in self._strangers
            and (not adjoins or segment.previous_head == at.chain)
        ):
            return ""
        own = [f.chain for f in frames.scan(data, segment) if isinstance(f, Frame)]
        self._strangers.add(own[-1] if own else segment.head)
        return "this segment does not continue the one before it"

    def _missing(self, first: int, last: int) -> None:
        if first <= last:
            to = f", and those to {last:06d}{SUFFIX}" if first < last else ""
            self._flaw(path_of(self._folder, first), f"this segment is missing{to}")

    def _flaw(
        self, path: Path, what: str, offset: int = 0, *, torn: bool = False
    ) -> None:
        self._explained = True
        self.flaws.append(Flaw(path, offset, what, torn))


def _scan(data: bytes, segment: frames.Segment) -> Iterator[Frame | Broken]:
    """The whole frames of a segment, wherever they stand, and where bytes are none."""
    offset, number, chain = SEGMENT_SIZE, segment.first, segment.head
    held: Frame | None = None
    at = _next(data, offset, segment)
    while at is not None:
        frame = _given(data, at, segment, chain)
        if frame and frame.number == number and not _stands(data, frame):
            # Its own end may be all that is damaged: then the next frame vouches.
            held, frame = frame if at == offset else None, None
        elif frame and frame.number > number:
            frame = _given(data, at, segment, held.chain) if held else None
            if held and frame and frame.number == number + 1 and _stands(data, frame):
                yield Broken(offset, number, "its last bytes are not as written")
                yield held
                offset, number = held.end, number + 1
            else:
                frame = _given(data, at, segment, data[at - CHAIN : at])
        if frame is None or frame.number < number or not _stands(data, frame):
            at = _next(data, at + 1, segment)
            continue
        if at > offset:
            yield _broken(data[:at], offset, number, segment, chain)
        yield frame
        offset, number, chain, held = frame.end, frame.number + 1, frame.chain, None
        at = _next(data, offset, segment)
    if offset < len(data):
        yield _broken(data, offset, number, segment, chain)


def _next(data: bytes, offset: int, segment: frames.Segment) -> int | None:
    """Where the next header of a frame stands."""
    return frames.later_frame(data, Broken(offset, -1, ""), segment)


def _given(
    data: bytes, at: int, segment: frames.Segment, before: bytes
) -> Frame | None:
    """The frame at a place, as it is after that chain; None where it is cut short."""
    header = frames.header_at(data, at, segment.run)
    if header is None or (end := at + frames.FRAME_OVERHEAD + header[0]) > len(data):
        return None
    payload = data[at + HEADER_SIZE : end - CHAIN]
    _, chain = frames.encode_frame(segment.run, before, header[1], payload)
    return Frame(at, header[1], payload, chain, end)


def _stands(data: bytes, frame: Frame) -> bool:
    """Whether the chain after a frame is the one that stands at its end."""
    return data[frame.end - CHAIN : frame.end] == frame.chain


def _broken(
    data: bytes, offset: int, number: int, segment: frames.Segment, chain: bytes
) -> Broken:
    """What is wrong at a place, in the reader's own words."""
    for found in frames.scan(data[offset:], segment, (number - 1, chain)):
        if isinstance(found, Broken):
            return Broken(offset, number, found.why)
    return Broken(offset, number, "the frame does not belong here")


def _numbered(folder: Path) -> dict[int, Path]:
    """The segment files by their numbers, in order."""
    found = {
        int(path.stem): path
        for path in listed(folder, "*" + SUFFIX)
        if path.stem.isdecimal() and int(path.stem)
    }
    return dict(sorted(found.items()))


def _run_of(paths: Iterable[Path]) -> bytes | None:
    """The run that most segments are of, or else what damaged ones still tell."""
    sound: Counter[bytes] = Counter()
    damaged: list[bytes] = []
    for path in paths:
        with suppress(OSError):
            try:
                sound[header_of(path).run] += 1
            except JournalError:
                damaged.append(contents(path))
    for data in damaged if not sound else ():
        for run in _guesses(data):
            if _next(data, 0, frames.Segment(run, 0, 0, 0, b"")) is not None:
                return run
    return sound.most_common(1)[0][0] if sound else None


def _guesses(data: bytes) -> Iterator[bytes]:
    """What may be the run's id: a frame whose header it fits proves it."""
    yield data[12:28]
    body = SEGMENT_SIZE + HEADER_SIZE
    length = int.from_bytes(data[SEGMENT_SIZE + 4 : SEGMENT_SIZE + 8], "little")
    with suppress(JournalError, TypeError, ValueError):
        for record in codec.decode(data[body : body + length]):
            if isinstance(record, RunOpened):
                yield bytes.fromhex(record.run_id)
