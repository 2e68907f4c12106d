"""Journals for tests, written by the writer itself, and ways of looking at them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from onlinedpo.journal import frames
from onlinedpo.journal.reader import Reader, Tail
from onlinedpo.journal.writer import Journal
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.lifecycle import by_table
from onlinedpo.states.records import Record
from tests.states import facts

RUN = bytes(range(16))
OTHER_RUN = bytes(range(1, 17))

Batches = list[list[Record]]


def part(ticket: int, step: int, drops: int) -> Batches:
    """One prompt that is trained on, and then some that are dropped at once."""
    last = ticket + 1 + drops
    ended: Batches = [[facts.dropped(t)] for t in range(ticket + 1, last)]
    return [*facts.life(ticket, step), *ended]


def write(folder: Path, parts: Iterable[Batches], run: bytes = RUN) -> None:
    """A journal with a segment for each part, one frame for each batch."""
    for number, batches in enumerate(parts):
        with (
            Journal.open(folder, {}, by_table)
            if number
            else Journal.create(folder, run, by_table)
        ) as journal:
            for batch in batches:
                journal.append(batch)


def two_segments(folder: Path, drops: int = 16, run: bytes = RUN) -> Batches:
    """A journal of two segments and 2 x (5 + drops) frames; returns its records."""
    parts: list[Batches] = [
        [[facts.run_opened(), facts.process_started()], *part(0, 1, drops)],
        [[facts.process_started(iters=7)], *part(drops + 1, 2, drops)],
    ]
    write(folder, parts, run)
    return list(chain(*parts))


def reopened(folder: Path) -> Journal:
    """A journal, taken up by its writer."""
    return Journal.open(folder, {}, by_table)


def standing(ledger: Ledger) -> dict[str, Any]:
    """All that a ledger holds."""
    return {name: value for name, value in vars(ledger).items() if name[0] != "_"}


def recorded(folder: Path) -> list[Record]:
    """All records of a journal."""
    return list(Reader(folder).records())


def tail_of(folder: Path) -> Tail | None:
    """What the reader finds at the end that is no whole frame."""
    reader = Reader(folder)
    reader.fold()
    return reader.tail


@dataclass(frozen=True)
class Spans:
    """The bytes of a segment: its header, and each of its frames."""

    header: bytes
    frames: list[bytes]


def spans(path: Path) -> Spans:
    """A whole segment, taken apart."""
    data = path.read_bytes()
    found = []
    for frame in frames.scan(data, frames.decode_segment(data)):
        assert isinstance(frame, frames.Frame)
        found.append(data[frame.offset : frame.end])
    return Spans(data[: frames.SEGMENT_SIZE], found)


def files(folder: Path) -> dict[str, bytes]:
    """Every segment's bytes."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.odj"))}


def contents(folder: Path) -> dict[str, bytes]:
    """Every file's bytes, of whatever kind and however deep it lies."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def put(folder: Path, segments: Mapping[str, bytes]) -> None:
    """Let the folder hold these segments and nothing else of a journal."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, data in segments.items():
        (folder / name).write_bytes(data)
