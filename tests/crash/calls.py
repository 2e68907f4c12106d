"""The calls that `journal/disk.py` makes of the system: kept, or made to fail.

The real calls are made on real files.  What stands in between sees the order of writes,
syncs and names, which is what a power cut goes by.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.journal import disk

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Call:
    """One call that changes the disk, or syncs it; paths are absolute.

    `data` was written at byte `offset`; of a cut, `offset` is the new length.
    """

    name: str
    path: Path
    to: Path | None = None
    data: bytes = b""
    offset: int = 0

    def __str__(self) -> str:
        """As a failing test shows it."""
        to = f" -> {self.to.name}" if self.to else ""
        size = f" {len(self.data)} bytes at {self.offset}" if self.data else ""
        return f"{self.name} {self.path.name}{to}{size}"


Fault = Callable[[Call], BaseException | int | None]
"""Asked before each call: an error to raise instead, of a write also how many bytes it
takes, or None where the call is to be made as it is."""


class Calls:
    """Stands in for the module `os` in `journal/disk.py`; all else is the real one."""

    def __init__(self, fault: Fault | None = None, *, closing: bool = False) -> None:
        """Keep every call; with `fault` some of them fail, `closing` also those that
        close: a descriptor is gone then all the same."""
        self.made: list[Call] = []
        """The calls that were carried out, in order."""
        self.marks: list[tuple[int, object]] = []
        """What a test noted, and how many calls had been made then."""
        self._fault = fault or (lambda call: None)
        self._closing = closing
        self._open: dict[int, Path] = {}

    def __getattr__(self, name: str) -> Any:
        """What does not change the disk."""
        return getattr(os, name)

    def mark(self, what: object) -> None:
        """Note something, such as an acknowledgement, at this place among the calls."""
        self.marks.append((len(self.made), what))

    def open(self, path: PathLike, flags: int, mode: int = 0o777) -> int:
        """Opening creates a file, or changes nothing."""
        at = _absolute(path)
        creates = bool(flags & os.O_CREAT) and not os.path.lexists(at)
        if creates or flags & os.O_ACCMODE != os.O_RDONLY:
            call = Call("create" if creates else "open", at)
            self._may_fail(call)
            fd = os.open(path, flags, mode)
            if creates:
                self.made.append(call)
        else:
            fd = os.open(path, flags, mode)
        self._open[fd] = at
        return fd

    def close(self, fd: int) -> None:
        """Close a descriptor."""
        os.close(fd)
        path = self._open.pop(fd, None)
        if self._closing and path is not None:
            self._may_fail(Call("close", path))

    def write(self, fd: int, data: bytes | memoryview) -> int:
        """Write at the end, as this program always does."""
        return self._write(fd, bytes(data), os.fstat(fd).st_size, os.write)

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        """Write at a place."""
        return self._write(
            fd, data, offset, lambda to, part: os.pwrite(to, part, offset)
        )

    def _write(
        self, fd: int, data: bytes, offset: int, really: Callable[[int, bytes], int]
    ) -> int:
        call = Call("write", self._open[fd], data=data, offset=offset)
        taken = self._may_fail(call)
        part = data if taken is None else data[:taken]
        size = really(fd, part)
        self.made.append(Call("write", call.path, data=part[:size], offset=offset))
        return size

    def ftruncate(self, fd: int, length: int) -> None:
        """Cut a file."""
        self._make(
            Call("cut", self._open[fd], offset=length), lambda: os.ftruncate(fd, length)
        )

    def fsync(self, fd: int) -> None:
        """Sync a file or a folder."""
        self._make(Call("sync", self._open[fd]), lambda: os.fsync(fd))

    fdatasync = fsync

    def mkdir(self, path: PathLike, mode: int = 0o777) -> None:
        """Make a folder."""
        self._make(Call("mkdir", _absolute(path)), lambda: os.mkdir(path, mode))

    def rmdir(self, path: PathLike) -> None:
        """Remove an empty folder."""
        self._make(Call("rmdir", _absolute(path)), lambda: os.rmdir(path))

    def unlink(self, path: PathLike) -> None:
        """Remove a name."""
        self._make(Call("unlink", _absolute(path)), lambda: os.unlink(path))

    def rename(self, source: PathLike, target: PathLike) -> None:
        """Rename a file or a folder, over what bears the name."""
        call = Call("rename", _absolute(source), to=_absolute(target))
        self._make(call, lambda: os.rename(source, target))

    def link(self, source: PathLike, target: PathLike) -> None:
        """Give a file one more name."""
        call = Call("link", _absolute(source), to=_absolute(target))
        self._make(call, lambda: os.link(source, target))

    def _make(self, call: Call, really: Callable[[], None]) -> None:
        self._may_fail(call)
        really()
        self.made.append(call)

    def _may_fail(self, call: Call) -> int | None:
        fault = self._fault(call)
        if isinstance(fault, BaseException):
            raise fault
        return fault


@contextmanager
def watched(fault: Fault | None = None, *, closing: bool = False) -> Iterator[Calls]:
    """Within the block every file operation of the program goes through `Calls`."""
    calls = Calls(fault, closing=closing)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk, "os", calls)
        # As on Linux: a sync is a call of `os`.
        patch.delattr(fcntl, "F_FULLFSYNC", raising=False)
        yield calls


def failing(number: int, path: Path | None = None) -> OSError:
    """The error as the system raises it: that of a descriptor names no file."""
    names = [str(path)] if path else []
    return OSError(number, os.strerror(number), *names)


def _absolute(path: PathLike) -> Path:
    return Path(os.path.abspath(path))
