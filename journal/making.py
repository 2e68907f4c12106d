"""A new folder that appears whole, and that one process makes at a time."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from onlinedpo.journal import atomic, disk
from onlinedpo.journal.lock import locks
from onlinedpo.states.errors import RunLocked


@contextmanager
def making(folder: Path) -> Iterator[Path]:
    """A folder to be filled, which is `folder` once the block has ended well.

    Nothing is left of it if the block raises; what a crash leaves, the next one that
    makes this folder removes.  Raises `RunLocked` where another process makes it, or
    has made it meanwhile.
    """
    disk.make_folder(folder.parent)
    half = folder.with_name(atomic.TEMPORARY + folder.name)
    with _alone(half, folder):
        for left in half.iterdir():
            (disk.remove_tree if left.is_dir() else disk.remove)(left)
        try:
            yield half
            _publish(half, folder)
        except BaseException:
            with suppress(OSError):
                disk.remove_tree(half)
            raise


def _publish(half: Path, folder: Path) -> None:
    try:
        atomic.publish(half, folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        raise RunLocked(
            f"{folder}: another process has made it meanwhile",
            hint="Look at it, or give a new folder.",
        ) from error


@contextmanager
def _alone(half: Path, folder: Path) -> Iterator[None]:
    """Make the folder, or take over what a crash left; within the block it is ours."""
    with suppress(FileExistsError):
        disk.new_folder(half)
    fd = _locked(half)
    if fd is None:
        raise RunLocked(
            f"{folder}: another process is making it", hint="Wait until it ends."
        )
    try:
        yield
    finally:
        os.close(fd)


def _locked(half: Path) -> int | None:
    """A descriptor that holds the folder's lock; None where another process has it."""
    try:
        fd = os.open(half, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        # The other process has been done since, as below.
        return None
    free = True
    # Some network drives lock no folders.
    with suppress(OSError):
        free = locks(fd, fcntl.LOCK_EX)
    with suppress(FileNotFoundError):
        if free and os.path.samestat(os.stat(half), os.fstat(fd)):
            return fd
    os.close(fd)
    return None
