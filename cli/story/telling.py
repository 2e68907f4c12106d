"""The line that `onlinedpo replay` writes for an event, as the events come in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from onlinedpo.cli import words
from onlinedpo.cli.story import words as story
from onlinedpo.journal import codec
from onlinedpo.journal.field_types import IMPOSSIBLE
from onlinedpo.journal.reader import Place
from onlinedpo.states import records as r
from onlinedpo.states.errors import JournalError
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.selection import Moves, Selection


class Event(NamedTuple):
    """A record, the place of its frame, and which of all records it is, from 1 on."""

    place: Place
    number: int
    record: r.Record


class Teller:
    """Folds all events in, and tells of those that are asked for.

    It holds what the ledger holds, and the names of pairs in flight.
    """

    def __init__(
        self, selection: Selection, write: Callable[[str], Any], *, as_json: bool
    ) -> None:
        """Nothing has happened yet; `write` gets whole lines."""
        self.moves = Moves()
        self.ledger = Ledger(self.moves)
        self._selection, self._write, self._as_json = selection, write, as_json
        self._names: dict[int, str] = {}
        self.told = 0

    def take(self, event: Event) -> None:
        """Fold an event in and tell of it; raises `IllegalMove`, naming the frame."""
        record = event.record
        ticket = getattr(record, "ticket", None)
        # Looked up before the event may end the turn.
        turn = None if ticket is None else self.ledger.turns.get(ticket)
        self.moves.into.clear()
        # Not `named`: there may be a million events.
        try:
            self.ledger.fold(record)
        except (JournalError, *IMPOSSIBLE) as error:
            raise event.place.blamed(error) from error
        if self._selection.takes(record, self.moves.into):
            name = self._name(record, ticket, turn.sampled if turn else None)
            self.told += 1
            self._write((self._map if self._as_json else _line)(event, name) + "\n")
        if ticket is not None and ticket not in self.ledger.turns:
            self._names.pop(ticket, None)
        elif isinstance(record, r.Step):
            for ended in record.tickets:
                self._names.pop(ended, None)

    def standing(self) -> str:
        """Where every prompt stands now."""
        ledger = self.ledger
        if self._as_json:
            counts = {phase.value: n for phase, n in ledger.counts().items()}
            dropped = dict(ledger.dropped)
            return story.as_json(
                {"standing": counts, "step": ledger.steps, "dropped": dropped}
            )
        counts_line, drops = words.counts_line(ledger), words.drops_line(ledger)
        return f"after step {ledger.steps}: {counts_line}; dropped: {drops}"

    def _map(self, event: Event, name: str) -> str:
        place = {"frame": event.place.number, "event": event.number}
        pair = {"pair": name} if name else {}
        return story.as_json(place | pair | codec.as_map(event.record))

    def _name(
        self, record: r.Record, ticket: int | None, sampled: r.Sampled | None
    ) -> str:
        """The pair that a record is about, where it is about one."""
        if isinstance(record, r.Restored):
            return record.sampled.pair
        if ticket is None:
            return ""
        if isinstance(record, r.Sampled):
            sampled = record
        # The name is a digest of all tokens: it is taken once for a pair in flight.
        if ticket not in self._names and sampled:
            self._names[ticket] = sampled.pair
        return self._names.get(ticket, f"{ticket:06d}")


def _line(event: Event, name: str) -> str:
    what = story.said(event.record)
    pair = f"{name:<15}  " if name else ""
    at = story.when(event.record.time, "%m-%d %H:%M:%S")
    return f"{at} {event.place.number:>6}  {pair}{what}"
