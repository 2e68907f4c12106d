"""One writer a run: a lock that goes with its process, however that ends.

The journal's folder is locked, so that a lock file which somebody removes or replaces
makes no second writer.  Some network drives lock no folders: there the file counts.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from contextlib import suppress
from pathlib import Path

from onlinedpo.journal import disk
from onlinedpo.journal.disk_errors import naming
from onlinedpo.journal.plain_files import must_be_plain, read
from onlinedpo.journal.present import NO_FILE
from onlinedpo.states.errors import RunLocked

_LENGTH = 96
"""Bytes that say who holds the lock: its process and machine."""


class Lock:
    """The right to write a run, held as long as the process lives."""

    def __init__(self, folder: Path) -> None:
        """Take the lock of a journal folder; raises `RunLocked`, and OSError."""
        self._folder = folder
        self._fds: list[int] = []
        try:
            # First the folder: who is refused there has changed nothing.
            whole = self._take(os.open(folder, os.O_RDONLY | os.O_CLOEXEC), whole=True)
            must_be_plain(folder / "lock")
            self._take(disk.open_lock(folder / "lock"))
            # What must go on to bear its name as long as the run is ours.
            self._place = (folder if whole else folder / "lock", self._fds[not whole])
            self.must_hold()
            # For messages only; of one length, so that no rest of an older one stays.
            me = f"{os.getpid()} {socket.gethostname()}".encode()[: _LENGTH - 1]
            with naming(folder / "lock"):
                disk.write_at_start(self._fds[1], me.ljust(_LENGTH - 1) + b"\n")
        except BaseException:
            self.release()
            raise

    def _take(self, fd: int, *, whole: bool = False) -> bool:
        """Lock a descriptor; whether that can be, of a `whole` folder."""
        self._fds.append(fd)
        try:
            if not locks(fd, fcntl.LOCK_EX):
                # `status` looks with a shared lock for an instant: that is no writer.
                time.sleep(0.05)
                if not locks(fd, fcntl.LOCK_EX):
                    raise self._refused()
        except OSError:
            if not whole:
                raise
            return False
        return True

    def _refused(self) -> RunLocked:
        pid, _, host = _said(self._folder).partition(" ")
        on = f" on {host}" if host else ""
        return RunLocked(
            f"{self._folder.parent}: another process (pid {pid or '?'}{on}) writes this"
            " run",
            hint="Wait until it ends, or stop it. 'onlinedpo status' reads along.",
        )

    def must_hold(self) -> None:
        """Raise `RunLocked` where what was locked does not lie where it did."""
        path, fd = self._place
        try:
            same = lies_at(path, fd)
        except OSError:
            # A drive that fails is told of by what is written there.
            return
        if not same:
            raise RunLocked(
                f"{self._folder.parent}: this run was moved, removed or replaced while"
                " this process worked on it",
                hint="Nothing that was acknowledged is lost. Start the run again where"
                " it lies now.",
            )

    def release(self) -> None:
        """Give the lock back, also where a forked child has it open still."""
        while self._fds:
            fd = self._fds.pop()
            with suppress(OSError):
                fcntl.flock(fd, fcntl.LOCK_UN)
            disk.close(fd)


def holder(folder: Path) -> str | None:
    """The process that writes a run, by its id; None if none does.  Changes nothing.

    Raises OSError where that cannot be told.
    """
    for path in (folder, folder / "lock"):
        try:
            # Where a pipe bears its name, it is not waited for.
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except NO_FILE:
            continue
        try:
            # Where there are no locks nobody has one.
            with suppress(OSError):
                if not locks(fd, fcntl.LOCK_SH):
                    return _said(folder).partition(" ")[0] or "?"
        finally:
            os.close(fd)
    return None


def lies_at(path: Path, fd: int) -> bool:
    """Whether what a descriptor has open bears this name still; raises OSError."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(fd))
    except NO_FILE:
        return False


def locks(fd: int, kind: int) -> bool:
    """Lock a descriptor, unless another process has; raises OSError if it cannot be."""
    try:
        # flock and not lockf: a POSIX lock goes when any other descriptor closes.
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _said(folder: Path) -> str:
    """What the lock file says of who holds it."""
    try:
        said = read(folder / "lock", _LENGTH)
        return said.decode(errors="replace").strip()
    except OSError:
        return ""
