"""From a step back to the judgements behind it, and from a pair on to its steps.

Collected in one pass over a run's records.  What is kept are the steps that are asked
for and the pairs in them, so it does not grow with the journal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from onlinedpo.states import records as r
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.lifecycle import Phase
from onlinedpo.states.turns import Turn


@dataclass(slots=True)
class Training:
    """A step as it was taken, and pairs of it as they stood when it was."""

    frame: int
    step: r.Step
    turns: dict[int, Turn]
    settings: dict[str, Any]
    """The settings in force."""
    environment: dict[str, str]
    undone: r.Rewound | None = None
    """The rewind that undid it, if one did."""

    def margin(self, ticket: int) -> float:
        """The reward margin of one of its pairs, before the step."""
        return self.step.margins[self.step.tickets.index(ticket)]


class Lineage:
    """What led to a step, and what became of pairs."""

    def __init__(
        self, *, step: int = 0, tickets: Iterable[int] = (), prompt: int | None = None
    ) -> None:
        """Of the step with this index, of pairs, or of all turns of a prompt.

        With a pair go the later turns that repeat it.
        """
        self.ledger = Ledger()
        self.trainings: list[Training] = []
        """In the order they were taken in, the undone ones among them."""
        self.tickets = dict.fromkeys(tickets)
        """The pairs that are asked for, in order."""
        self.names: dict[int, str] = {}
        self.dropped: dict[int, r.Dropped] = {}
        self.late: dict[int, list[r.Vote]] = {}
        """Answers that came after their pair had ended."""
        self._index, self._prompt = step, prompt
        self._ended: dict[int, Turn] = {}

    def take(self, frame: int, record: r.Record) -> None:
        """Take one fact in; raises `IllegalMove`, as the ledger does."""
        match record:
            case r.Step():
                self._trained(frame, record)
            case r.Dropped(ticket=ticket) if ticket in self.tickets:
                self.dropped[ticket] = record
                if turn := self.ledger.turns.get(ticket):
                    self._ended[ticket] = turn
            case r.Vote(ticket=ticket) if ticket in self.tickets:
                if ticket not in self.ledger.turns:
                    self.late.setdefault(ticket, []).append(record)
            case r.Sampled():
                self._sampled(record)
            case r.Rewound():
                self._rewound(record)
        self.ledger.fold(record)

    def turn(self, ticket: int) -> Turn | None:
        """A pair as it stands, or stood when it ended; None if it was not sampled."""
        return self.ledger.turns.get(ticket) or self._ended.get(ticket)

    def phase(self, ticket: int) -> Phase | None:
        """Where a pair stands; None where the journal does not have it."""
        if turn := self.ledger.turns.get(ticket):
            return turn.phase
        if ticket in self.dropped:
            return Phase.DROPPED
        return Phase.APPLIED if ticket in self._ended else None

    def trained_on(self, ticket: int) -> list[Training]:
        """The steps that were taken on a pair, the undone ones among them."""
        return [t for t in self.trainings if ticket in t.step.tickets]

    def _sampled(self, pair: r.Sampled) -> None:
        if pair.prompt == self._prompt or pair.repeats in self.tickets:
            self.tickets[pair.ticket] = None
        if pair.ticket in self.tickets:
            self.names[pair.ticket] = pair.pair

    def _trained(self, frame: int, step: r.Step) -> None:
        if step.index == self._index:
            wanted = [*step.tickets]
        else:
            wanted = [ticket for ticket in step.tickets if ticket in self.tickets]
        turns = {n: self.ledger.turns[n] for n in wanted if n in self.ledger.turns}
        if turns:
            ledger = self.ledger
            self.trainings.append(
                Training(frame, step, turns, ledger.settings, ledger.environment)
            )
            self._ended |= {n: t for n, t in turns.items() if n in self.tickets}

    def _rewound(self, rewound: r.Rewound) -> None:
        for training in self.trainings:
            if training.step.index > rewound.to and training.undone is None:
                training.undone = rewound
        for ticket in rewound.tickets:
            self.dropped.pop(ticket, None)
