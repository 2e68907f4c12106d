"""The ledger as it stood where a segment begins: a cache, so that status is quick.

It vouches for nothing: it is used only where the segment that follows it continues the
very chain that it names, and everything is read from the start where it is not.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path

from onlinedpo.journal import atomic, codec, frames
from onlinedpo.journal.reader import Position, Reader, path_of
from onlinedpo.states.errors import JournalError
from onlinedpo.states.ledger import Ledger

NAME = "snapshot"
WORTH = 2 << 20
"""Bytes of journal below which reading them again is quick enough."""

_DIGEST = 32


def write(folder: Path, ledger: Ledger, position: Position) -> int:
    """Keep the ledger as it stands at `position`; returns how many bytes that took.

    A disk that does not take it is no matter.
    """
    values = {name: value for name, value in vars(ledger).items() if name[0] != "_"}
    place = [position.run, position.segment, position.number, position.chain]
    body = codec.encode_state(
        {"layout": _layout(), "length": position.length, "place": place, "is": values}
    )
    with contextlib.suppress(OSError):
        atomic.replace(folder / NAME, _digest(body) + body, durable=False)
    return len(body)


def read(folder: Path) -> tuple[Ledger, Position] | None:
    """The ledger that was kept and where; None where there is none of use."""
    try:
        data = (folder / NAME).read_bytes()
        if _digest(data[_DIGEST:]) != data[:_DIGEST]:
            return None
        kept = codec.decode_state(data[_DIGEST:])
        if kept["layout"] != _layout():
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    run, segment, number, chain = kept["place"]
    ledger = Ledger()
    for name, value in kept["is"].items():
        setattr(ledger, name, value)
    return ledger, Position(run, segment, kept["length"], number, chain)


def fold(folder: Path) -> Ledger:
    """The state that a journal adds up to: see `stand`."""
    return stand(folder)[0]


def stand(folder: Path) -> tuple[Ledger, Position | None]:
    """The state that a journal adds up to, by way of what was kept of it, and its end.

    What came before that is not looked at: damage there is not seen.  Raises
    `JournalError`.
    """
    kept = read(folder)
    if kept is None or not _continues(folder, kept[1]):
        reader = Reader(folder)
        return reader.fold(), reader.position
    ledger, position = kept
    reader = Reader(folder, since=position)
    return reader.fold(ledger), reader.position


def _continues(folder: Path, position: Position) -> bool:
    """Whether the segment after a place goes on from the chain that stands there."""
    try:
        with path_of(folder, position.segment + 1).open("rb") as file:
            header = file.read(frames.SEGMENT_SIZE)
        return frames.decode_segment(header) == position.next_segment()
    except (OSError, JournalError):
        return False


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_DIGEST).digest()


@cache
def _layout() -> str:
    """What the ledger consists of: one that another version kept is not used."""
    shapes = [
        (kind.__name__, [f.name for f in fields(kind)] if is_dataclass(kind) else [])
        for kind in codec.STATE_TYPES
    ]
    layout = repr((codec.VERSION, shapes, sorted(vars(Ledger()))))
    return hashlib.sha256(layout.encode()).hexdigest()
