"""What lies in a folder that people save to, once it has stopped changing.

Names, times and sizes are only a cheap first look: what counts is the content.  Editors
replace, truncate, rename and leave files of their own behind; whatever is seen, only a
file that is the same on two looks is read.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from onlinedpo.journal import plain_files
from onlinedpo.journal.disk_errors import SCARCE
from onlinedpo.states.answers import version

SETTLE = 0.5
"""Seconds that a file must stay the same before it is read."""

REREAD = 60.0
"""Seconds after which all is read again, since some drives keep times that lie."""

RESTLESS = 60.0
"""Seconds of change after which it is said that a file never stops changing."""

_NOT_THEIRS = re.compile(
    r"\..*|.*~|~\$.*|#.*#|.*\.sw[a-z]|4913|.*\.(tmp|part|crdownload|bak|error|receipt)",
    re.S,
)
"""What editors, downloads and we ourselves leave beside: never a person's answer.

Copies that a sync program makes of a conflict are not here: they are somebody's edit.
"""

LOT = 64 << 20
"""Bytes that one look reads at most; the other files are read by the next one."""

_Stat = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Saved:
    """A version that somebody saved.  `problem` says why it could not be read whole."""

    path: Path
    raw: bytes
    owner: int
    time: float
    problem: str = ""


@dataclass(slots=True)
class _Entry:
    stat: _Stat
    since: float
    first: float
    read: bool = False
    digest: bytes = b""


class Looks:
    """Repeated looks at one folder."""

    def __init__(self, folder: Path, *, limit: int, settle: float = SETTLE) -> None:
        """Nothing seen yet; files of more than `limit` bytes are not read."""
        self.folder = folder
        self.unsettled = 0
        self.restless: list[Path] = []
        self.strange: list[Path] = []
        """What bears the name of a person's file and is a link, a folder or a pipe."""
        self._limit = limit
        self._settle = settle
        self._seen: dict[str, _Entry] = {}
        self._reread_at = 0.0

    def look(self, now: float) -> Iterator[Saved]:
        """Every version that has settled and was not seen before.

        `now` is any clock that does not go back.  `unsettled` then counts the files
        that are still changing, `restless` names those that have for a minute.
        """
        again, began = now >= self._reread_at, time.perf_counter()
        names: set[str] = set()
        self.unsettled, self.restless, self.strange = 0, [], []
        size = 0
        for name, found in _files(self.folder):
            if found is None:
                self.strange.append(self.folder / name)
                continue
            names.add(name)
            entry = self._seen.get(name)
            if entry is None or entry.stat != found:
                first = entry.first if entry and not entry.read else now
                digest = entry.digest if entry else b""
                entry = self._seen[name] = _Entry(found, now, first, digest=digest)
            if entry.read and not again:
                continue
            if now - entry.since < self._settle:
                self.unsettled += 1
                if now - entry.first > RESTLESS:
                    self.restless.append(self.folder / name)
                continue
            if size >= LOT:
                self.unsettled += 1
            elif (saved := self._read(name, entry)) is not None:
                size += len(saved.raw)
                yield saved
        for name in self._seen.keys() - names:
            del self._seen[name]
        if again:
            # However many files there are, reading them takes a small part of the time.
            cost = time.perf_counter() - began
            self._reread_at = now + max(REREAD, 300 * cost)

    def not_read(self) -> Iterator[tuple[Path, str]]:
        """What lies there and is left unread, and why."""
        for path in self.restless:
            yield path, "has been changing for a minute: not read yet"
        for path in self.strange:
            yield path, "is a link, a folder or a pipe: put the file itself there"

    def moved(self, name: str, to: Looks, new: str) -> None:
        """A file was moved by us: what bears its new name has been seen."""
        if entry := self._seen.pop(name, None):
            to._seen[new] = entry

    def forget(self, name: str) -> None:
        """Read a file anew, as if it had not been seen."""
        self._seen.pop(name, None)

    def _read(self, name: str, entry: _Entry) -> Saved | None:
        path = self.folder / name
        try:
            # A link or a pipe that took the file's place since the look is not read.
            with plain_files.open_plain(path) as file:
                before = os.fstat(file.fileno())
                raw = file.read(self._limit + 1)
                after = os.fstat(file.fileno())
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in SCARCE:
                # That says nothing of this file: the folder is looked at again.
                raise
            entry.read = True
            why = f"it cannot be read: {error.strerror}"
            return Saved(path, b"", -1, 0.0, why)
        if not _same(before, after) or _key(after) != entry.stat:
            # It changed while it was read: the next look sees that.
            self.unsettled += 1
            return None
        entry.read = True
        if entry.digest == (digest := version(raw)):
            return None
        entry.digest = digest
        problem = ""
        if len(raw) > self._limit:
            raw, problem = b"", f"it is larger than {self._limit >> 20} MB"
        return Saved(path, raw, after.st_uid, after.st_mtime, problem)


def _files(folder: Path) -> Iterator[tuple[str, _Stat | None]]:
    """What may be a person's in a folder, in the order of names; None: is no file."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    for entry in entries:
        if _NOT_THEIRS.fullmatch(entry.name):
            continue
        try:
            found = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        # A link could lead out of the folder; a pipe would never end.
        yield entry.name, _key(found) if stat.S_ISREG(found.st_mode) else None


def _key(found: os.stat_result) -> _Stat:
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return _key(one) == _key(other)
