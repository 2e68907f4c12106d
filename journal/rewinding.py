"""Going back to an earlier step: what is undone, and how it is to be done again.

Nothing is erased.  The pairs of the undone steps are put into the journal again, as
they stood, with the label that people's answers give them now; the same batches come
again, in the same order.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from onlinedpo.journal.reader import Reader
from onlinedpo.journal.writer import Journal
from onlinedpo.states import labelling
from onlinedpo.states.errors import UsageError
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import (
    Dropped,
    Label,
    Restored,
    Rewound,
    Step,
    Vote,
)
from onlinedpo.states.turns import Turn

CHUNK = 256
"""Pairs in one frame of the journal."""


@dataclass(slots=True)
class _Past:
    """A pair that has ended: with which step it left, and why if it was dropped."""

    turn: Turn
    step: int
    was: str = ""


@dataclass(frozen=True, slots=True)
class Rewind:
    """What a rewind did."""

    undone: int
    batches: int
    corrected: tuple[str, ...]
    """Names of the pairs that have another label than they were trained on with."""


def rewind(journal: Journal, to: int) -> Rewind:
    """Go back to just after step `to`; the next run trains on what came after again.

    Raises `UsageError` if there is no such step.
    """
    steps = journal.ledger.steps
    if not 0 <= to < steps:
        raise UsageError(
            f"step {to} is not one to go back to: the run stands after step {steps}",
            hint=f"Give --to a number from 0 to {steps - 1}." if steps else "",
        )
    if journal.ledger.planned:
        raise UsageError(
            "an earlier rewind has not been trained through yet",
            hint="Let the run go on until its steps are taken again, then rewind.",
        )
    now = time.time()
    past, rule = _past(journal.folder, to), journal.ledger.settings.get("resolve", "")
    pairs = [
        restored
        for ended in past.values()
        if (restored := _restored(ended, rule or "first", now))
        # A correction that was trained on by itself is made at the pair's own place.
        and restored.sampled.repeats not in past
    ]
    chunks = iter(pairs)
    while chunk := list(islice(chunks, CHUNK)):
        journal.append(chunk)
    batches = _batches(pairs, past, to, steps)
    tickets = tuple(sorted(_tickets(pairs)))
    journal.append([Rewound(to=to, tickets=tickets, batches=batches, time=now)])
    corrected = [
        pair.sampled.pair
        for pair in pairs
        if pair.was or pair.label.chosen != _trained_on(past[pair.sampled.ticket])
    ]
    return Rewind(steps - to, len(batches), tuple(sorted(corrected)))


def _past(folder: Path, to: int) -> dict[int, _Past]:
    """The pairs that ended after step `to`, by ticket, with all answers until now."""
    ledger = Ledger()
    past: dict[int, _Past] = {}
    for record in Reader(folder).records():
        match record:
            case Step(index=index, tickets=tickets) if index > to:
                past |= {n: _Past(ledger.turns[n], index) for n in tickets}
            case Dropped(ticket=n, reason=why) if ledger.steps >= to:
                if turn := ledger.turns.get(n):
                    past[n] = _Past(turn, ledger.steps + 1, why)
            case Vote(ticket=n) if n in past:
                past[n].turn.add_vote(record)
            case Rewound(tickets=tickets):
                past = {n: p for n, p in past.items() if n not in tickets}
        ledger.fold(record)
    return past


def _restored(past: _Past, rule: str, now: float) -> Restored | None:
    """The pair as it is to stand again; None where nothing gives it a winner."""
    turn = past.turn
    if turn.sampled is None:
        return None
    ticket = turn.sampled.ticket
    wanted = labelling.resolve(ticket, turn.votes, turn.slots, rule, now, may_ask=False)
    label = wanted if isinstance(wanted, Label) else turn.label
    if label is None or (past.was and not (wanted and label.chosen)):
        return None
    return Restored(
        sampled=turn.sampled,
        slots=turn.slots,
        verdicts=tuple(turn.verdicts),
        votes=tuple(turn.votes.values()),
        label=label,
        was=past.was,
        time=now,
    )


def _batches(
    pairs: Sequence[Restored], past: dict[int, _Past], to: int, steps: int
) -> tuple[tuple[int, ...], ...]:
    """The tickets of each step after `to`, as they come again."""
    numbers = {n: min(max(past[n].step, to + 1), steps) for n in _tickets(pairs)}
    batches = (
        tuple(sorted(n for n, at in numbers.items() if at == index))
        for index in range(to + 1, steps + 1)
    )
    return tuple(batch for batch in batches if batch)


def _tickets(pairs: Sequence[Restored]) -> Iterator[int]:
    return (pair.sampled.ticket for pair in pairs)


def _trained_on(past: _Past) -> str | None:
    return past.turn.label.chosen if past.turn.label else None
