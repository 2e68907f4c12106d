"""What people, and other programs, say of a pair: the facts.

A pair that waits for people has *slots*: one for each answer that is wanted.  The
newest version in a slot counts, and all versions stay in the journal, as they were
saved, byte for byte.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Annotated, Literal

from onlinedpo.states import seeds

Side = Literal["first", "second"]
Shown = Literal["first-second", "second-first"]
Value = Literal["first", "second", "tie", "bad", "skip", "undo"]
ORDERS: tuple[Shown, Shown] = ("first-second", "second-first")

MOST_SLOTS = 99
Slots = Annotated[int, range(MOST_SLOTS + 1).__contains__]
"""How many answers are wanted of people: an ask names one of so many."""

NAME = "[0-9]{6,18}-[0-9a-f]{8}"
"""The pattern of a pair's name."""
_ASK = re.compile(rf"({NAME})(?:\.([1-9][0-9]?))?")


PART = 8 << 20
"""Saved bytes in one frame of the journal, or one file of them if that is larger."""
MOST = 2000
"""Facts in one frame, of what people saved."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One answer that is wanted: a slot of a pair.  Its text names files and tasks."""

    pair: str
    slot: int = 1

    def __str__(self) -> str:
        """The pair's name, and the slot where it is not the first."""
        return self.pair if self.slot == 1 else f"{self.pair}.{self.slot}"

    @property
    def ticket(self) -> int:
        """The pair's number."""
        return int(self.pair.split("-")[0])

    @classmethod
    def parse(cls, text: str) -> Ask | None:
        """The ask that a text names, or None where it names none."""
        found = _ASK.fullmatch(text.strip())
        return cls(found[1], int(found[2] or 1)) if found else None


def sides(seed: int, ask: Ask) -> Shown:
    """The order in which a slot shows the two completions: a coin of its own."""
    return ORDERS[seeds.derive(seed, "sides", ask.ticket, ask.slot) % 2]


def version(raw: bytes) -> bytes:
    """16 bytes by which a saved version is known again."""
    return hashlib.blake2b(raw, digest_size=16).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalated:
    """A pair waits for people: `slots` answers are wanted in all, because of `why`."""

    ticket: int
    slots: Slots
    why: str
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One answer, in pair coordinates: the order shown is already undone.

    `raw` is what was saved, verbatim: a label file, or a line of a dropped one.  `path`
    is where it was read and `kept_as` where the file then went, both below labels/.
    `seconds` is the time the person took, where it is known; `guidelines` the SHA-256
    of the guidelines at that time.  `saved` is the file's own time.
    """

    ticket: int
    slot: int
    value: Value
    strong: bool
    shown: Shown
    annotator: str
    source: Literal["human", "file"]
    note: str
    raw: bytes
    path: str
    kept_as: str
    seconds: float | None
    guidelines: str
    saved: float
    time: float

    def says_the_same(self, other: Vote) -> bool:
        """Whether the two differ in nothing that a person decided."""
        return (
            self.value == other.value
            and self.strong == other.strong
            and self.annotator == other.annotator
            and self.note == other.note
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A version that somebody saved and that is no answer, or not yet, and why."""

    path: str
    raw: bytes
    reason: str
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A dropped file was read: how many answers were new, and what could not be read.

    `refused` has (line or item number, reason) for each bad one, `more` counts those
    beyond the first thousand.
    """

    path: str
    kept_as: str
    sha256: str
    size: int
    format: str
    taken: int
    unchanged: int
    refused: tuple[tuple[int, str], ...]
    more: int
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """A label was taken back: the pair waits for people again."""

    ticket: int
    time: float
