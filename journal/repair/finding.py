"""Something that is wrong with a run: what it is, what it means, and what to do."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was found: what it is, what it means for the run, what to do.

    `stops`: the run cannot go on as it is.
    """

    what: str
    means: str
    do: Sequence[tuple[str, str]] = ()
    """In this order; each in words, and the command, if it is one."""
    stops: bool = False


def quoted(path: object) -> str:
    """A path as a shell takes it."""
    return shlex.quote(str(path))
