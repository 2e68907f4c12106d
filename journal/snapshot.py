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
from typing import Any

from onlinedpo.journal import atomic, codec
from onlinedpo.journal.field_types import IMPOSSIBLE
from onlinedpo.journal.plain_files import contents
from onlinedpo.journal.reader import Position, Reader, header_of, path_of
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
    values = _values(ledger)
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
        data = contents(folder / NAME)
        if _digest(data[_DIGEST:]) != data[:_DIGEST]:
            return None
        kept = codec.decode_state(data[_DIGEST:])
        if kept["layout"] != _layout():
            return None
        return _ledger(kept["is"]), _position(kept)
    except (OSError, JournalError, RecursionError, *IMPOSSIBLE):
        return None


def _values(ledger: Ledger) -> dict[str, Any]:
    """All that a ledger holds, by name."""
    return {name: value for name, value in vars(ledger).items() if name[0] != "_"}


def _ledger(values: dict[str, Any]) -> Ledger:
    """The ledger with what was kept of it; raises TypeError where that is none."""
    ledger = Ledger()
    empty = _values(ledger)
    if values.keys() != empty.keys():
        raise TypeError("it holds other things than a ledger")
    for name, value in values.items():
        # A fact that has not come yet is None.
        fits = type(value) is type(empty[name])
        if not fits and (empty[name] is not None or type(value) not in _FACTS):
            raise TypeError(f"its {name} is {type(value).__name__}")
        setattr(ledger, name, value)
    return ledger


_FACTS = frozenset(codec.KINDS.values())


def _position(kept: dict[str, Any]) -> Position:
    """The place in the journal at which it was kept; raises TypeError."""
    run, segment, number, chain = kept["place"]
    place = Position(run, segment, kept["length"], number, chain)
    if [type(value) for value in (segment, place.length, number)] != [int] * 3:
        raise TypeError("its place is none")
    return place


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
        following = header_of(path_of(folder, position.segment + 1))
        return following == position.next_segment()
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
