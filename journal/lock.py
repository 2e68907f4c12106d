"""One writer a run: a lock that goes with its process, however that ends."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from pathlib import Path

from onlinedpo.journal import disk
from onlinedpo.states.errors import RunLocked

_LENGTH = 96
"""Bytes that say who holds the lock: its process and machine."""


class Lock:
    """The right to write a run, held as long as the process lives."""

    def __init__(self, folder: Path) -> None:
        """Take the lock of a journal folder; raises `RunLocked`."""
        path = folder / "lock"
        self._fd = disk.open_lock(path)
        taken = self._take()
        if not taken:
            # `status` looks with a shared lock for an instant: that is no writer.
            time.sleep(0.05)
            taken = self._take()
        if not taken:
            pid, _, host = _read(os.pread(self._fd, _LENGTH, 0)).partition(" ")
            disk.close(self._fd)
            on = f" on {host}" if host else ""
            raise RunLocked(
                f"{folder.parent}: another process (pid {pid or '?'}{on}) writes this"
                " run",
                hint="Wait until it ends, or stop it. 'onlinedpo status' reads along.",
            )
        # For messages only; of one length, so that no rest of an older one stays.
        me = f"{os.getpid()} {socket.gethostname()}".encode()[: _LENGTH - 1]
        disk.write_at_start(self._fd, me.ljust(_LENGTH - 1) + b"\n")

    def _take(self) -> bool:
        try:
            # flock and not lockf: a POSIX lock goes when any other descriptor closes.
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Give the lock back, also where a forked child has it open still."""
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        disk.close(self._fd)


def holder(folder: Path) -> str | None:
    """The process that writes a run, by its id; None if none does.  Changes nothing."""
    try:
        with (folder / "lock").open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _read(lock.read(_LENGTH)).partition(" ")[0] or "?"
    except OSError:
        return None
    return None


def _read(said: bytes) -> str:
    return said.decode(errors="replace").strip()
