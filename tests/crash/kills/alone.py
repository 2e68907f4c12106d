"""Runs that are left alone, of which others that are killed must not differ."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.crash.kills.kills import Killed

DROPOUT = ("--lora-parameters", "{rank: 4, dropout: 0.1, scale: 2.0}")
WAYS = {
    "plain": ("--save-every", "1"),
    "dropout": ("--save-every", "1", *DROPOUT),
    "sparse": ("--save-every", "3", *DROPOUT),
}


@dataclass(frozen=True)
class Alone:
    """A run that was left alone: what it left, and the points that it passed."""

    arguments: tuple[str, ...]
    left: dict[str, str]
    points: Counter[str]

    def to_be_killed(self, place: Path) -> Iterator[Killed]:
        """Runs like this one, without end."""
        for number in itertools.count():
            yield Killed(place / f"run{number}", *self.arguments)


Way = Callable[[str], Alone]
