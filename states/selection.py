"""Which events of a run are asked for: by pair, prompt, state, step, source or kind."""

from __future__ import annotations

from collections.abc import Collection, Set
from dataclasses import dataclass, field

from onlinedpo.states import records as r
from onlinedpo.states.lifecycle import Phase, by_table


def tickets_of(record: r.Record) -> tuple[int, ...]:
    """The pairs that a record is about, by their tickets."""
    match record:
        case r.Submitted() | r.Step() | r.Rewound():
            return record.tickets
        case r.Restored():
            return (record.sampled.ticket,)
        case r.Sampled(repeats=int(before)):
            return (record.ticket, before)
    ticket = getattr(record, "ticket", None)
    return () if ticket is None else (ticket,)


class Moves:
    """A `Move` by the table that notes where to prompts were moved."""

    def __init__(self) -> None:
        """Nothing has moved yet."""
        self.into: set[Phase] = set()

    def __call__(self, phase: Phase, trigger: str) -> Phase:
        """Move, and note it; raises `IllegalMove`."""
        moved = by_table(phase, trigger)
        self.into.add(moved)
        return moved


@dataclass(slots=True, kw_only=True)
class Selection:
    """What is asked for.  All that is given has to hold of an event.

    Records are to be shown to it in their order, all of them: a prompt is known by the
    pairs that were sampled from it.
    """

    tickets: Set[int] | None = None
    """Pairs, of which it has to be about one."""
    prompt: int | None = None
    """A prompt, by its place in the data: all of its turns."""
    phase: Phase | None = None
    """Where the event has moved a prompt to, by the table of transitions."""
    source: str = ""
    """Who spoke: "judge" gives verdicts and labels, "human" and "file" the rest."""
    kinds: Collection[type] = ()
    _turns: set[int] = field(default_factory=set)

    def takes(self, record: r.Record, into: Collection[Phase]) -> bool:
        """Whether a record, which moved prompts into these phases, is asked for."""
        if self.prompt is not None:
            self._follow(record)
            if self._turns.isdisjoint(tickets_of(record)):
                return False
        if self.tickets is not None and self.tickets.isdisjoint(tickets_of(record)):
            return False
        return (
            (self.phase is None or self.phase in into)
            and (not self.source or self.source == source_of(record))
            and (not self.kinds or type(record) in self.kinds)
        )

    def _follow(self, record: r.Record) -> None:
        if isinstance(record, r.Restored):
            record = record.sampled
        if isinstance(record, r.Sampled) and record.prompt == self.prompt:
            self._turns.add(record.ticket)


def source_of(record: r.Record) -> str:
    """Who spoke in a record: "judge", "human" or "file"; empty where nobody did."""
    if isinstance(record, r.Verdict | r.Ranked):
        return "judge"
    return record.source if isinstance(record, r.Label | r.Vote) else ""
