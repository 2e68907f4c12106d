"""Answers to pairs that have ended, which one reading of the journal finds again."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from onlinedpo.journal.reader import Reader
from onlinedpo.states import labelling
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import (
    Label,
    Reason,
    Record,
    Sampled,
    Step,
    Submitted,
    Vote,
)
from onlinedpo.states.turns import Turn, put


@dataclass(slots=True)
class Ended:
    """A pair that has ended, as it stood, with the answers that came after."""

    sampled: Sampled
    slots: int = 0
    votes: dict[int, Vote] = field(default_factory=dict)
    label: Label | None = None
    """What it was last trained on with; None where it was dropped."""


def look_up(journal: Path, tickets: Iterable[int]) -> dict[int, Ended]:
    """The pairs of these tickets; what is not in the journal is left out."""
    wanted, ledger = set(tickets), Ledger()
    found: dict[int, Ended] = {}
    if not wanted:
        return found
    for record in Reader(journal).records():
        match record:
            case Sampled(ticket=ticket) if ticket in wanted:
                found[ticket] = Ended(record)
            case Sampled(repeats=int(ticket)) if _same(found.get(ticket), record):
                found[record.ticket] = found[ticket]
            case Vote(ticket=ticket) if ticket in found:
                put(found[ticket].votes, record)
            case Step():
                _trained(found, ledger, record)
        ledger.fold(record)
    for ticket, turn in ledger.turns.items():
        if ticket in found:
            found[ticket].slots = max(found[ticket].slots, turn.slots)
    return found


def _same(ended: Ended | None, again: Sampled) -> bool:
    """Whether a later turn is of the same pair, and not just of the same prompt."""
    return ended is not None and (again.first, again.second) == (
        ended.sampled.first,
        ended.sampled.second,
    )


def _trained(found: Mapping[int, Ended], ledger: Ledger, step: Step) -> None:
    for ticket in step.tickets:
        if ticket in found:
            turn: Turn = ledger.turns[ticket]
            found[ticket].label, found[ticket].slots = turn.label, turn.slots


def corrected(
    ended: Ended, votes: Iterable[Vote], ledger: Ledger, rule: str, number: int
) -> list[Record]:
    """The pair's next turn, if late answers give it another label than it had.

    It bears the ticket `number` and is labelled at once: the next batch that is formed
    has it.
    """
    for vote in votes:
        put(ended.votes, vote)
    now, old = time.time(), ended.sampled
    label = labelling.resolve(
        number, ended.votes, ended.slots, rule, now, may_ask=False
    )
    trained = ended.label.chosen if ended.label else None
    for ticket, turn in ledger.turns.items():
        if turn.sampled and turn.sampled.repeats == old.ticket and turn.label:
            # Corrected before, and not trained on since.
            if isinstance(label, Label) and label.chosen != trained:
                same = turn.label.chosen == label.chosen
                return [] if same else [replace(label, ticket=ticket)]
            back = replace(turn.label, chosen=None, reason=Reason.BACK, time=now)
            return [back] if turn.label.chosen else []
    if not isinstance(label, Label) or label.chosen in (None, trained):
        return []
    again = Sampled(
        ticket=number,
        epoch=old.epoch,
        prompt=old.prompt,
        messages=old.messages,
        prompt_tokens=old.prompt_tokens,
        first=old.first,
        second=old.second,
        step=old.step,
        time=now,
        repeats=old.ticket,
    )
    return [again, Submitted(tickets=(again.ticket,), time=now), label]
