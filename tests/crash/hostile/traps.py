"""What may lie where a file should be: links, pipes, devices, folders."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

Trap = Callable[[Path, Path], object]


def to_secret(path: Path, outside: Path) -> None:
    """A link to a file elsewhere."""
    path.symlink_to(outside / "secret")


def to_folder(path: Path, outside: Path) -> None:
    """A link to a folder elsewhere."""
    path.symlink_to(outside)


def to_nothing(path: Path, outside: Path) -> None:
    """A link that dangles: where it leads, nothing must appear."""
    path.symlink_to(outside / "not-there")


def to_itself(path: Path, outside: Path) -> None:
    """A link without an end."""
    path.symlink_to(path.name)


def to_zeros(path: Path, outside: Path) -> None:
    """A link to a device that is read for ever."""
    path.symlink_to("/dev/zero")


def to_full(path: Path, outside: Path) -> None:
    """A link to a device that cannot be written."""
    path.symlink_to("/dev/full")


def to_journal(path: Path, outside: Path) -> None:
    """A link to a file of the run itself."""
    run = next(place for place in path.parents if (place / "journal").is_dir())
    path.symlink_to(run / "journal" / "000001.odj")


def pipe(path: Path, outside: Path) -> None:
    """A pipe that nobody writes to."""
    os.mkfifo(path)


def plug(path: Path, outside: Path) -> None:
    """A socket that nobody listens at."""
    here = os.open(path.parent, os.O_RDONLY)
    before = os.getcwd()
    # The name of a socket may only be short.
    os.fchdir(here)
    with closing(socket.socket(socket.AF_UNIX)) as open_socket:
        open_socket.bind(path.name)
    os.chdir(before)
    os.close(here)


def folder(path: Path, outside: Path) -> None:
    """A folder with a file in it."""
    path.mkdir()
    (path / "inside.md").write_bytes(b"theirs")


def a_file(path: Path, outside: Path) -> None:
    """A file, where that is not what should be there."""
    path.write_bytes(b"theirs")


TRAPS: tuple[Trap, ...] = (
    *(to_secret, to_folder, to_nothing, to_itself, to_zeros, to_full, to_journal),
    *(pipe, plug, folder),
)
