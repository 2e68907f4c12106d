"""Where every prompt stands, and what can be asked of it.

It holds the pairs in flight, counters for the rest, and 16 bytes for each file that a
person saved; so it does not grow with the journal.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from typing import Any

from onlinedpo.states import records as r
from onlinedpo.states.answers import Ask
from onlinedpo.states.errors import IllegalMove
from onlinedpo.states.given import must_be_known
from onlinedpo.states.lifecycle import Phase
from onlinedpo.states.turns import LabelledPair, Round, Turn


def trains_ties(settings: Mapping[str, Any]) -> bool:
    """Whether settings, as the journal keeps them, want ties to be trained on."""
    return bool(settings.get("ties", "drop") != "drop")


class Standing:
    """The state of a run, to be asked."""

    def __init__(self) -> None:
        """Nothing has happened yet."""
        self.opened: r.RunOpened | None = None
        self.derived: r.Derived | None = None
        self.environment: dict[str, str] = {}
        self.changed: dict[str, object] = {}
        self.turns: dict[int, Turn] = {}
        self.next_ticket = 0
        self.place = 0
        """How many turns the order of prompts has given: the rest were repeats."""
        self.again: deque[tuple[int, int, int]] = deque()
        """(ticket, epoch, prompt) of each prompt that is to be sampled again."""
        self.planned: deque[tuple[int, ...]] = deque()
        """Batches that a rewind left to be trained on again."""
        self.restored: dict[int, r.Restored] = {}
        self.read: dict[str, bytes] = {}
        """What people saved, by its place below labels/, in its newest version."""
        self.asked = 0
        """Answers asked of people, in all."""
        self.late = 0
        """Answers that came after their pair had ended."""
        self.steps = 0
        self.finished: Counter[Phase] = Counter()
        self.dropped: Counter[str] = Counter()
        self.round = Round()
        self.last_round = Round()
        """The tally of the last step before which the policy drew anything."""
        self.seconds: dict[str, float] = {}
        self.checkpoints: dict[int, str] = {}
        self.last_step: r.Step | None = None
        self.reference: r.HeldOut | None = None
        self.evaluations: list[r.Evaluated] = []
        self.tails: list[r.TailCut] = []

    @property
    def settings(self) -> dict[str, Any]:
        """The settings in force: those that the run began with, and later changes."""
        began = self.opened.settings if self.opened else {}
        return {**began, **self.changed}

    def change_settings(self, changed: Mapping[str, Any]) -> None:
        """Change some of them; raises `IllegalMove` where no run can have them."""
        self.changed |= changed
        must_be_known(self.settings)

    def take_held_out(self, fact: r.HeldOut | r.Evaluated) -> None:
        """Take in answers to held-out prompts; raises `IllegalMove`."""
        if flaw := fact.flaw():
            raise IllegalMove(f"held-out prompts: {flaw}")
        if isinstance(fact, r.HeldOut):
            self.reference = fact
        else:
            self.evaluations.append(fact)

    def in_phase(self, phase: Phase) -> list[Turn]:
        """The turns in flight at a phase, in the order of their tickets."""
        return [turn for turn in self.turns.values() if turn.phase is phase]

    def pairs(self, phase: Phase) -> list[r.Sampled]:
        """The pairs in flight at a phase, in the order of their tickets."""
        return [t.sampled for t in self.in_phase(phase) if t.sampled is not None]

    def to_judge(self) -> list[r.Sampled]:
        """The pairs that a judge has yet to see, in the order of their tickets."""
        return [
            t.sampled for t in self.in_phase(Phase.JUDGING) if t.sampled and not t.slots
        ]

    def waiting(self) -> list[Turn]:
        """The turns that wait for people, in the order of their tickets."""
        return [turn for turn in self.turns.values() if turn.waits]

    def open_asks(self) -> Iterator[Ask]:
        """Every answer that is wanted of people: also where one decides already."""
        for turn in self.turns.values():
            if turn.slots:
                yield from turn.asks

    def plan(self) -> tuple[int, ...] | None:
        """The batch that a rewind has named to come next, if there is one."""
        for planned in self.planned:
            for ticket in planned:
                turn = self.turns.get(ticket)
                if turn and (turn.label is None or self.trains_on(turn.label)):
                    return planned
        return None

    def batch(self, size: int) -> list[LabelledPair]:
        """The pairs the next step trains on; empty while it is not due.

        A step is due when `size` pairs are labelled, or when some are and no other pair
        is still on its way to a label; or when all that a rewind has named are.
        """
        labelled = self.labelled()
        ahead = {n for n, t in self.turns.items() if t.phase is not Phase.LABELLED}
        if planned := self.plan():
            pairs = [pair for pair in labelled if pair.sampled.ticket in planned]
            return [] if ahead & set(planned) else pairs
        if len(labelled) >= size or (labelled and not ahead):
            return labelled[:size]
        return []

    def trains_on(self, label: r.Label) -> bool:
        """Whether a pair with this label is trained on: it has a winner, or is a tie.

        Ties are trained on where the setting `ties` wants it.
        """
        if label.chosen:
            return True
        return label.reason == r.Reason.TIE and trains_ties(self.settings)

    def labelled(self) -> list[LabelledPair]:
        """All pairs to be trained on, in the order of their tickets."""
        return [
            LabelledPair(turn.sampled, turn.label)
            for turn in self.in_phase(Phase.LABELLED)
            if turn.sampled and turn.label and self.trains_on(turn.label)
        ]

    def undecided(self) -> list[r.Label]:
        """Labels not to be trained on: they stand until the next step is taken."""
        return [
            turn.label
            for turn in self.in_phase(Phase.LABELLED)
            if turn.label and not self.trains_on(turn.label)
        ]

    def settled_without_winner(self) -> list[r.Label]:
        """The same, if they are all that is in flight: then no step is to come."""
        undecided = self.undecided()
        return undecided if len(undecided) == len(self.turns) else []

    def counts(self) -> dict[Phase, int]:
        """How many prompts stand at each phase, the finished ones included."""
        counts = Counter(turn.phase for turn in self.turns.values()) + self.finished
        return {phase: counts[phase] for phase in Phase if phase is not Phase.QUEUED}

    def evaluated(self, step: int) -> bool:
        """Whether the policy after `step` steps has its win rate."""
        return any(e.step == step for e in self.evaluations)
