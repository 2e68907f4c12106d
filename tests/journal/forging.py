"""Lies in a journal: its facts changed as one likes, and the whole chain made anew."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, TypeVar

from onlinedpo.journal import codec, frames
from onlinedpo.journal.reader import segments
from onlinedpo.states.records import Record

R = TypeVar("R", bound=Record)

Batch = list[Record]


class Forger:
    """The journal of a run, as it is to be."""

    def __init__(self, run: Path) -> None:
        """Read it as it is."""
        self.run = run
        self.segments: list[list[Batch]] = []
        for path in segments(run / "journal"):
            data = path.read_bytes()
            header = frames.decode_segment(data)
            found = list(frames.scan(data, header))
            assert all(isinstance(frame, frames.Frame) for frame in found)
            self.segments.append([codec.decode(f.payload) for f in found])  # type: ignore[union-attr]
            self._run = header.run

    @classmethod
    def of_a_copy(cls, run: Path, copy: Path) -> Self:
        """The same of a copy: the run itself stays as it is."""
        shutil.copytree(run, copy)
        return cls(copy)

    @property
    def frames(self) -> Iterator[tuple[int, Batch]]:
        """Every frame by its number."""
        every = (batch for segment in self.segments for batch in segment)
        return enumerate(every, start=1)

    def find(
        self, kind: type[R], nth: int = 0, which: Callable[[R], bool] = lambda _: True
    ) -> tuple[int, Batch, int]:
        """(frame number, frame, place in it) of a record of a kind; -1: the last."""
        found = [
            (number, batch, place)
            for number, batch in self.frames
            for place, record in enumerate(batch)
            if isinstance(record, kind) and which(record)
        ]
        return found[nth]

    def get(self, kind: type[R], nth: int = 0, **more: Any) -> R:
        """A record of a kind."""
        _, batch, place = self.find(kind, nth, **more)
        record = batch[place]
        assert isinstance(record, kind)
        return record

    def change(
        self,
        kind: type[R],
        nth: int = 0,
        which: Callable[[R], bool] = lambda _: True,
        **fields: Any,
    ) -> int:
        """Give a record other fields; the number of its frame.

        A value that is a function gets the old one.
        """
        number, batch, place = self.find(kind, nth, which)
        old = batch[place]
        new = {
            name: value(getattr(old, name)) if callable(value) else value
            for name, value in fields.items()
        }
        batch[place] = replace(old, **new)
        assert batch[place] != old, "nothing was changed"
        return number

    def insert(self, frame: int, *records: Record) -> int:
        """Put a frame of its own before the frame of a number; its own number."""
        for segment in self.segments:
            if frame <= len(segment):
                segment.insert(frame - 1, [*records])
                break
            frame -= len(segment)
        return frame

    def drop(self, frame: int) -> None:
        """Leave a frame out."""
        for segment in self.segments:
            if frame <= len(segment):
                del segment[frame - 1]
                return
            frame -= len(segment)

    def write(self, *, checkpoints: bool = False) -> Path:
        """Write it all with a chain that holds; without the checkpoints' anchors."""
        folder = self.run / "journal"
        for path in folder.iterdir():
            path.unlink()
        number, length, chain = 0, 0, bytes(frames.CHAIN)
        for place, batches in enumerate(self.segments, start=1):
            header = frames.Segment(self._run, place, number + 1, length, chain)
            data, chain = header.encode(), header.head
            for batch in batches:
                number += 1
                frame, chain = frames.encode_frame(
                    self._run, chain, number, codec.encode(batch)
                )
                data += frame
            length = len(data)
            (folder / f"{place:06d}.odj").write_bytes(data)
        if not checkpoints:
            shutil.rmtree(self.run / "checkpoints", ignore_errors=True)
        return self.run
