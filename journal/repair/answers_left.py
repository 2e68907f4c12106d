"""People's answers in the part of a journal that is given up, as files to be dropped.

An answer is written in our own shape, one a line, in the order in which they were given
and as they were shown; the whole of it stands in what was left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from onlinedpo.journal import atomic
from onlinedpo.journal.repair.sound_part import Piece
from onlinedpo.states.answers import NAME, Ask, Vote, sides
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.lifecycle import Phase
from onlinedpo.states.people.choices import shown_as
from onlinedpo.states.records import Sampled

_NAME = re.compile(NAME.encode())


class Written(NamedTuple):
    """A file below the labels folder, and how many answers it holds."""

    name: str
    answers: int


class AnswersLeft:
    """The answers after the damage, and the names of the pairs that they are to."""

    def __init__(self) -> None:
        """Nothing has been read yet."""
        self.votes: list[tuple[int, Vote]] = []
        """In the order of their frames, which are named."""
        self._sound: dict[int, str] = {}
        self._beyond: dict[int, str] = {}

    def see(self, piece: Piece) -> None:
        """Look at a frame; they come in their order."""
        names = self._sound if piece.sound else self._beyond
        for record in piece.batch:
            if isinstance(record, Sampled):
                names[record.ticket] = record.pair
            elif isinstance(record, Vote) and not piece.sound:
                self.votes.append((piece.place.number, record))

    def write(self, labels: Path, ledger: Ledger, run: str) -> tuple[Written, Written]:
        """Write the answers that `ledger` can take in now, and the others.

        The former lie in the inbox then; the latter are to pairs that are not there, or
        not asked about, yet.
        """
        seed = int(ledger.settings.get("seed", 0))
        now, later = list[str](), list[str]()
        for frame, vote in self.votes:
            if name := self._name(vote):
                fits = self._sound.get(vote.ticket) == name and _open(ledger, vote)
                ask = Ask(name, vote.slot)
                row = {
                    "id": str(ask),
                    "choice": str(
                        shown_as(vote.value, sides(seed, ask), strong=vote.strong)
                    ),
                    "annotator": vote.annotator,
                    "note": vote.note,
                    "seconds": vote.seconds,
                    # Nobody reads this but people.
                    "was": {"run": run, "frame": frame, "saved": vote.saved},
                }
                (now if fits else later).append(json.dumps(row))
        return (
            _written(labels, f"inbox/salvaged-{run[:8]}.jsonl", now),
            _written(labels, f"salvaged-later-{run[:8]}.jsonl", later),
        )

    def _name(self, vote: Vote) -> str:
        """The name of an answer's pair, which stands in what was saved, too."""
        if name := self._beyond.get(vote.ticket) or self._sound.get(vote.ticket):
            return name
        names = (name.decode() for name in _NAME.findall(vote.raw))
        return next((n for n in names if Ask(n).ticket == vote.ticket), "")


def _open(ledger: Ledger, vote: Vote) -> bool:
    """Whether a pair is with people, labelled, or has ended: then an answer counts."""
    turn = ledger.turns.get(vote.ticket)
    return turn is None or turn.waits or turn.phase is Phase.LABELLED


def _written(labels: Path, name: str, lines: Sequence[str]) -> Written:
    if lines:
        atomic.replace(labels / name, "".join(f"{line}\n" for line in lines).encode())
    return Written(name, len(lines))
