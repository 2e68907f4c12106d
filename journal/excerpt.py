"""A journal as it was read once: its records up to a place, also while it grows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from onlinedpo.journal.reader import Reader
from onlinedpo.states.errors import JournalDamaged
from onlinedpo.states.records import Record


def up_to(folder: Path, frame: int, chain: bytes) -> Iterator[Record]:
    """The records of a journal up to a frame, after which its chain is `chain`.

    Raises `JournalError`; `JournalDamaged` also where that frame is not there.
    """
    for place, batch in Reader(folder).batches():
        yield from batch
        if place.number == frame:
            if place.chain == chain:
                return
            break
    raise altered(folder, frame)


def altered(folder: Path, frame: int) -> JournalDamaged:
    """What is to be said of a journal that was read up to this frame before."""
    return JournalDamaged(
        f"{folder}: this is not the journal as it was read before: frame {frame} is"
        " another one, or is missing",
        hint="Put the journal back from a copy, or read it again into a new folder.",
    )
