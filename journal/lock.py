"""One writer a run: a lock that goes with its process, however that ends."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from onlinedpo.states.errors import RunLocked


class Lock:
    """The right to write a run, held as long as the process lives."""

    def __init__(self, folder: Path) -> None:
        """Take the lock of a journal folder; raises `RunLocked`."""
        path = folder / "lock"
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        taken = self._take()
        if not taken:
            # `status` looks with a shared lock for an instant: that is no writer.
            time.sleep(0.05)
            taken = self._take()
        if not taken:
            holder = os.pread(self._fd, 32, 0).decode(errors="replace").strip()
            os.close(self._fd)
            raise RunLocked(
                f"{folder.parent}: another process (pid {holder or '?'}) writes this"
                " run",
                hint="Wait until it ends, or stop it. 'onlinedpo status' reads along.",
            )
        # For messages only; of one length, so that no rest of an older one stays.
        os.pwrite(self._fd, f"{os.getpid():<16}\n".encode(), 0)

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
        os.close(self._fd)


def holder(folder: Path) -> str | None:
    """The process that writes a run, by its id; None if none does.  Changes nothing."""
    try:
        with (folder / "lock").open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return lock.read(32).decode(errors="replace").strip() or "?"
    except OSError:
        return None
    return None
