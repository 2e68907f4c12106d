"""A new folder that appears whole, and that one process makes at a time."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from onlinedpo.journal import atomic, disk
from onlinedpo.journal.lock import lies_at, locks
from onlinedpo.journal.names import LONGEST, cut
from onlinedpo.states.errors import RunLocked


@contextmanager
def making(folder: Path) -> Iterator[Path]:
    """A folder to be filled, which is `folder` once the block has ended well.

    Nothing is left of it if the block raises; what a crash leaves, the next one that
    makes this folder removes.  Raises `RunLocked` where another process makes it, or
    has made it meanwhile.
    """
    disk.make_folder(folder.parent)
    with beside(folder) as half:
        yield half
        _publish(half, folder)


@contextmanager
def beside(place: Path) -> Iterator[Path]:
    """An empty folder in which one process at a time makes what belongs to `place`.

    It is for the block to publish what is in it.  Nothing is left of it if that raises;
    what a crash leaves, the next one removes.  Raises `RunLocked` where another process
    has it.
    """
    half = place.with_name(cut(atomic.TEMPORARY + place.name, LONGEST))
    with _alone(half, place):
        disk.empty(half)
        try:
            yield half
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
    free, ours = True, False
    try:
        # Some network drives lock no folders.
        with suppress(OSError):
            free = locks(fd, fcntl.LOCK_EX)
        ours = free and lies_at(half, fd)
    finally:
        if not ours:
            os.close(fd)
    return fd if ours else None
