"""The one writer of a journal: lock, recovery, append.

Opening takes the lock, cuts a torn tail (and keeps it), and begins a segment of its
own.  `append` returns only when the records are on the disk.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Self

from onlinedpo.journal import atomic, codec, disk, disk_errors, frames, snapshot
from onlinedpo.journal.crashpoint import reached
from onlinedpo.journal.lock import Lock
from onlinedpo.journal.plain_files import LARGEST, contents
from onlinedpo.journal.present import listed
from onlinedpo.journal.reader import Anchors, Position, Reader, Tail, path_of, segments
from onlinedpo.states import records
from onlinedpo.states.errors import JournalError, RunLocked, StorageError
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.lifecycle import Move

SEGMENT_LIMIT = 8 << 20
"""Bytes from which on the next frame begins a segment, or four times a snapshot."""

_KEPT = re.compile(r"(\d{6})-(\d+)-[0-9a-f]{8}\.tail")
"""Segment and offset that a kept tail was cut from; other files are left alone."""


class Journal:
    """An open journal, and the ledger that its records fold into."""

    def __init__(self, folder: Path, ledger: Ledger, lock: Lock) -> None:
        """Use `create` or `open`."""
        self.folder = folder
        self.ledger = ledger
        self.seconds = 0.0
        self.cuts: list[records.TailCut] = []
        self.lock = lock
        self._fd = -1
        self._position: Position
        self._poisoned = ""
        self._full = SEGMENT_LIMIT

    @classmethod
    def create(
        cls, folder: Path, run: bytes, move: Move, lock: Lock | None = None
    ) -> Self:
        """A new journal in a folder, which the caller may have locked already."""
        if lock is None:
            disk.make_folder(folder)
        held = lock or Lock(folder)
        try:
            if segments(folder):
                raise RunLocked(
                    f"{folder.parent}: another process has just begun a run here",
                    hint="Run the command again to take that run up.",
                )
            journal = cls(folder, Ledger(move), held)
            journal._position = Position(run, 0, 0, 0, bytes(frames.CHAIN))
            journal._begin_segment()
        except BaseException:
            if not lock:
                held.release()
            raise
        return journal

    @classmethod
    def open(cls, folder: Path, anchors: Anchors, move: Move) -> Self:
        """Take up an existing journal; raises `RunLocked` and `JournalError`."""
        lock = Lock(folder)
        try:
            reader = Reader(folder, anchors)
            # The past is folded by the table, a look-up a move; only the live run
            # fires the machine.
            journal = cls(folder, reader.fold().moved_by(move), lock)
            if reader.position is None:
                raise JournalError(
                    f"{folder}: there is no journal here",
                    hint="Start the run again in a new folder.",
                )
            journal._position = reader.position
            journal._adopt(reader.tail)
            journal._begin_segment()
            if journal.cuts:
                journal.append(journal.cuts)
        except BaseException:
            lock.release()
            raise
        return journal

    @property
    def position(self) -> tuple[int, bytes]:
        """The last frame's number and the chain after it."""
        return self._position.number, self._position.chain

    @property
    def run(self) -> bytes:
        """The run's id, 16 bytes."""
        return self._position.run

    def take_seconds(self) -> float:
        """Seconds spent on appending since this was last asked."""
        seconds, self.seconds = self.seconds, 0.0
        return seconds

    def append(self, batch: Sequence[records.Record]) -> None:
        """Put records on the disk, together or not at all, then fold them in.

        Raises `JournalError` if they could not be written, or do not fit the state:
        then the journal is as it was, and takes no more.  And `RunLocked`.
        """
        began = time.perf_counter()
        self.lock.must_hold()
        # Before a segment is begun: it would vouch for what the last one ends in.
        if self._poisoned:
            raise StorageError(self._poisoned, hint="Start the run again.")
        if self._position.length > self._full:
            self._begin_segment()
        before = self._position
        self._write(codec.encode(batch))
        self.seconds += time.perf_counter() - began
        try:
            for record in batch:
                self.ledger.fold(record)
        except JournalError:
            self._take_back(before)
            raise
        # Cleared only here: a state that missed a written fact must not go on.
        self._poisoned = ""
        reached("state.move")

    def close(self) -> None:
        """Give the run back."""
        fd, self._fd = self._fd, -1
        if fd != -1:
            disk.close(fd)
        self.lock.release()

    def __enter__(self) -> Self:
        """Use the journal as a context."""
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Close it; raises `RunLocked` for a disk that refuses where no run is now."""
        with closing(self):
            if isinstance(error, OSError | StorageError):
                self.lock.must_hold()

    def _write(self, payload: bytes) -> None:
        at = self._position
        data, chain = frames.encode_frame(at.run, at.chain, at.number + 1, payload)
        where = f"{path_of(self.folder, at.segment)}: frame {at.number + 1}"
        # Whatever interrupts the next lines, the file then ends in a torn tail for the
        # next start.  After a failed sync the kernel may call the pages clean: it is
        # never tried again on this file.
        self._poisoned = f"{where} was interrupted"
        try:
            disk.write_all(self._fd, data)
            reached("journal.append")
            disk.sync(self._fd)
            reached("journal.sync")
        except OSError as error:
            self._poisoned = f"{where}: {error.strerror}"
            raise _io_error(self._poisoned, error) from error
        self._position = Position(
            at.run, at.segment, at.length + len(data), at.number + 1, chain
        )

    def _take_back(self, before: Position) -> None:
        """Cut off the last frame: nobody could read past it, and nobody knows of it."""
        path = path_of(self.folder, before.segment)
        with _writing(path):
            disk.cut(path, before.length)
        self._position = before

    def _begin_segment(self) -> None:
        at = self._position
        segment = at.next_segment()
        path = path_of(self.folder, segment.number)
        with _writing(path):
            atomic.replace(path, segment.encode())
            before, self._fd = self._fd, disk.open_to_append(path)
        if before != -1:
            disk.close(before)
        self._position = Position(
            at.run, segment.number, frames.SEGMENT_SIZE, at.number, segment.head
        )
        with suppress(OSError):  # Only a cache.
            if sum(p.stat().st_size for p in segments(self.folder)) > snapshot.WORTH:
                kept = 4 * snapshot.write(self.folder, self.ledger, at)
                self._full = min(max(SEGMENT_LIMIT, kept), LARGEST // 2)

    def _adopt(self, tail: Tail | None) -> None:
        """Make what another process left the ground to build on."""
        last = path_of(self.folder, self._position.segment)
        with _writing(last):
            # It may have been killed between a write and its sync: a segment that
            # vouches for a frame must not reach the disk before the frame does, nor
            # its name before that of the last segment.
            disk.sync_files([last, self.folder])
            if tail:
                self._cut(tail)
            self.cuts = self._untold()

    def _cut(self, tail: Tail) -> None:
        """Keep a torn tail in quarantine, then cut it off."""
        digest = hashlib.sha256(tail.data).hexdigest()
        disk.make_folder(self._quarantine)
        kept = self._quarantine / f"{tail.path.stem}-{tail.offset}-{digest[:8]}.tail"
        atomic.replace(kept, tail.data)
        disk.cut(tail.path, tail.offset)
        reached("tail.cut")

    def _untold(self) -> list[records.TailCut]:
        """Kept tails that the journal does not tell of yet, the newest one among them.

        A process may have died between cutting a tail and telling of it.
        """
        told = {cut.kept_as for cut in self.ledger.tails}
        cuts = []
        for kept in listed(self._quarantine, "*.tail"):
            name = str(kept.relative_to(self.folder.parent))
            ours = _KEPT.fullmatch(kept.name)
            if ours and name not in told:
                segment, offset = ours.groups()
                data = contents(kept)
                cuts.append(
                    records.TailCut(
                        time=time.time(),
                        segment=int(segment),
                        offset=int(offset),
                        size=len(data),
                        sha256=hashlib.sha256(data).hexdigest(),
                        kept_as=name,
                    )
                )
        return cuts

    @property
    def _quarantine(self) -> Path:
        return self.folder.parent / "quarantine"


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Say what a disk that fails within the block means for the journal."""
    try:
        yield
    except OSError as error:
        raise _io_error(f"{path}: {error.strerror}", error) from error


def _io_error(where: str, error: OSError) -> StorageError:
    return disk_errors.failed(f"the journal could not be written: {where}", error)
