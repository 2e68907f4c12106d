"""Reads a journal back, checking every byte on the way.

What cannot be read is either a torn tail, reported as such, or `JournalDamaged`, which
names file and byte.  Nothing is skipped and nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from onlinedpo.journal import codec, frames
from onlinedpo.journal.field_types import IMPOSSIBLE, impossible
from onlinedpo.journal.plain_files import contents, read
from onlinedpo.journal.present import listed
from onlinedpo.states import records
from onlinedpo.states.errors import ImpossibleValue, JournalDamaged, JournalError
from onlinedpo.states.ledger import Ledger

SUFFIX = ".odj"

Anchors = Mapping[int, bytes]
"""Frame number -> chain after it, as noted outside the journal (in checkpoints)."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the journal: the last frame read, and the chain there."""

    run: bytes
    segment: int
    length: int
    number: int
    chain: bytes

    def next_segment(self) -> frames.Segment:
        """The header of a segment that goes on from here."""
        return frames.Segment(
            self.run, self.segment + 1, self.number + 1, self.length, self.chain
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where a frame stands."""

    path: Path
    offset: int
    number: int
    chain: bytes
    """The head of the chain after it."""

    def __str__(self) -> str:
        """File, byte and frame, as errors name it."""
        return f"{self.path}: byte {self.offset}: frame {self.number}"

    @contextmanager
    def named(self) -> Iterator[None]:
        """Let errors of the block name this frame, as `blamed` says."""
        try:
            yield
        except (JournalError, *IMPOSSIBLE) as error:
            raise self.blamed(error) from error

    def blamed(self, error: Exception) -> JournalError:
        """The same error, naming this frame; of `IMPOSSIBLE` what is to be said."""
        if not isinstance(error, JournalError):
            error = ImpossibleValue(impossible(error))
        return type(error)(f"{self}: {error}", hint=error.hint or _ILLEGAL_HINT)


@dataclass(frozen=True, slots=True)
class Tail:
    """Bytes at the very end that are no whole frame."""

    path: Path
    offset: int
    data: bytes
    why: str


def header_of(path: Path) -> frames.Segment:
    """What a segment file begins with; raises `JournalError` and OSError."""
    return frames.decode_segment(read(path, frames.SEGMENT_SIZE, follow=True))


class Reader:
    """One pass over a journal folder.  After it, `position` and `tail` are set."""

    def __init__(
        self,
        folder: Path,
        anchors: Anchors | None = None,
        since: Position | None = None,
    ) -> None:
        """Read nothing yet; `anchors` are places that the journal must contain.

        With `since`, the end of a segment, only the segments after it are read.
        """
        self.folder = folder
        self.position = since
        self.tail: Tail | None = None
        self._anchors = dict(anchors or {})

    def whole_frames(self) -> Iterator[tuple[Path, frames.Frame]]:
        """Every frame in order, with its file; raises `JournalDamaged`."""
        paths = segments(self.folder)
        for path in paths[self.position.segment if self.position else 0 :]:
            data = contents(path)
            segment = self._open(path, data)
            self.position = Position(
                segment.run,
                segment.number,
                frames.SEGMENT_SIZE,
                segment.first - 1,
                segment.head,
            )
            for frame in frames.scan(data, segment):
                if isinstance(frame, frames.Broken):
                    self._torn(path, data, segment, frame, last=path == paths[-1])
                    break
                self._anchored(path, frame)
                yield path, frame
                self.position = Position(
                    segment.run, segment.number, frame.end, frame.number, frame.chain
                )
        self._all_anchors_met()

    def batches(self) -> Iterator[tuple[Place, list[records.Record]]]:
        """The records of each frame, and where it stands; raises `JournalError`."""
        for path, frame in self.whole_frames():
            place = Place(path, frame.offset, frame.number, frame.chain)
            # Not `named`: a journal may have a million frames.
            try:
                batch = codec.decode(frame.payload)
            except JournalError as error:
                raise place.blamed(error) from error
            yield place, batch

    def folded(self, ledger: Ledger) -> Iterator[tuple[Place, list[records.Record]]]:
        """Each frame's records, once they are folded in; raises `JournalError`."""
        for place, batch in self.batches():
            try:
                for record in batch:
                    ledger.fold(record)
            except (JournalError, *IMPOSSIBLE) as error:
                raise place.blamed(error) from error
            yield place, batch

    def records(self) -> Iterator[records.Record]:
        """Every record in order; raises `JournalError` naming its frame."""
        for _, batch in self.batches():
            yield from batch

    def fold(self, ledger: Ledger | None = None) -> Ledger:
        """The state that what is read adds up to; raises `JournalError`.

        It is added to `ledger`, the state at `since`, or else to nothing.
        """
        ledger = ledger or Ledger()
        for _ in self.folded(ledger):
            pass
        return ledger

    def _open(self, path: Path, data: bytes) -> frames.Segment:
        try:
            segment = frames.decode_segment(data)
        except JournalError as error:
            raise type(error)(f"{path}: {error}", hint=error.hint or _HINT) from error
        before = self.position or Position(segment.run, 0, 0, 0, bytes(frames.CHAIN))
        if segment != before.next_segment():
            raise JournalDamaged(
                f"{path}: byte 0: this segment does not continue the one before it",
                hint=_HINT,
            )
        return segment

    def _torn(
        self,
        path: Path,
        data: bytes,
        segment: frames.Segment,
        broken: frames.Broken,
        *,
        last: bool,
    ) -> None:
        evidence = ""
        later = frames.later_frame(data, broken, segment)
        beyond = [number for number in self._anchors if number >= broken.number]
        if not last:
            evidence = "a later segment follows"
        elif later is not None:
            evidence = f"a later frame stands at byte {later}"
        elif beyond:
            evidence = f"a checkpoint was made after frame {max(beyond)}"
        if evidence:
            raise JournalDamaged(
                f"{path}: byte {broken.offset}: frame {broken.number} is damaged:"
                f" {broken.why}; it had been written whole, since {evidence}",
                hint=_HINT,
            )
        self.tail = Tail(path, broken.offset, data[broken.offset :], broken.why)

    def _anchored(self, path: Path, frame: frames.Frame) -> None:
        wanted = self._anchors.pop(frame.number, None)
        if wanted is not None and wanted != frame.chain:
            raise JournalDamaged(
                f"{_where(path, frame)}: this is not the frame that a checkpoint was"
                " made after",
                hint=_HINT,
            )

    def _all_anchors_met(self) -> None:
        if self._anchors:
            missing = max(self._anchors)
            path = segments(self.folder)[-1] if segments(self.folder) else self.folder
            raise JournalDamaged(
                f"{path}: the journal ends before frame {missing}, which a checkpoint"
                " was made after",
                hint=_HINT,
            )


def path_of(folder: Path, segment: int) -> Path:
    """The file of a segment."""
    return folder / f"{segment:06d}{SUFFIX}"


def begun(folder: Path) -> bool:
    """Whether a journal lies in a folder; raises OSError where that cannot be told."""
    return bool(listed(folder, "*" + SUFFIX))


def segments(folder: Path) -> list[Path]:
    """The segment files, oldest first; raises `JournalDamaged` where one is missing.

    And OSError where that cannot be told.
    """
    paths = [p for p in listed(folder, "*" + SUFFIX) if p.stem.isdecimal()]
    for number, path in enumerate(paths, start=1):
        if path != path_of(folder, number):
            raise JournalDamaged(
                f"{folder}: segment {path_of(folder, number).name} is missing:"
                f" {path.name} stands in its place",
                hint=_HINT,
            )
    return paths


def _where(path: Path, frame: frames.Frame) -> str:
    return f"{path}: byte {frame.offset}: frame {frame.number}"


_HINT = (
    "Put the file back from a copy made after it was written. The run is left as it is."
    " More is said by: onlinedpo journal doctor RUN"
)
_ILLEGAL_HINT = "The journal was not written by this program, or by another version."
