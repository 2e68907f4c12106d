"""Files that anybody may have put there: read so that they can lead nowhere.

A link is followed only where that is asked for: of a run's own files, which may lie on
another disk.  A pipe is not waited for, and what has no end is not read to it.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from io import BufferedReader
from pathlib import Path

from onlinedpo.journal.disk_errors import NoPlainFile, naming
from onlinedpo.journal.present import NO_FILE

LARGEST = 1 << 30
"""Bytes that a file of a run has at most which is read as one."""

_READING = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


def open_plain(path: Path, *, follow: bool = False) -> BufferedReader:
    """An ordinary file, open to be read; raises OSError where it is anything else."""
    fd = os.open(path, _READING | (0 if follow else os.O_NOFOLLOW))
    try:
        kind = os.fstat(fd).st_mode
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(kind):
            raise _no_plain_file(path)
        return open(fd, "rb")
    except BaseException:
        os.close(fd)
        raise


def must_be_plain(path: Path) -> None:
    """Raise OSError where a name is taken by what is no ordinary file, or by a link."""
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise _no_plain_file(path)


def read(path: Path, limit: int, *, follow: bool = False) -> bytes:
    """The first `limit` bytes of an ordinary file; raises OSError."""
    with naming(path), open_plain(path, follow=follow) as file:
        return file.read(limit)


def contents(path: Path) -> bytes:
    """All of a file of a run, links followed; raises OSError."""
    with naming(path), open_plain(path, follow=True) as file:
        return rest(file)


def rest(file: BufferedReader) -> bytes:
    """What follows in a file that is open; raises OSError where that has no end."""
    if os.fstat(file.fileno()).st_size > LARGEST:
        larger = f"it is larger than {LARGEST >> 20} MB, which no run writes"
        raise NoPlainFile(errno.EINVAL, larger)
    return file.read()


def held(path: Path, limit: int, *, follow: bool = False) -> bytes | None:
    """What `read` gives, or None where no ordinary file bears the name."""
    try:
        return read(path, limit, follow=follow)
    except OSError as error:
        # The others are raised for pipes, and for links that are not followed.
        other = (errno.EINVAL, errno.ELOOP, errno.ENXIO)
        if isinstance(error, NO_FILE) or error.errno in other:
            return None
        raise


def _no_plain_file(path: Path) -> NoPlainFile:
    return NoPlainFile(errno.EINVAL, "it is no ordinary file", str(path))
