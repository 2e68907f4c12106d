"""Reads a journal on while it grows: each time from the last whole frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from onlinedpo.journal import frames
from onlinedpo.journal.disk_errors import naming
from onlinedpo.journal.plain_files import open_plain, read, rest
from onlinedpo.journal.reader import Position, Reader, Tail, segments
from onlinedpo.states.errors import JournalDamaged


class Following(Reader):
    """A reader that, asked again, gives what has come since; it never waits.

    Half a frame at the end is left where it is: the writer is about to finish it, or
    was killed, and then the next one cuts it off and begins a segment.  What cannot
    come about in either way is `JournalDamaged`, as for every reader.
    """

    _segment: frames.Segment

    def whole_frames(self) -> Iterator[tuple[Path, frames.Frame]]:
        """Every frame since the last time, with its file; raises `JournalDamaged`."""
        # Listed before any is read: a segment that has a successor is at its end.
        paths = segments(self.folder)
        begun = self.position.segment if self.position else 1
        for path in paths[begun - 1 :]:
            yield from self._on(path, last=path == paths[-1])

    def _on(self, path: Path, *, last: bool) -> Iterator[tuple[Path, frames.Frame]]:
        at = self.position
        if at is None or at.segment < int(path.stem):
            at = self._begin(path)
        data, self.tail = _read(path, at), None
        for frame in frames.scan(data, self._segment, (at.number, at.chain)):
            if isinstance(frame, frames.Broken):
                self._half(path, data, frame, at.length, last=last)
                return
            end = at.length + frame.end
            yield path, replace(frame, offset=at.length + frame.offset, end=end)
            self.position = replace(
                at, length=end, number=frame.number, chain=frame.chain
            )

    def _begin(self, path: Path) -> Position:
        """Where the frames of a segment begin that was not looked at before."""
        segment = self._open(path, read(path, frames.SEGMENT_SIZE, follow=True))
        self._segment = segment
        size, number = frames.SEGMENT_SIZE, segment.first - 1
        self.position = Position(
            segment.run, segment.number, size, number, segment.head
        )
        return self.position

    def _half(
        self, path: Path, data: bytes, broken: frames.Broken, base: int, *, last: bool
    ) -> None:
        """Leave what is not whole, unless it had been whole before."""
        if not last or frames.later_frame(data, broken, self._segment) is not None:
            # Whoever reads from the beginning can say what is wrong, and where.
            for _ in Reader(self.folder).whole_frames():
                pass
        offset = base + broken.offset
        self.tail = Tail(path, offset, data[broken.offset :], broken.why)


def _read(path: Path, at: Position) -> bytes:
    """What a segment holds after a position; raises `JournalDamaged` if it shrank."""
    with naming(path), open_plain(path, follow=True) as file:
        if file.seek(0, 2) < at.length:
            raise JournalDamaged(
                f"{path}: byte {at.length}: the file ends before it now, and frame"
                f" {at.number} had been read there",
                hint="Put the file back from a copy made after it was written.",
            )
        file.seek(at.length)
        return rest(file)
