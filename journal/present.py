"""What lies on the disk: where that cannot be told it is an error, never "nothing".

`Path.glob` takes a folder that cannot be read for an empty one, `os.path.lexists` a
name that cannot be looked at for a free one, and so does `Path.exists` in some versions
of Python.
"""

from __future__ import annotations

import os
import stat
from fnmatch import fnmatchcase
from pathlib import Path

NO_FILE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
"""What is raised where no file bears a name: all else says nothing of that."""


def is_there(path: Path) -> bool:
    """Whether anything bears a name, links followed; raises OSError."""
    try:
        os.stat(path)
    except NO_FILE:
        return False
    return True


def is_file(path: Path) -> bool:
    """Whether an ordinary file bears a name, links followed; raises OSError."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except NO_FILE:
        return False


def is_taken(path: Path) -> bool:
    """Whether a name is taken, if only by a link to nowhere; raises OSError."""
    try:
        os.lstat(path)
    except NO_FILE:
        return False
    return True


def is_open_to_us(folder: Path) -> bool:
    """Whether we may make files in a folder, as whoever we act for."""
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=True)


def listed(folder: Path, pattern: str = "*") -> list[Path]:
    """What a folder holds under such names, sorted; raises OSError.

    Nothing where there is no such folder.
    """
    try:
        names = os.listdir(folder)
    except NO_FILE:
        return []
    return sorted(folder / name for name in names if fnmatchcase(name, pattern))
