"""The sound part of a journal: what stands before the first damage, and what after it.

The sound part is a journal as a run leaves it that is killed there: all that it says is
proven.  What can be read after the damage is not: it may go back to what is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from onlinedpo.journal import codec, frames
from onlinedpo.journal.reader import Place
from onlinedpo.journal.repair.remains import Remains
from onlinedpo.states import records as r
from onlinedpo.states.errors import JournalError, JournalNewer
from onlinedpo.states.ledger import Ledger

_WORDS: dict[type, tuple[str, str]] = {
    r.Step: ("step", "steps"),
    r.Sampled: ("pair", "pairs"),
    r.Verdict: ("verdict", "verdicts"),
    r.Vote: ("answer of people", "answers of people"),
    r.Label: ("label", "labels"),
    r.Dropped: ("drop", "drops"),
    r.Evaluated: ("win rate", "win rates"),
}


class Piece(NamedTuple):
    """A whole frame, and whether it is of the sound part."""

    place: Place
    payload: bytes
    batch: list[r.Record]
    """Empty where a frame after the damage cannot be decoded."""
    sound: bool

    def as_map(self) -> dict[str, object]:
        """The frame as plain data: where it stands, and what it holds."""
        return {
            "frame": self.place.number,
            "segment": self.place.path.name,
            "offset": self.place.offset,
            "length": frames.FRAME_OVERHEAD + len(self.payload),
            "records": [codec.as_map(record) for record in self.batch],
        }


@dataclass(slots=True)
class Holdings:
    """What frames hold, counted."""

    frames: int = 0
    kinds: Counter[type] = field(default_factory=Counter)
    undecoded: int = 0
    """Whole frames whose records cannot be read."""

    def __str__(self) -> str:
        """The number of frames, and of the kinds of records that matter most."""
        told = ", ".join(
            counted(self.kinds[kind], *words)
            for kind, words in _WORDS.items()
            if self.kinds[kind]
        )
        return counted(self.frames, "frame", "frames") + (
            f" with {told}" if told else ""
        )

    def add(self, batch: list[r.Record]) -> None:
        """Count a frame."""
        self.frames += 1
        self.kinds.update(map(type, batch))


class SoundPart:
    """One pass over a journal.  After it, its fields say what was found."""

    def __init__(self, folder: Path) -> None:
        """Read nothing yet."""
        self.remains = Remains(folder)
        self.before, self.after = Holdings(), Holdings()
        self.last: Place | None = None
        """The last frame of the sound part."""
        self.steps = 0
        self.opened: r.RunOpened | None = None
        self.ledger = Ledger()
        """Of no use any more where a frame was `refused`."""
        self.refused: JournalError | None = None
        """Why a frame is not of the sound part although its bytes are as written."""

    def read(self) -> Iterator[Piece]:
        """Every whole frame; raises `JournalNewer` where one is from the future."""
        ledger, sound = self.ledger, True
        for place, payload in self.remains.whole_frames():
            sound = sound and place.number == self.before.frames + 1
            batch = self._taken_in(place, payload) if sound else None
            if batch is None:
                sound, batch = False, self._read(place, payload)
                self.after.add(batch)
            else:
                self.before.add(batch)
                self.last, self.steps, self.opened = place, ledger.steps, ledger.opened
            yield Piece(place, payload, batch, sound)

    def _taken_in(self, place: Place, payload: bytes) -> list[r.Record] | None:
        try:
            with place.named():
                batch = codec.decode(payload)
                for record in batch:
                    self.ledger.fold(record)
        except JournalNewer:
            raise
        except JournalError as error:
            self.refused = error
        except Exception as error:
            # Sound bytes may hold anything if somebody made them by hand.
            self.refused = JournalError(f"{place}: a record makes no sense: {error!r}")
        return None if self.refused else batch

    def _read(self, place: Place, payload: bytes) -> list[r.Record]:
        try:
            with place.named():
                return codec.decode(payload)
        except JournalNewer:
            raise
        except JournalError:
            self.after.undecoded += 1
            return []


def counted(number: int, one: str, several: str) -> str:
    """A number of things, in words."""
    return f"{number} {one if number == 1 else several}"
