"""Every durable file operation goes through here.

What is synced here is on the disk, not in its cache: on macOS that takes
`F_FULLFSYNC`.  A name is durable only when its folder has been synced too.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import uuid
from collections.abc import Container, Iterator, Sequence
from itertools import count
from pathlib import Path

from onlinedpo.journal.crashpoint import reached
from onlinedpo.states.errors import OnlineDPOError, StorageError

TEMPORARY = ".tmp-"

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM)


def failed(what: str, error: Exception) -> StorageError:
    """The error to tell the user where `what` failed because the disk did."""
    remedy = "Free space or repair the disk"
    if getattr(error, "errno", None) in _REFUSED:
        remedy = "Make it readable and writable for you"
    return StorageError(
        what,
        hint=f"{remedy}, then start the run again: nothing that was acknowledged is"
        " lost.",
    )


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an OSError of the block name this file: one of a write names none."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def told(error: OSError) -> OnlineDPOError:
    """The error to tell the user where nobody nearer to it had more to say."""
    what = f"{error.filename}: " if error.filename else ""
    what += error.strerror or str(error)
    if error.errno in (*_FULL, *_REFUSED, errno.EIO):
        return failed(what, error)
    return OnlineDPOError(what, hint="Nothing that was acknowledged is lost.")


def sync(fd: int) -> None:
    """Put a file's bytes on the disk; raises OSError."""
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        # Some file systems (network, exFAT) do not have it; fsync is the best there.
        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, full)
            return
    getattr(os, "fdatasync", os.fsync)(fd)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each name on the disk."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)
    if not missing:
        # A killed process may have made it and not have come to the sync.
        sync_folder(folder.parent)


def is_free(folder: Path) -> bool:
    """Whether a folder can be made here: nothing is, or an empty one."""
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


def sync_files(paths: Sequence[Path]) -> None:
    """Put written files on the disk, for a commit that a later `sync` completes.

    On macOS this reaches the drive, and that `sync` empties the drive's own cache.
    """
    for path in paths:
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def write_all(fd: int, data: bytes) -> None:
    """Write all bytes, however many writes that takes; raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def write_synced(path: Path, data: bytes) -> None:
    """Create a file with these bytes, synced; the name is not yet."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        write_all(fd, data)
        sync(fd)
    finally:
        os.close(fd)


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes; raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def replace(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Give a file new contents so that a reader sees the old or the new ones, whole."""
    temporary = path.with_name(f"{TEMPORARY}{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        with naming(path):
            if durable:
                write_synced(temporary, data)
            else:
                temporary.write_bytes(data)
        reached(f"{path.name}.write")
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    reached(f"{path.name}.rename")
    if durable:
        sync_folder(path.parent)


def link(source: Path, path: Path) -> None:
    """Let `path` be the same bytes as `source`: a hard link, or else a copy."""
    temporary = path.with_name(f"{TEMPORARY}{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        os.link(source, temporary)
    except OSError:
        shutil.copyfile(source, temporary)
    os.replace(temporary, path)
    # Renaming one name of a file onto another of the same file does nothing at all.
    temporary.unlink(missing_ok=True)


def publish(temporary: Path, final: Path) -> None:
    """Rename a finished folder into place, durably, with all that is in it."""
    sync_folder(temporary)
    os.rename(temporary, final)
    reached("folder.rename")
    sync_folder(final.parent)
    reached("folder.sync")


def remove_folder(folder: Path) -> None:
    """Remove a folder that this program made; a crash leaves a temporary name."""
    doomed = folder.with_name(f"{TEMPORARY}{folder.name}-{uuid.uuid4().hex[:8]}")
    if folder.name.startswith(TEMPORARY):
        doomed = folder
    else:
        os.rename(folder, doomed)
    shutil.rmtree(doomed)


def clear_temporary(folder: Path) -> None:
    """Remove what earlier crashes left under names that only we give."""
    for leftover in folder.glob(TEMPORARY + "*"):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()


def create(path: Path, data: bytes) -> bool:
    """Give a new file its contents, whole, unless the name is taken: then False."""
    temporary = path.with_name(f"{TEMPORARY}{path.name}-{uuid.uuid4().hex[:8]}")
    temporary.write_bytes(data)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError:
        # No hard links here (exFAT, some network drives): nearly as good.
        with contextlib.suppress(FileExistsError), path.open("xb") as file:
            file.write(data)
            return True
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True


def rename(source: Path, target: Path) -> None:
    """Give a file another name; raises FileNotFoundError where it is gone.

    Whatever stands under the name at that instant goes along, also a version that
    somebody saved a moment ago.
    """
    os.rename(source, target)


def free_name(source: Path, folder: Path, taken: Container[str] = ()) -> str:
    """The file's own name, or that with a number, as it is free in a folder.

    `taken` are names to avoid although no file bears them now.
    """
    return next(
        name
        for name in names(source)
        if name not in taken and not os.path.lexists(folder / name)
    )


def names(source: Path) -> Iterator[str]:
    """The file's own name, and then that with 2, 3 and so on."""
    yield source.name
    for number in count(2):
        yield f"{source.stem}-{number}{source.suffix}"
