"""Editors and sync programs, as sequences of calls on files that others can divide.

Each profile is a generator: between two of its steps anything may happen.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from tests.people.faults import REAL, Clock


class Hands:
    """What people do to files; knows which bytes they have saved and not given up."""

    def __init__(self, clock: Clock) -> None:
        """Nothing is saved yet."""
        self.saves = 0
        self.precious: dict[int, bytes] = {}
        """By inode: what was saved last in each file, whatever its name is now."""
        self.renamed: set[int] = set()
        """Inodes that got another name since somebody cleared this."""
        self._clock = clock
        self._given_up: set[int] = set()
        self._shared: dict[int, list[int]] = {}

    def begin(self, path: Path) -> int:
        """Open a file for writing: what it held is given up."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        inode = os.fstat(fd).st_ino
        self.precious.pop(inode, None)
        self._given_up.discard(inode)
        self._shared.setdefault(inode, []).append(fd)
        os.utime(fd, ns=(0, self._clock.stamp()))
        return fd

    def put(self, fd: int, raw: bytes) -> None:
        """Write a part."""
        REAL["write"](fd, raw)
        os.utime(fd, ns=(0, self._clock.stamp()))

    def end(self, fd: int, raw: bytes) -> None:
        """All has been written: from now on it is somebody's save."""
        inode = os.fstat(fd).st_ino
        if self._shared.get(inode, [fd]) != [fd]:
            # Another editor writes between the lines: what comes of it is theirs.
            raw = os.pread(fd, 1 << 16, 0)
        if inode not in self._given_up:
            self.precious[inode] = raw
        self.saves += 1
        os.close(fd)

    def write(self, path: Path, raw: bytes, *, saved: bool = True) -> None:
        """Open, write and close; what is not `saved` is an editor's own."""
        fd = self.begin(path)
        self.put(fd, raw)
        if saved:
            self.end(fd, raw)
        else:
            os.close(fd)

    def keep_times(self, path: Path, raw: bytes) -> None:
        """Write as many bytes in place, on a drive that does not tell."""
        before = path.stat()
        fd = os.open(path, os.O_RDWR)
        REAL["write"](fd, raw)
        os.utime(fd, ns=(0, before.st_mtime_ns))
        self.end(fd, raw)

    def touch(self, path: Path, earlier: float = 0.0) -> None:
        """Give a file another time."""
        stamp = self._clock.stamp() - int(earlier * 1e9)
        with suppress(FileNotFoundError):
            os.utime(path, ns=(0, stamp))

    def rename(self, source: Path, target: Path) -> None:
        """Rename; what bore the other name is given up."""
        if not source.exists():
            return
        if target.exists():
            self._give_up(target)
        self.renamed.add(source.stat().st_ino)
        REAL["rename"](source, target)

    def remove(self, path: Path) -> None:
        """Delete; what it held is given up."""
        with suppress(FileNotFoundError):
            self._give_up(path)
            REAL["unlink"](path)

    def _give_up(self, path: Path) -> None:
        inode = path.lstat().st_ino
        self.precious.pop(inode, None)
        # Another editor may have it open still: what that writes is nowhere, then.
        self._given_up.add(inode)


Editor = Callable[[Hands, Path, bytes], Iterator[None]]


def vim(hands: Hands, path: Path, raw: bytes) -> Iterator[None]:
    """Renames the old file to a backup and writes a new one."""
    swap, probe = path.with_name(f".{path.name}.swp"), path.with_name("4913")
    backup = path.with_name(f"{path.name}~")
    hands.write(swap, b"b0VIM", saved=False)
    yield
    hands.write(probe, b"", saved=False)
    hands.remove(probe)
    hands.rename(path, backup)
    yield
    fd = hands.begin(path)
    yield
    hands.put(fd, raw)
    hands.end(fd, raw)
    yield
    hands.remove(backup)
    hands.remove(swap)


