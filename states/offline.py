"""Pairs of a file: which side the better completion is put on, and its label.

The side is decided by a coin, so nothing that comes after knows the better completion
by its place; and the label follows from the coin, so an audit needs no file for it.
"""

from __future__ import annotations

from collections.abc import Iterable

from onlinedpo.states import seeds
from onlinedpo.states.answers import Side
from onlinedpo.states.records import Label, Sampled


def better_side(seed: int, epoch: int, row: int) -> Side:
    """The side of the chosen completion of a row of the file, in an epoch."""
    coin = seeds.derive(seed, "offline-side", epoch, row) % 2
    return "first" if coin else "second"


def labels(pairs: Iterable[Sampled], seed: int, now: float) -> list[Label]:
    """What the file says of each pair."""
    return [
        Label(
            ticket=pair.ticket,
            chosen=better_side(seed, pair.epoch, pair.prompt),
            source="file",
            confidence=1.0,
            time=now,
        )
        for pair in pairs
    ]


def texts(pair: Sampled, seed: int) -> list[tuple[str, str]]:
    """What the file has for a pair: ("chosen", its text) and ("rejected", its text)."""
    side = better_side(seed, pair.epoch, pair.prompt)
    first, second = pair.first.text, pair.second.text
    chosen, rejected = (first, second) if side == "first" else (second, first)
    return [("chosen", chosen), ("rejected", rejected)]
