"""Answers that came after their pair had ended, and the turns that follow from them.

What the pairs had been is found by a second reading, once for all of them: so that the
first has to keep nothing of pairs that have ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from onlinedpo.states.late import Ended, Past, corrections
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import Record, Sampled, Step, Vote
from onlinedpo.states.rederive.mismatch import NOTHING, Mismatch, must_agree
from onlinedpo.states.rederive.people import Take
from onlinedpo.states.turns import slot_for


def check(
    takes: Iterable[Take], frames: Iterable[tuple[int, Sequence[Record]]]
) -> None:
    """Derive what followed from late answers; raises `Mismatch` with its place.

    `frames` are the journal's from the beginning, by number.
    """
    waiting = deque((take, Past(v.ticket for v, _ in take.late)) for take in takes)
    ledger, concerned = Ledger(), _Concerned(past for _, past in waiting)
    for number, batch in frames:
        while waiting and waiting[0][0].number == number:
            take, past = waiting.popleft()
            concerned.forget(past)
            try:
                _check(take, past.ended(ledger), ledger)
            except Mismatch as mismatch:
                mismatch.where = take.where
                raise
        if not waiting:
            return
        for record in batch:
            for past in concerned.by(record):
                past.take(record, ledger)
                concerned.know(past, record)
            ledger.fold(record)


class _Concerned:
    """Which pairs that are looked for a fact is about."""

    def __init__(self, pasts: Iterable[Past]) -> None:
        self._by_ticket: dict[int, list[Past]] = {}
        for past in pasts:
            for ticket in past.wanted:
                self._by_ticket.setdefault(ticket, []).append(past)

    def by(self, record: Record) -> Iterator[Past]:
        match record:
            case Sampled(ticket=ticket, repeats=repeats):
                tickets: Sequence[int | None] = (ticket, repeats)
            case Vote(ticket=ticket):
                tickets = (ticket,)
            case Step(tickets=tickets):
                pass
            case _:
                return iter(())
        found = chain(*(self._by_ticket.get(n, ()) for n in tickets if n is not None))
        return iter({id(past): past for past in found}.values())

    def know(self, past: Past, record: Record) -> None:
        """A pair has got another ticket, by which it is also known from here on."""
        if isinstance(record, Sampled) and record.ticket in past:
            pasts = self._by_ticket.setdefault(record.ticket, [])
            if past not in pasts:
                pasts.append(past)

    def forget(self, past: Past) -> None:
        for pasts in self._by_ticket.values():
            if past in pasts:
                pasts.remove(past)


def _check(take: Take, ended: dict[int, Ended], ledger: Ledger) -> None:
    filled: dict[int, dict[int, Vote]] = {}
    for vote, ask in take.late:
        pair = ended.get(vote.ticket)
        if pair is None:
            raise Mismatch("vote", "pair", f"{vote.ticket:06d}", NOTHING)
        name = pair.sampled.pair
        if ask and ask.pair != name:
            raise Mismatch("vote", "pair", name, ask.pair, pair=name)
        if ask and vote.source == "file":
            there = filled.setdefault(vote.ticket, dict(pair.votes))
            slot = slot_for(ask.slot, vote.annotator, there)
            if vote.slot != slot:
                raise Mismatch("vote", "slot", vote.slot, slot, pair=name)
            there[slot] = vote
    rule, requeue = take.settings.resolve, take.settings.late_labels == "requeue"
    turns = corrections(ended, take.votes, ledger, rule, 0.0) if requeue else []
    must_agree(take.turns, turns, ledger)
