"""What to tell the user where the disk refuses."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from onlinedpo.states.errors import OnlineDPOError, StorageError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM)
SCARCE = (errno.EMFILE, errno.ENFILE)
"""Too many files are open, in this process or on this machine."""


def failed(what: str, error: Exception, otherwise: str = "") -> StorageError:
    """The error to tell the user where `what` failed because the disk did.

    `otherwise` is what can be done instead.
    """
    remedy = "Free space or repair the disk"
    if getattr(error, "errno", None) in _REFUSED:
        remedy = "Make it readable and writable for you"
    elif getattr(error, "errno", None) in SCARCE:
        remedy = "Close other programs, or allow more open files ('ulimit -n 4096')"
    return StorageError(
        what,
        hint=f"{remedy}, then start the run again: nothing that was acknowledged is"
        f" lost.{otherwise}",
    )


class NoPlainFile(OSError):
    """What bears a file's name is a pipe, a device, or larger than any such file."""


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an OSError of the block name this file: one of a write names none."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def reason(error: OSError) -> str:
    """What the disk refused: the file, where the error names one, and why."""
    file = f"{error.filename}: " if error.filename else ""
    return file + (error.strerror or str(error))


def told(error: OSError) -> OnlineDPOError:
    """The error to tell the user where nobody nearer to it had more to say."""
    what = reason(error)
    if isinstance(error, NoPlainFile):
        return OnlineDPOError(what, hint="Put the file itself there, as it was.")
    if error.errno in (*_FULL, *_REFUSED, *SCARCE, errno.EIO):
        return failed(what, error)
    return OnlineDPOError(what, hint="Nothing that was acknowledged is lost.")
