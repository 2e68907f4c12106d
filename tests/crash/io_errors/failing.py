"""Calls that fail: the n-th that changes a run's files, or the n-th that reads them."""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.crash.calls import Call, failing

CHANGES = {
    "EIO": errno.EIO,
    "ENOSPC": errno.ENOSPC,
    "EDQUOT": errno.EDQUOT,
    "EINTR": errno.EINTR,
}
READS = {
    "EIO": errno.EIO,
    "EACCES": errno.EACCES,
    "EMFILE": errno.EMFILE,
    "ENFILE": errno.ENFILE,
}
SHORT = "short"
"""A write takes only half of its bytes; with "for good" all later ones fail."""
CTRL_C = "Ctrl-C"

NEVER = 10**9
EACH = range(1, NEVER)
"""Which call fails, one after the other; a slice takes some of them."""

_NAMED = ("create", "open", "mkdir", "rmdir", "unlink", "rename", "link")
_ROOM = ("create", "write", "mkdir", "link", "sync")
"""Calls that a full disk can refuse; it lets us remove and rename."""


@dataclass
class Nth:
    """Lets the n-th call fail in a way, and `lasting` all those after it."""

    n: int
    how: str
    lasting: bool = False
    calls: list[tuple[Call, bool]] = field(default_factory=list)
    """What was tried, and whether it was let through."""
    counted: int = 0

    @property
    def fired(self) -> bool:
        """Whether so many calls were made."""
        return self.counted >= self.n

    @property
    def closing(self) -> bool:
        """Whether it concerns calls that close, too."""
        return self.how == "close"

    @property
    def codes(self) -> set[int]:
        """The exit codes with which a command may leave."""
        if self.how == CTRL_C:
            return {130}
        if self.how == SHORT and not self.lasting:
            return {0}
        # A labels folder that fails is waited for, until somebody leaves.
        waited = {130} if self.lasting else set()
        # No error of a disk: Python makes such a call again by itself.
        return {0, 11} | waited | ({1} if self.how == "EINTR" else set())

    def __str__(self) -> str:
        """As a failing test shows it: with the first call that failed."""
        what = next((str(call) for call, through in self.calls if not through), "")
        return f"{self.how}{' for good' * self.lasting} from call {self.n}: {what}"

    def __call__(self, call: Call) -> BaseException | int | None:
        """What becomes of a call."""
        outcome = self._outcome(call) if self._concerns(call) else None
        self.calls.append((call, not isinstance(outcome, BaseException)))
        return outcome

    def _concerns(self, call: Call) -> bool:
        if self.how == SHORT:
            return call.name == "write" and len(call.data) > 1
        return self.how not in ("ENOSPC", "EDQUOT") or call.name in _ROOM

    def _outcome(self, call: Call) -> BaseException | int | None:
        self.counted += 1
        if self.counted < self.n or (self.counted > self.n and not self.lasting):
            return None
        if self.how == CTRL_C:
            return KeyboardInterrupt()
        if self.how == SHORT and self.counted == self.n:
            return len(call.data) // 2
        number = CHANGES.get(self.how, errno.ENOSPC)
        return failing(number, call.path if call.name in _NAMED else None)

    def synced_again(self) -> list[Path]:
        """What was to be synced once more after a sync of it had failed."""
        failed: set[Path] = set()
        again = []
        for call, through in self.calls:
            if call.name == "sync":
                again += [call.path] if call.path in failed else []
                failed |= set() if through else {call.path}
        return again


class NthRead:
    """Lets the n-th look at a run's files fail, and `lasting` all those after it.

    That is to open a file, to list a folder, or to ask what bears a name; `reading`:
    the file is opened, but its bytes cannot be read.
    """

    codes = frozenset({0, 11, 130})
    """The exit codes with which a command may leave."""

    def __init__(
        self, below: Path, n: int, how: str, *, lasting: bool, reading: bool = False
    ) -> None:
        self.below, self.n, self.lasting = f"{below}{os.sep}", n, lasting
        self.how, self.number, self.reading = how, READS[how], reading
        self.counted = 0
        self.off = False
        """As long as somebody else reads."""
        self.where: list[str] = []
        """What failed."""
        self._open: dict[int, Any] = {}

    @property
    def fired(self) -> bool:
        """Whether so many looks were made."""
        return self.counted >= self.n

    def __str__(self) -> str:
        """As a failing test shows it."""
        return f"{self.how} at {self.where[:3]}"

    def fails(self, what: str, path: Any) -> bool:
        """Whether this look is one that fails."""
        if self.off or isinstance(path, int):
            return False
        name = os.path.abspath(os.fspath(path))
        if not f"{name}{os.sep}".startswith(self.below):
            return False
        # A descriptor is needed to open a file, not to see that it is there.
        scarce = self.number in (errno.EMFILE, errno.ENFILE)
        if (scarce and what == "stat") or (self.reading and what != "read"):
            return False
        self.counted += 1
        if self.counted < self.n or (self.counted > self.n and not self.lasting):
            return False
        self.where.append(f"{what} {name.removeprefix(self.below)}")
        return True

    @contextmanager
    def patched(self) -> Iterator[None]:
        """Within the block looks go through here."""
        with pytest.MonkeyPatch.context() as patch:
            for name, what in (
                ("open", "open"),
                ("scandir", "list"),
                ("listdir", "list"),
                ("stat", "stat"),
                ("lstat", "stat"),
            ):
                patch.setattr(os, name, self._asked(what, getattr(os, name)))
            opened = self._opened(io.open)
            patch.setattr(io, "open", opened)
            patch.setattr(builtins, "open", opened)
            yield

    def _asked(self, what: str, really: Callable[..., Any]) -> Callable[..., Any]:
        def asked(path: Any = ".", *args: Any, **named: Any) -> Any:
            if self.fails(what, path):
                raise failing(self.number, Path(os.fspath(path)))
            found = really(path, *args, **named)
            if what == "open":
                self._open[found] = path
            return found

        return asked

    def _opened(self, really: Callable[..., Any]) -> Callable[..., Any]:
        def opened(file: Any, mode: str = "r", *args: Any, **named: Any) -> Any:
            path = self._open.get(file) if isinstance(file, int) else file
            if "r" not in mode or path is None:
                return really(file, mode, *args, **named)
            if path is file and self.fails("open", path):
                raise failing(self.number, Path(path))
            if self.reading and Path(path).is_file() and self.fails("read", path):
                raw = io.BufferedReader(_Unreadable(file))
                return raw if "b" in mode else io.TextIOWrapper(raw)
            return really(file, mode, *args, **named)

        return opened


class _Unreadable(io.FileIO):
    """A file on a bad sector."""

    def readinto(self, buffer: Any) -> int:
        """Fail, as the system does: no file is named."""
        raise failing(errno.EIO)

    def readall(self) -> bytes:
        """The same."""
        raise failing(errno.EIO)
