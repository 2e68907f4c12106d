"""What a judge's output is read as: a winner, or how the judge failed."""

from __future__ import annotations

from typing import Literal

from onlinedpo.states.answers import ORDERS, Shown, Side

Winner = Literal["first", "second", "tie"]
Reading = tuple[Winner | None, str]
"""(winner in pair coordinates, or None and how the judge failed)."""

MIN_MASS = 0.01
"""Probability that both letters must have together: below it, that is no answer."""


def side_shown(place: int, shown: Shown) -> Side:
    """Which side of the pair stood at a place, 0 or 1, of what a judge was shown."""
    return "first" if (place == 0) == (shown == ORDERS[0]) else "second"