def vs_code(hands: Hands, path: Path, raw: bytes) -> Iterator[None]:
    """Empties the file and writes it again, in place."""
    fd = hands.begin(path)
    yield
    hands.put(fd, raw)
    hands.end(fd, raw)


def nano(hands: Hands, path: Path, raw: bytes) -> Iterator[None]:
    """The same in two parts."""
    fd = hands.begin(path)
    hands.put(fd, raw[: len(raw) // 2])
    yield
    hands.put(fd, raw[len(raw) // 2 :])
    hands.end(fd, raw)


def emacs(hands: Hands, path: Path, raw: bytes) -> Iterator[None]:
    """Locks by a dangling link, saves on its own, and keeps a backup."""
    lock, auto = path.with_name(f".#{path.name}"), path.with_name(f"#{path.name}#")
    if not lock.is_symlink():
        lock.symlink_to("anna@host.4711:1")
    hands.write(auto, raw[:-3], saved=False)
    yield
    hands.rename(path, path.with_name(f"{path.name}~"))
    yield
    hands.write(path, raw)
    yield
    hands.remove(lock)
    hands.remove(auto)


def sed(hands: Hands, path: Path, raw: bytes) -> Iterator[None]:
    """Writes a file of a strange name and renames it."""
    temporary = path.with_name(f"sed{path.stem[-6:]}")
    hands.write(temporary, raw)
    yield
    hands.rename(temporary, path)


def gedit(hands: Hands, path: Path, raw: bytes) -> Iterator[None]:
    """The same with a hidden file."""
    temporary = path.with_name(f".goutputstream-{path.stem}")
    hands.write(temporary, raw)
    yield
    hands.rename(temporary, path)


def text_edit(hands: Hands, path: Path, raw: bytes) -> Iterator[None]:
    """Saves beside, deletes, and renames."""
    temporary = path.with_name(f".{path.name}.sb-1a2b3c4d-Xyz")
    hands.write(temporary, raw)
    yield
    hands.remove(path)
    yield
    hands.rename(temporary, path)


def syncthing(hands: Hands, path: Path, raw: bytes) -> Iterator[None]:
    """Brings a file from elsewhere, with the time at which it was saved there."""
    temporary = path.with_name(f".syncthing.{path.name}.tmp")
    hands.write(temporary, raw)
    yield
    hands.touch(temporary, earlier=3.0)
    hands.rename(temporary, path)


def conflict(hands: Hands, path: Path, raw: bytes) -> Iterator[None]:
    """Syncthing puts beside it what was saved elsewhere at the same time."""
    copy = f"{path.stem}.sync-conflict-20260101-120000-ABCDEFG{path.suffix}"
    return syncthing(hands, path.with_name(copy), raw)


def dropbox(hands: Hands, path: Path, raw: bytes) -> Iterator[None]:
    """So does Dropbox, with another name."""
    copy = f"{path.stem} (Ben's conflicted copy 2026-01-01){path.suffix}"
    return vs_code(hands, path.with_name(copy), raw)


def slow_cat(hands: Hands, path: Path, raw: bytes) -> Iterator[None]:
    """Lines come one part after the other into an open file."""
    fd = hands.begin(path)
    third = len(raw) // 3
    for start in (0, third, 2 * third):
        hands.put(fd, raw[start : start + third] if start < 2 * third else raw[start:])
        yield
    hands.end(fd, raw)


def delete(hands: Hands, path: Path, raw: bytes) -> Iterator[None]:
    """Somebody tidies up."""
    hands.remove(path)
    yield


def touch(hands: Hands, path: Path, raw: bytes) -> Iterator[None]:
    """A file gets another time, and nothing else."""
    hands.touch(path)
    yield


EDITORS: tuple[Editor, ...] = (
    vim,
    vs_code,
    nano,
    emacs,
    sed,
    gedit,
    text_edit,
    syncthing,
    conflict,
    dropbox,
    slow_cat,
    delete,
    touch,
)
