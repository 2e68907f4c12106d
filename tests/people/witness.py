"""A witness who sees the folder, remembers it, and says what must be in the journal."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from onlinedpo.journal.looks import REREAD, SETTLE
from onlinedpo.states.records import Kept, Vote

PARTS = ("todo", "done")
_LITTER = re.compile(r"\..*|.*~|#.*#|.*\.swp|4913|.*\.tmp|.*\.error")


@dataclass(frozen=True)
class Version:
    """What somebody saved in one place."""

    time: int
    place: str
    raw: bytes


@dataclass
class _Seen:
    stat: tuple[int, int, int]
    raw: bytes
    since: float
    patience: float


class Witness:
    """Compares two looks, byte by byte."""

    def __init__(
        self,
        folder: Path,
        is_answer: Callable[[bytes], object],
        offered: Mapping[str, bytes],
        renamed: set[int],
    ) -> None:
        """Nothing is seen yet."""
        self.journalled: set[bytes] = set()
        self._folders = [(part, os.path.join(folder, part)) for part in PARTS]
        self._is_answer = is_answer
        self._offered, self._renamed = offered, renamed
        self._seen: dict[str, _Seen] = {}
        self._said: dict[str, bytes] = {}
        self._todo: dict[int, str] = {}

    def new_process(self) -> None:
        """What was on its way to rest begins anew."""
        self._seen.clear()
        self.moves()

    def settled(self, now: float) -> list[Version]:
        """The versions that are at rest and that the journal has not, oldest first."""
        seen, found = self._seen, []
        self._seen, self._todo = {}, {}
        self._renamed.clear()
        for place, file in self._files():
            stat = file.stat()
            if place.startswith("todo/"):
                self._todo[stat.st_ino] = place
            if _LITTER.fullmatch(file.name):
                continue
            raw = _read(file.path)
            key = stat.st_ino, stat.st_size, stat.st_mtime_ns
            entry = seen.get(place)
            if entry is None or entry.stat != key:
                entry = _Seen(key, raw, now, SETTLE)
            elif entry.raw != raw:
                entry = _Seen(key, raw, now, REREAD)
            self._seen[place] = entry
            if now - entry.since >= entry.patience and self._is_new(place, raw):
                found.append(Version(stat.st_mtime_ns, place, raw))
        return sorted(found, key=lambda version: version.time)

    def may_be_read(self, fact: Vote | Kept) -> bool:
        """Whether this version lies there, on a drive that keeps wrong times."""
        entry = self._seen.get(fact.path)
        return entry is not None and entry.raw == fact.raw and entry.patience == REREAD

    def take(self, facts: Iterable[Vote | Kept]) -> None:
        """These are in the journal now."""
        for fact in facts:
            self.journalled.add(fact.raw)
            self._said[fact.path] = fact.raw
            if isinstance(fact, Vote):
                self._said[fact.kept_as] = fact.raw

    def moves(self, answered: Collection[str] = ()) -> None:
        """See which files were moved to done/: what comes in their place is new.

        So is what stands now in the places that were `answered`, if they all moved.
        """
        left, vacated = set(), {*answered}
        for place, file in self._files():
            if place.startswith("todo/"):
                left.add(place)
                continue
            came = self._todo.pop(file.inode(), "")
            vacated.add(came)
            if file.inode() not in self._renamed and came in self._said:
                self._said.setdefault(place, self._said[came])
        for place, said in [*self._said.items()]:
            gone = place in vacated or place not in left
            if gone and place.startswith("todo/") and self._is_answer(said):
                del self._said[place]

    def contents(self) -> set[bytes]:
        """All bytes that lie here, under whatever name."""
        return {_read(file.path) for _, file in self._files()}

    def _is_new(self, place: str, raw: bytes) -> bool:
        name = place.partition("/")[2]
        if self._said.get(place) == raw or self._offered.get(name) == raw:
            return False
        return bool(self._is_answer(raw)) or raw not in self.journalled

    def _files(self) -> Iterable[tuple[str, os.DirEntry[str]]]:
        for part, folder in self._folders:
            for file in os.scandir(folder):
                if file.is_file(follow_symlinks=False):
                    yield f"{part}/{file.name}", file


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.read(fd, 1 << 16)
    finally:
        os.close(fd)
