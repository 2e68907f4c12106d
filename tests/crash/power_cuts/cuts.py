"""The disks that a power cut may leave, at one moment: all that is worth trying."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.crash.calls import Calls
from tests.crash.power_cuts.promises import Told, told
from tests.crash.power_cuts.simulated import Change, Disk, Naming, Op, State, replayed

SECTOR = 512
LATEST = 16
"""Of so many of the newest changes, each is lost, and each is kept, alone."""


def states(disk: Disk, seeds: int, chance: random.Random) -> Iterator[State]:
    """Disks as the power may leave them now; some come more than once.

    All is written; nothing that was not synced; the changes up to each; all but each;
    each alone; the newest file grown and empty; and `seeds` at random.
    """
    ops = disk.unsynced
    yield disk.now()
    yield disk.left(Only(()))
    for latest in range(1, min(len(ops), LATEST) + 1):
        place = len(ops) - latest
        yield disk.left(Only(ops[:place]))
        yield disk.left(Only([*ops[:place], *ops[place + 1 :]]))
        yield disk.left(Only(ops[place : place + 1]))
    if any(isinstance(op, Change) for op in ops[-LATEST:]):
        yield disk.left(grown)
    for _ in range(seeds if ops else 0):
        yield disk.left(Luck(ops, chance))


class Only:
    """These changes are kept whole, and all others are lost."""

    def __init__(self, ops: Iterable[Op]) -> None:
        self._kept = {id(op) for op in ops}

    def __call__(self, op: Op, before: bytes) -> bool:
        """What becomes of a change."""
        return id(op) in self._kept


def grown(op: Op, before: bytes) -> bytes | bool:
    """Files have got their new lengths, and nothing in them."""
    if isinstance(op, Naming) or op.data is None:
        return True
    return before.ljust(op.offset + len(op.data), b"\0")


class Luck:
    """Each change is kept, lost or spoilt by lot; old ones may all have been kept."""

    def __init__(self, ops: list[Op], chance: random.Random) -> None:
        self._chance = chance
        # The system writes what is older than some seconds, whoever syncs.
        since = chance.choice((0, max(0, len(ops) - 8), chance.randrange(len(ops))))
        self._old = {id(op) for op in ops[:since]}
        self._share = chance.choice((0.2, 0.5, 0.9))

    def __call__(self, op: Op, before: bytes) -> bytes | bool:
        """What becomes of a change."""
        if id(op) in self._old:
            return True
        luck = self._chance.random()
        if isinstance(op, Naming):
            return luck < self._share
        if op.data is None or luck < 0.5:
            return self._chance.random() < self._share
        return self._torn(op, before, op.data)

    def _torn(self, op: Change, before: bytes, data: bytes) -> bytes:
        if self._chance.random() < 0.25:
            # A process that is killed amid a write leaves any number of bytes.
            part = data[: self._chance.randrange(len(data) + 1)]
            return Change(op.file, op.offset, part).on(before)
        end = op.offset + len(data)
        content = bytearray(before.ljust(end, b"\0"))
        at = op.offset
        while at < end:
            to = min(end, (at // SECTOR + 1) * SECTOR)
            what = self._chance.randrange(4)
            if what == 0:
                content[at:to] = self._chance.randbytes(to - at)
            elif what > 1:
                content[at:to] = data[at - op.offset : to - op.offset]
            at = to
        return bytes(content)


@dataclass(frozen=True, slots=True)
class Cut:
    """What a power cut may leave, and what it must."""

    place: int
    """How many calls had been made."""
    left: State
    told: Told


def every(
    root: Path, calls: Calls, before: Cut | None, seeds: int, since: int = 0
) -> list[Cut]:
    """The disks that a power cut may leave before these calls, and after each.

    Each comes once, with the most that was acknowledged when it could come about.
    `before` is what an earlier one left, and these calls then found.  The first calls,
    `since` which is looked, are those of a process that was killed.
    """
    left, known = (before.left, before.told) if before else ({}, Told())
    found: dict[int, Cut] = {}
    disks = replayed(root, calls.made, left)
    for place, (disk, said) in enumerate(zip(disks, told(calls, known), strict=True)):
        if place >= since:
            for state in states(disk, seeds, random.Random(place)):
                found[hash(frozenset(state.items()))] = Cut(place, state, said)
    return [*found.values()]
