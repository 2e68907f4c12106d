"""Every file operation of a run that changes something goes through here.

What is synced here is on the disk, not in its cache: on macOS that takes
`F_FULLFSYNC`.  A name is durable only when its folder has been synced too.

All of it is calls of `os`: tests put one in its place that fails at the n-th call, or
that keeps what a power cut would leave (`tests/crash`).  Functions raise OSError.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Self

from onlinedpo.journal.disk_errors import naming
from onlinedpo.journal.plain_files import open_plain

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def sync(fd: int) -> None:
    """Put a file's bytes on the disk."""
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        # Some file systems (network, exFAT) do not have it; fsync is the best there.
        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, full)
            return
    getattr(os, "fdatasync", os.fsync)(fd)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk."""
    sync_files([folder])


def sync_files(paths: Sequence[Path]) -> None:
    """Put written files on the disk, for a commit that a later `sync` completes.

    On macOS this reaches the drive, and that `sync` empties the drive's own cache.
    """
    for path in paths:
        with _opened(path, os.O_RDONLY) as fd:
            os.fsync(fd)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each name on the disk."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    nearest = missing[-1].parent if missing else folder
    # A killed process may have made it and not have come to the sync: but not where we
    # may not open the folder above, since we make none there.
    with contextlib.suppress(PermissionError):
        sync_folder(nearest.parent)
    for path in reversed(missing):
        _make_synced(path)


def _make_synced(path: Path) -> None:
    """Make a folder, unless it is there, and sync its name."""
    # Opened first: what could not be synced is not made, and left for the next start.
    above = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(path)
        with naming(path.parent):
            os.fsync(above)
    finally:
        close(above)


def new_folder(folder: Path) -> None:
    """Make a folder, whose name is not synced."""
    os.mkdir(folder)


class Output:
    """A new file that others write into, as into any file object.  Not synced yet."""

    closed = False

    def __init__(self, path: Path) -> None:
        """Create it; it must not be there.  Every error names it, later ones too."""
        self._path = path
        self._fd = os.open(path, _NEW, 0o644)
        self._length = 0
        self._digest = hashlib.sha256()

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Write all of it; returns how many bytes that is."""
        view = memoryview(data)
        with naming(self._path):
            write_all(self._fd, view)
        self._digest.update(view)
        self._length += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        """How many bytes were written."""
        return self._length

    def seek(self, offset: int, whence: int = 0) -> int:
        """Not possible; MLX wants it to be there."""
        raise OSError("a file that is being written has no other place than its end")

    @property
    def digest(self) -> str:
        """SHA-256 of what was written."""
        return self._digest.hexdigest()

    def __enter__(self) -> Self:
        """Use it as a context."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close the file."""
        self.closed = True
        with naming(self._path):
            _close(self._fd, failed=kind is not None)


def open_to_append(path: Path) -> int:
    """A descriptor whose writes go to the end of a file that is there."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)


def open_lock(path: Path) -> int:
    """A descriptor to lock a file by, which is made if it is not there."""
    # What a link leads to is not ours to write.
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)


def write_at_start(fd: int, data: bytes) -> None:
    """Write over the first bytes of a file, not synced."""
    os.pwrite(fd, data, 0)


def close(fd: int) -> None:
    """Close a descriptor of what is synced: if that fails, nothing is lost by it."""
    _close(fd, failed=True)


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    """A descriptor for the block; every error names the file."""
    with naming(path):
        fd = os.open(path, flags | os.O_CLOEXEC, 0o644)
        try:
            yield fd
        except BaseException:
            _close(fd, failed=True)
            raise
        _close(fd)


def _close(fd: int, *, failed: bool = False) -> None:
    """Close a descriptor; where something has `failed` already, that is to be told."""
    with contextlib.suppress(*[OSError] * failed):
        os.close(fd)


def write_all(fd: int, data: bytes | bytearray | memoryview) -> None:
    """Write all bytes, however many writes that takes."""
    view = memoryview(data).cast("B")
    while view:
        view = view[os.write(fd, view) :]


def write_new(path: Path, data: bytes) -> None:
    """Create a file with these bytes; nothing is synced."""
    with _opened(path, _NEW) as fd:
        write_all(fd, data)


def write_synced(path: Path, data: bytes) -> None:
    """Create a file with these bytes, synced; the name is not yet."""
    with _opened(path, _NEW) as fd:
        write_all(fd, data)
        sync(fd)


def add_line(path: Path, line: str) -> None:
    """Write a line at the end of a file, which is made if it is not there; no sync."""
    with _opened(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT) as fd:
        write_all(fd, line.encode())


def cut(path: Path, length: int) -> None:
    """Take off what a file has beyond `length` bytes, synced."""
    with _opened(path, os.O_WRONLY) as fd:
        os.ftruncate(fd, length)
        sync(fd)


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with naming(path), open_plain(path, follow=True) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy(source: Path, path: Path) -> str:
    """Create a file with the bytes of another, not synced; returns their SHA-256."""
    with open_plain(source, follow=True) as data, Output(path) as file:
        while part := _read(data, source):
            file.write(part)
    return file.digest


def _read(data: BinaryIO, path: Path) -> bytes:
    """The next bytes of a file that is open; an error names it."""
    with naming(path):
        return data.read(1 << 20)


def rename(source: Path, target: Path) -> None:
    """Give a file another name; raises FileNotFoundError where it is gone.

    Whatever stands under the name at that instant goes along, also a version that
    somebody saved a moment ago.
    """
    os.rename(source, target)


def hard_link(source: Path, path: Path) -> None:
    """Give a file one more name, which must be free."""
    os.link(source, path)


def remove(path: Path) -> None:
    """Remove a file, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def remove_empty(folder: Path) -> None:
    """Remove a folder that has nothing in it."""
    os.rmdir(folder)


def remove_tree(folder: Path) -> None:
    """Remove a folder and all that is in it, if it is there; links are not followed."""
    if folder.is_symlink():
        remove(folder)
        return
    with contextlib.suppress(FileNotFoundError):
        empty(folder)
        os.rmdir(folder)


def empty(folder: Path) -> None:
    """Remove all that is in a folder; links are not followed."""
    with os.scandir(folder) as entries:
        inside = [(Path(e), e.is_dir(follow_symlinks=False)) for e in entries]
    for path, is_folder in inside:
        (remove_tree if is_folder else remove)(path)
