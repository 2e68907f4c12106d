"""Where every prompt stands: the fold of all facts, and the only source of state.

The live run and every reader build it from the same records with the same `fold`.  It
holds the pairs in flight and counters for the rest, so it does not grow with the
journal.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self

from onlinedpo.states import records as r
from onlinedpo.states.errors import IllegalMove
from onlinedpo.states.lifecycle import FINAL, Move, Phase, by_table


@dataclass(slots=True)
class Turn:
    """One prompt in flight: its facts so far."""

    phase: Phase
    sampled: r.Sampled | None = None
    verdicts: list[r.Verdict] = field(default_factory=list)
    label: r.Label | None = None


@dataclass(frozen=True, slots=True)
class LabelledPair:
    """What a step trains on."""

    sampled: r.Sampled
    label: r.Label


@dataclass(slots=True)
class Round:
    """What was sampled and judged since the last step."""

    sampled: int = 0
    tokens: int = 0
    ended: int = 0
    truncated: int = 0
    judged: int = 0
    agreed: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def add_sampled(self, pair: r.Sampled) -> None:
        """Count a fresh pair."""
        self.sampled += 1
        self.truncated += pair.truncated
        for completion in (pair.first, pair.second):
            self.tokens += len(completion.tokens)
            self.ended += completion.finish == "stop"


class Ledger:
    """The state of a run."""

    def __init__(self, move: Move = by_table) -> None:
        """`move` fires the transitions: by table for readers, by machine when live."""
        self._move = move
        self.opened: r.RunOpened | None = None
        self.environment: dict[str, str] = {}
        self.changed: dict[str, object] = {}
        self.turns: dict[int, Turn] = {}
        self.next_ticket = 0
        self.steps = 0
        self.finished: Counter[Phase] = Counter()
        self.dropped: Counter[str] = Counter()
        self.round = Round()
        self.seconds: dict[str, float] = {}
        self.checkpoints: dict[int, str] = {}
        self.last_step: r.Step | None = None
        self.reference: r.HeldOut | None = None
        self.evaluations: list[r.Evaluated] = []
        self.tails: list[r.TailCut] = []

    def moved_by(self, move: Move) -> Self:
        """The same ledger, moved in another way from here on."""
        self._move = move
        return self

    # -- reading ---------------------------------------------------------------

    @property
    def settings(self) -> dict[str, Any]:
        """The settings in force: those that the run began with, and later changes."""
        began = self.opened.settings if self.opened else {}
        return {**began, **self.changed}

    def in_phase(self, phase: Phase) -> list[Turn]:
        """The turns in flight at a phase, in the order of their tickets."""
        return [turn for turn in self.turns.values() if turn.phase is phase]

    def pairs(self, phase: Phase) -> list[r.Sampled]:
        """The pairs in flight at a phase, in the order of their tickets."""
        return [t.sampled for t in self.in_phase(phase) if t.sampled is not None]

    def batch(self, size: int) -> list[LabelledPair]:
        """The pairs the next step trains on; empty while it is not due.

        A step is due when `size` pairs are labelled, or when some are and no other pair
        is still on its way to a label.
        """
        labelled = self.labelled()
        waiting = len(self.turns) - len(labelled)
        if len(labelled) >= size or (labelled and not waiting):
            return labelled[:size]
        return []

    def labelled(self) -> list[LabelledPair]:
        """All labelled pairs, in the order of their tickets."""
        return [
            LabelledPair(turn.sampled, turn.label)
            for turn in self.turns.values()
            if turn.phase is Phase.LABELLED and turn.sampled and turn.label
        ]

    def counts(self) -> dict[Phase, int]:
        """How many prompts stand at each phase, the finished ones included."""
        counts = Counter(turn.phase for turn in self.turns.values()) + self.finished
        return {phase: counts[phase] for phase in Phase if phase is not Phase.QUEUED}

    def evaluated(self, step: int) -> bool:
        """Whether the policy after `step` steps has its win rate."""
        return any(e.step == step for e in self.evaluations)

    # -- folding ---------------------------------------------------------------

    def fold(self, record: r.Record) -> None:
        """Take one fact in.

        Raises `IllegalMove` where the transition table or the order of facts forbids
        it; the ledger is then not to be used any more.
        """
        match record:
            case r.RunOpened():
                self._expect(self.opened is None, "a run is opened once")
                self.opened = record
            case r.ProcessStarted():
                self.environment = record.environment
                self.changed |= record.changed
            case r.TailCut():
                self.tails.append(record)
            case r.Sampled(ticket=ticket):
                self._admit(ticket).sampled = record
                self._fire(ticket, "sample")
                self.round.add_sampled(record)
            case r.Submitted(tickets=tickets):
                for ticket in tickets:
                    self._fire(ticket, "submit")
            case r.Verdict(ticket=ticket):
                turn = self._turn(ticket)
                self._expect(
                    turn.phase is Phase.JUDGING,
                    f"prompt {ticket}: a verdict on a pair that was not asked about",
                )
                turn.verdicts.append(record)
            case r.Label(ticket=ticket):
                self._turn(ticket).label = record
                self._fire(ticket, "label")
                self.round.judged += 1
                self.round.agreed += 1
            case r.Dropped(ticket=ticket, reason=reason):
                if ticket == self.next_ticket:
                    self._admit(ticket)
                self.round.judged += self._turn(ticket).phase is Phase.JUDGING
                self._fire(ticket, "drop")
                self.dropped[reason] += 1
                self.round.dropped[reason] += 1
            case r.Step():
                self._step(record)
            case r.HeldOut():
                self.reference = record
            case r.Evaluated():
                self.evaluations.append(record)

    def _step(self, step: r.Step) -> None:
        self._expect(
            step.index == self.steps + 1, f"step {step.index} after step {self.steps}"
        )
        for ticket in step.tickets:
            self._fire(ticket, "apply")
        self.steps = step.index
        self.last_step = step
        for what, seconds in step.seconds.items():
            self.seconds[what] = self.seconds.get(what, 0.0) + seconds
        self.round = Round()
        if step.state:
            self.checkpoints[step.index] = step.state

    def _admit(self, ticket: int) -> Turn:
        self._expect(
            ticket == self.next_ticket,
            f"prompt {ticket} is sampled out of turn ({self.next_ticket} is next)",
        )
        self.next_ticket += 1
        turn = self.turns[ticket] = Turn(Phase.QUEUED)
        return turn

    def _turn(self, ticket: int) -> Turn:
        turn = self.turns.get(ticket)
        if turn is None:
            known = "has ended already" if ticket < self.next_ticket else "is not known"
            raise IllegalMove(f"prompt {ticket} {known}")
        return turn

    def _fire(self, ticket: int, trigger: str) -> None:
        turn = self._turn(ticket)
        try:
            turn.phase = self._move(turn.phase, trigger)
        except IllegalMove as error:
            raise IllegalMove(f"prompt {ticket}: {error}") from None
        if turn.phase in FINAL:
            self.finished[turn.phase] += 1
            del self.turns[ticket]

    @staticmethod
    def _expect(holds: bool, otherwise: str) -> None:
        if not holds:
            raise IllegalMove(otherwise)
