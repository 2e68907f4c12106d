"""From answers to labels: what was saved goes into the journal, then what follows."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from onlinedpo.engine.people.late import Ended, corrected
from onlinedpo.journal.writer import Journal
from onlinedpo.states import labelling
from onlinedpo.states.config import Settings
from onlinedpo.states.records import Escalated, Kept, Record, Vote
from onlinedpo.states.turns import Turn

PART = 8 << 20
"""Saved bytes in one frame of the journal, or one file of them if that is larger."""

MOST = 2000
"""Facts in one frame."""


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
        number = journal.ledger.next_ticket
        # A pair that was corrected before is there once for each of its tickets.
        for pair in {id(pair): pair for pair in ended.values()}.values():
            late = [vote for vote in votes if ended.get(vote.ticket) is pair]
            if late:
                again = corrected(pair, late, journal.ledger, settings.resolve, number)
                number += len(again) > 1
                turns += again
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
    asked, facts = ledger.asked, list[Record]()
    for ticket in sorted(tickets):
        turn = ledger.turns.get(ticket)
        if turn is None or _corrected(turn):
            continue
        left = settings.label_budget is None or asked < settings.label_budget
        for fact in labelling.settle(turn, settings.resolve, now, may_ask=left):
            facts.append(fact)
            if isinstance(fact, Escalated):
                asked += fact.slots - turn.slots
    if facts:
        journal.append(facts)


def _corrected(turn: Turn) -> bool:
    """Whether late answers, to an earlier turn, have labelled this one."""
    return bool(turn.label) and not (turn.slots or turn.votes or turn.verdicts)
