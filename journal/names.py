"""Names that are free: nothing is ever put in the place of another file."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator
from itertools import count
from pathlib import Path


def is_free(folder: Path) -> bool:
    """Whether a folder can be made here: nothing is, or an empty one."""
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


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
