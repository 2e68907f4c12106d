"""An audit: one pass in which every fact is held to those that it follows from.

It needs no model.  What it shows is that the journal is of one piece: who rewrites it
all, by the rules, is found out by a head of its chain that was noted elsewhere.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onlinedpo.journal import frames
from onlinedpo.journal.audit.checkpoints import Checkpoints
from onlinedpo.journal.audit.files import KeptFiles
from onlinedpo.journal.field_types import IMPOSSIBLE, impossible
from onlinedpo.journal.reader import (
    Place,
    Position,
    Reader,
    Tail,
    header_of,
    path_of,
    segments,
)
from onlinedpo.states.errors import (
    AuditFailed,
    ImpossibleValue,
    JournalError,
    UsageError,
)
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import Record
from onlinedpo.states.rederive.mismatch import Mismatch
from onlinedpo.states.rederive.rederivation import Observer, Rederivation

DIGITS = 16
"""Hexadecimal digits of a head that are enough to know it again."""

_HINT = (
    "The journal was changed, or another program or version wrote it. The run is left"
    " as it is."
)


@dataclass(frozen=True, slots=True)
class Audited:
    """What an audit went through, and what it could not check."""

    ledger: Ledger
    position: Position
    tail: Tail | None
    kinds: Counter[type[Record]]
    """How many facts there are of each kind."""
    checked: Counter[str]
    """How many were read again, and how many could not be: see `states.rederive`."""
    checkpoints: Checkpoints
    seconds: float
    """What the reading took, without the checkpoints."""
    expected: int | None
    """The frame after which the expected head stood; None where none was expected."""

    @property
    def head(self) -> str:
        """The head of the chain: whoever notes it elsewhere can prove the journal."""
        return self.position.chain.hex()


@dataclass(slots=True)
class _Head:
    """A head that was noted elsewhere, and the frame after which it stands."""

    digits: str
    found: int | None = None

    def look(self, chain: bytes, number: int) -> None:
        if self.digits and chain.hex().startswith(self.digits):
            self.found = number


def audit(
    run: Path, *, expected: str = "", observers: Sequence[Observer] = ()
) -> Audited:
    """Go through the run in a folder, also while it works, and change nothing.

    `expected` is a head, or the first digits of one, that the chain must have had.
    Raises `AuditFailed` at the first fact that does not follow, naming its frame and
    field, other `JournalError`s where bytes are wrong, and `UsageError`.
    """
    began, head = time.perf_counter(), _Head(_digits(expected))
    checkpoints = Checkpoints.of(run)
    folder = run / "journal"
    reader = Reader(folder, checkpoints.anchors)
    try:
        noting = [checkpoints.observe] if checkpoints.sound else []
        rederived = _go_through(run, reader, head, [*noting, *observers])
    except Mismatch as mismatch:
        raise _failed(mismatch) from None
    except ImpossibleValue as error:
        raise _undecoded(reader, error) from error
    if rederived is None or reader.position is None:
        raise UsageError(
            f"{run} has not begun: there is no frame in its journal yet",
            hint=f"Start it with: onlinedpo run {run}",
        )
    seconds = time.perf_counter() - began
    checkpoints.check(rederived.ledger, run / "adapters")
    _must_have(head, folder)
    return Audited(
        rederived.ledger,
        reader.position,
        reader.tail,
        rederived.kinds,
        rederived.checked,
        checkpoints,
        seconds,
        head.found,
    )


def _go_through(
    run: Path, reader: Reader, head: _Head, observers: Sequence[Observer]
) -> Rederivation | None:
    """Take all frames in; None where there is none."""
    folder, last = reader.folder, 0
    rederived: Rederivation | None = None
    try:
        for place, batch in reader.batches():
            if rederived is None:
                rederived = _begun(run, reader, observers)
            last = place.number
            try:
                rederived.take(last, place, batch)
            except JournalError:
                with place.named():
                    raise
            except IMPOSSIBLE as error:
                raise _unfit(place, error) from error
            head.look(place.chain, last)
        if rederived:
            rederived.finish()
    except (Mismatch, JournalError):
        if rederived:
            # What was put off stands before this.
            rederived.look_back(_frames(folder, last))
        raise
    if rederived:
        rederived.look_back(_frames(folder, last))
    return rederived


def _begun(run: Path, reader: Reader, observers: Sequence[Observer]) -> Rederivation:
    assert reader.position is not None
    return Rederivation(
        reader.position.run.hex(),
        KeptFiles(run / "labels"),
        lambda number: _records(reader.folder, number),
        observers,
    )


def _records(folder: Path, number: int) -> Iterator[Record]:
    """The records of all frames before one."""
    for _, batch in _frames(folder, number - 1):
        yield from batch


def _frames(folder: Path, last: int) -> Iterator[tuple[int, list[Record]]]:
    """The frames up to one, by number: a run at work may have gone on since."""
    for place, batch in Reader(folder).batches():
        if place.number > last:
            return
        yield place.number, batch


def _unfit(place: Place, error: Exception) -> AuditFailed:
    message = f"{place}: {impossible(error)}"
    return AuditFailed(message, hint=_HINT, facts=_where(place))


def _undecoded(reader: Reader, error: ImpossibleValue) -> AuditFailed:
    """The same, where already the frame after the last one could not be decoded."""
    at = reader.position
    assert at is not None
    file = str(path_of(reader.folder, at.segment))
    facts = {"file": file, "byte": at.length, "frame": at.number + 1}
    return AuditFailed(str(error), hint=_HINT, facts=facts)


def _where(place: Place) -> dict[str, Any]:
    return {"file": str(place.path), "byte": place.offset, "frame": place.number}


def _failed(mismatch: Mismatch) -> AuditFailed:
    place = mismatch.where
    assert isinstance(place, Place)
    facts = mismatch.facts() | _where(place)
    return AuditFailed(f"{place}: {mismatch}", hint=_HINT, facts=facts)


def _digits(expected: str) -> str:
    """The digits of a head; raises `UsageError` where they are too few or none."""
    digits = expected.strip().casefold()
    known = set(digits) <= set("0123456789abcdef")
    if digits and not (known and DIGITS <= len(digits) <= 2 * frames.CHAIN):
        raise UsageError(
            f"'{expected}' is no head of a journal",
            hint=f"Give at least {DIGITS} of the {2 * frames.CHAIN} hexadecimal digits"
            " that 'onlinedpo status' or an audit printed.",
        )
    return digits


def _must_have(head: _Head, folder: Path) -> None:
    """Raise `AuditFailed` unless the expected head stands at some place."""
    if not head.digits:
        return
    for path in segments(folder):
        # After the last process began, and before it wrote, the head was a segment's.
        segment = header_of(path)
        head.look(segment.head, segment.first - 1)
    if head.found is None:
        raise AuditFailed(
            f"{folder}: at no frame is the head of the chain {head.digits}: this is"
            " another journal than the one whose head was noted, or one that was"
            " rewritten",
            hint="Compare it with a copy made after the head was noted.",
        )
