"""A copy of a run that is made while the run goes on."""

from __future__ import annotations

import os
import random
from pathlib import Path

Disk = dict[str, bytes | None]
"""A run's folder at one instant: its files by name, and folders, which hold None."""


def as_it_stands(folder: Path) -> Disk:
    """What a folder holds."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


class Copying:
    """A copy in the making: files are read one after the other, and the run goes on.

    As `cp -r` does it: a folder is listed, then each of its files is read, unless it is
    gone by then.  What is there already is written over.
    """

    def __init__(self, moments: list[Disk], to: Path, chance: random.Random) -> None:
        self._moments, self._to, self._chance = moments, to, chance
        self._now = chance.randrange(len(moments))
        self._pace = chance.choice((0, 3, 30, 120))

    def copy(self, inside: str = "") -> None:
        """Copy a folder and all that is in it."""
        (self._to / inside).mkdir(parents=True, exist_ok=True)
        names = [name for name in self._disk() if os.path.dirname(name) == inside]
        self._chance.shuffle(names)
        for name in names:
            self._go_on()
            disk = self._disk()
            if name not in disk:
                continue
            data = disk[name]
            if data is None:
                self.copy(name)
            else:
                (self._to / name).write_bytes(data)

    def _disk(self) -> Disk:
        return self._moments[self._now]

    def _go_on(self) -> None:
        """Let the run make some changes; none once it has ended."""
        passed = int(self._chance.expovariate(1 / self._pace)) if self._pace else 0
        self._now = min(self._now + passed, len(self._moments) - 1)


def interrupted(copy: Path, chance: random.Random) -> None:
    """Cut a file short, as a copy that was broken off leaves it."""
    files = [path for path in sorted(copy.rglob("*")) if path.is_file()]
    if files:
        path = chance.choice(files)
        os.truncate(path, chance.randrange(path.stat().st_size + 1))
