"""Files that anybody may have put there: read so that they can lead nowhere.

A link is followed only where that is asked for, a pipe is not waited for, and what has
no end is not read to it.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from onlinedpo.journal.disk_errors import naming
from onlinedpo.journal.present import NO_FILE

_READING = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


def open_plain(path: Path, *, follow: bool = False) -> BinaryIO:
    """An ordinary file, open to be read; raises OSError where it is anything else."""
    fd = os.open(path, _READING | (0 if follow else os.O_NOFOLLOW))
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "it is no ordinary file", str(path))
        return open(fd, "rb")
    except BaseException:
        os.close(fd)
        raise


def read(path: Path, limit: int, *, follow: bool = False) -> bytes:
    """The first `limit` bytes of an ordinary file; raises OSError."""
    with naming(path), open_plain(path, follow=follow) as file:
        return file.read(limit)


def held(path: Path, limit: int, *, follow: bool = False) -> bytes | None:
    """The same, or None where no ordinary file bears the name; raises OSError."""
    try:
        return read(path, limit, follow=follow)
    except OSError as error:
        # The others are raised for pipes, and for links that are not followed.
        other = (errno.EINVAL, errno.ELOOP, errno.ENXIO)
        if isinstance(error, NO_FILE) or error.errno in other:
            return None
        raise
