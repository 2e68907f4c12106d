"""Names that are free: nothing is ever put in the place of another file."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator
from itertools import count
from pathlib import Path

from onlinedpo.journal.present import is_taken, is_there
from onlinedpo.states.errors import UsageError

LONGEST = 255
"""Bytes of a name, on all the usual file systems."""


def must_be_free(folder: Path, hint: str = "Give a new or an empty folder.") -> None:
    """Raise `UsageError` where a folder cannot be made: more than an empty one is."""
    is_empty = folder.is_dir() and not any(folder.iterdir())
    if is_there(folder) and not is_empty:
        raise UsageError(f"{folder} exists already", hint=hint)


def free_name(source: Path, folder: Path, taken: Container[str] = ()) -> str:
    """The file's own name, or that with a number, as it is free in a folder.

    `taken` are names to avoid although no file bears them now.  Raises OSError.
    """
    return next(
        name
        for name in names(source)
        if name not in taken and not is_taken(folder / name)
    )


def names(source: Path) -> Iterator[str]:
    """The file's own name, and then that with 2, 3 and so on."""
    yield source.name
    stem, suffix = source.stem, source.suffix
    if len(suffix) > 16:
        stem, suffix = source.name, ""
    yield from (ending(stem, f"-{number}{suffix}") for number in count(2))


def ending(name: str, end: str) -> str:
    """A name with an end to it, cut before that where it would be too long."""
    return cut(name, LONGEST - len(os.fsencode(end))) + end


def cut(name: str, length: int) -> str:
    """A name of so many bytes at most, which ends with a whole character."""
    while name and len(os.fsencode(name)) > length:
        name = name[:-1]
    return name
