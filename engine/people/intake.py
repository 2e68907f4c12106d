"""From answers to labels: what was saved goes into the journal, then what follows."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from onlinedpo.journal.writer import Journal
from onlinedpo.states import labelling
from onlinedpo.states.answers import MOST, PART
from onlinedpo.states.config import Settings
from onlinedpo.states.late import Ended, corrections
from onlinedpo.states.records import Kept, Record, Vote


def take(
    journal: Journal,
    settings: Settings,
    facts: Sequence[Record],
    ended: Mapping[int, Ended],
) -> None:
    """Append what was saved, synced; then settle the labels of the pairs concerned.

    `ended` are the pairs of answers that came too late.  With `late_labels: requeue`
    the next turns of these pairs are appended with them, together or not at all.
    """
    if not facts:
        return
    votes = [fact for fact in facts if isinstance(fact, Vote)]
    turns: list[Record] = []
    if settings.late_labels == "requeue":
        ledger, now = journal.ledger, time.time()
        turns = corrections(ended, votes, ledger, settings.resolve, now)
    *parts, last = _parts(facts)
    for part in parts:
        journal.append(part)
    journal.append([*last, *turns])
    settle(journal, settings, {vote.ticket for vote in votes})


def _parts(facts: Sequence[Record]) -> Iterator[list[Record]]:
    """The facts in parts that a frame of the journal can hold, whatever their size."""
    part: list[Record] = []
    size = 0
    for fact in facts:
        raw = len(fact.raw) if isinstance(fact, Vote | Kept) else 0
        if part and (size + raw > PART or len(part) == MOST):
            yield part
            part, size = [], 0
        part.append(fact)
        size += raw
    yield part


def settle(journal: Journal, settings: Settings, tickets: Iterable[int]) -> None:
    """Let the labels of these pairs, where they are in flight, be what people say."""
    ledger, now = journal.ledger, time.time()
    if facts := labelling.settle_all(ledger, settings, tickets, now):
        journal.append(facts)
