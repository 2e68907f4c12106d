"""The pairs that a run has stored, and which of them another judge is to see."""

from __future__ import annotations

import heapq
import time
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from onlinedpo.journal.excerpt import altered, up_to
from onlinedpo.journal.reader import Reader
from onlinedpo.states import seeds
from onlinedpo.states.errors import UsageError
from onlinedpo.states.labelling import screen
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import Dropped, Reason, Record, Sampled


@dataclass(frozen=True, slots=True)
class StoredPairs:
    """A run's pairs, as its journal has them up to a place.

    `wanted` has a byte for each ticket: 1 where the pair is to be judged.
    """

    journal: Path
    frame: int
    chain: bytes
    ledger: Ledger
    wanted: bytearray

    @classmethod
    def read(
        cls, journal: Path, sample: int | None, place: tuple[int, bytes] | None
    ) -> StoredPairs:
        """Read a run's journal up to `place`, or else to its last whole frame.

        No lock is taken: the run may be going on.  With `sample`, so many pairs are
        drawn by the run's seed, the same ones for every judge.  Raises `UsageError` if
        there is no pair to judge, and `JournalError`.
        """
        ledger, pairs = Ledger(), _Judgeable()
        frame, chain = 0, b""
        for at, batch in Reader(journal).folded(ledger):
            pairs.take(batch)
            frame, chain = at.number, at.chain
            if place and frame == place[0]:
                break
        if place and (frame, chain) != place:
            raise altered(journal, place[0])
        if not any(pairs.wanted):
            raise UsageError(
                f"{journal.parent} has no pair to judge: none was sampled yet, or all"
                " read the same",
                hint="Let the run go on, then try again.",
            )
        if sample is not None:
            pairs.draw(sample, int(ledger.settings["seed"]))
        return cls(journal, frame, chain, ledger, pairs.wanted)

    @property
    def tickets(self) -> int:
        """How many there are, judged or not."""
        return len(self.wanted)

    def since(self, ticket: int) -> Iterator[Sampled | Dropped]:
        """What each ticket from `ticket` on begins with, in their order.

        That is the pair where it is to be judged, and else why it is not.
        """
        for record in up_to(self.journal, self.frame, self.chain):
            if not isinstance(record, Sampled | Dropped) or record.ticket != ticket:
                continue
            yield record if self.wanted[ticket] else _left_out(record)
            ticket += 1


class _Judgeable:
    """Which tickets have a pair that a judge can see, as their facts come in."""

    def __init__(self) -> None:
        self.wanted = bytearray()
        self._contents = array("q")

    def take(self, batch: Sequence[Record]) -> None:
        for record in batch:
            if isinstance(record, Sampled):
                self._add(record)
            elif isinstance(record, Dropped) and record.ticket == len(self.wanted):
                self.wanted.append(0)
                self._contents.append(0)
            elif isinstance(record, Dropped) and record.reason == Reason.TRUNCATED:
                self.wanted[record.ticket] = 0

    def _add(self, pair: Sampled) -> None:
        content = hash((pair.first.tokens, pair.second.tokens))
        # A corrected label gives its pair another ticket, and the pair is as it was.
        repeated = pair.repeats is not None and content == self._contents[pair.repeats]
        self.wanted.append(not repeated and screen(pair, 0.0) is None)
        self._contents.append(content)

    def draw(self, sample: int, seed: int) -> None:
        tickets = (ticket for ticket, wanted in enumerate(self.wanted) if wanted)
        drawn = heapq.nsmallest(
            sample, tickets, key=lambda ticket: seeds.derive(seed, "rejudge", ticket)
        )
        self.wanted = bytearray(len(self.wanted))
        for ticket in drawn:
            self.wanted[ticket] = 1


def _left_out(record: Sampled | Dropped) -> Dropped:
    reason, detail = Reason.LEFT_OUT, ""
    if isinstance(record, Dropped):
        reason, detail = record.reason, record.detail
    elif screen(record, 0.0):
        detail = "the completions are identical"
    return Dropped(ticket=record.ticket, reason=reason, detail=detail, time=time.time())
