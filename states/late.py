"""Answers to pairs that have ended: how these stood, and what follows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace

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
from onlinedpo.states.turns import put


@dataclass(slots=True)
class Ended:
    """A pair that has ended, as it stood, with the answers that came after."""

    sampled: Sampled
    slots: int = 0
    votes: dict[int, Vote] = field(default_factory=dict)
    label: Label | None = None
    """What it was last trained on with; None where it was dropped."""


class Past:
    """The pairs of some tickets that have ended, found again as facts come in."""

    def __init__(self, tickets: Iterable[int]) -> None:
        """Of these tickets, and of later ones that repeat their pairs."""
        self.wanted = frozenset(tickets)
        self._found: dict[int, Ended] = {}

    def take(self, record: Record, ledger: Ledger) -> None:
        """Take one fact in; `ledger` is where all stood before it."""
        found = self._found
        match record:
            case Sampled(ticket=ticket) if ticket in self.wanted:
                found[ticket] = Ended(record)
            case Sampled(repeats=int(ticket)) if ticket in found:
                if record.is_again(found[ticket].sampled):
                    found[record.ticket] = found[ticket]
            case Vote(ticket=ticket) if ticket in found:
                put(found[ticket].votes, record)
            case Step(tickets=tickets):
                for ticket in tickets:
                    if ticket in found:
                        turn, pair = ledger.turns[ticket], found[ticket]
                        pair.label, pair.slots = turn.label, turn.slots

    def __contains__(self, ticket: int) -> bool:
        """Whether a pair of this ticket was found."""
        return ticket in self._found

    def ended(self, ledger: Ledger) -> dict[int, Ended]:
        """The pairs as they stand now, by ticket; not known ones are left out."""
        copies = {id(pair): copy(pair) for pair in self._found.values()}
        for pair in copies.values():
            pair.votes = dict(pair.votes)
        found = {ticket: copies[id(pair)] for ticket, pair in self._found.items()}
        for ticket in found.keys() & ledger.turns.keys():
            found[ticket].slots = max(found[ticket].slots, ledger.turns[ticket].slots)
        return found


def corrections(
    ended: Mapping[int, Ended],
    votes: Sequence[Vote],
    ledger: Ledger,
    rule: str,
    now: float,
) -> list[Record]:
    """The next turns of pairs that late answers give another label than they had."""
    number, turns = ledger.next_ticket, list[Record]()
    # A pair that was corrected before is there once for each of its tickets.
    for pair in {id(pair): pair for pair in ended.values()}.values():
        late = [vote for vote in votes if ended.get(vote.ticket) is pair]
        if late:
            again = _corrected(pair, late, ledger, rule, number, now)
            number += len(again) > 1
            turns += again
    return turns


def _corrected(
    ended: Ended,
    votes: Iterable[Vote],
    ledger: Ledger,
    rule: str,
    number: int,
    now: float,
) -> list[Record]:
    """One pair's next turn: with the ticket `number`, and labelled at once.

    The next batch that is formed has it.
    """
    for vote in votes:
        put(ended.votes, vote)
    old = ended.sampled
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
    again = replace(old, ticket=number, time=now, repeats=old.ticket)
    return [again, Submitted(tickets=(number,), time=now), label]
