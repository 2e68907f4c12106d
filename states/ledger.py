"""The fold of all facts into where every prompt stands: the only source of state.

The live run and every reader build it from the same records with the same `fold`.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace
from typing import Self

from onlinedpo.states import records as r
from onlinedpo.states.answers import version
from onlinedpo.states.errors import IllegalMove
from onlinedpo.states.labelling import decide
from onlinedpo.states.lifecycle import FINAL, Move, Phase, by_table
from onlinedpo.states.standing import Standing
from onlinedpo.states.turns import LabelledPair as LabelledPair
from onlinedpo.states.turns import Round as Round
from onlinedpo.states.turns import Turn as Turn


class Ledger(Standing):
    """The state of a run, as its facts come in."""

    def __init__(self, move: Move = by_table) -> None:
        """`move` fires the transitions: by table for readers, by machine when live."""
        super().__init__()
        self._move = move

    def moved_by(self, move: Move) -> Self:
        """The same ledger, moved in another way from here on."""
        self._move = move
        return self

    def fold(self, record: r.Record) -> None:
        """Take one fact in.

        Raises `IllegalMove` where the transition table or the order of facts forbids
        it; the ledger is then not to be used any more.
        """
        match record:
            # The most frequent come first: a journal may have millions of them.
            case r.Verdict(ticket=ticket):
                self._judging(ticket, "a verdict").verdicts.append(record)
            case r.Sampled():
                self._sampled(record)
            case r.Label():
                self._labelled(record)
            case r.Dropped():
                self._dropped(record)
            case r.Submitted(tickets=tickets):
                for ticket in tickets:
                    self._fire(ticket, "submit")
            case r.Step():
                self._step(record)
            case r.RunOpened():
                self._expect(self.opened is None, "a run is opened once")
                self.opened = record
                self.change_settings({})
            case r.Derived():
                self._derived(record)
            case r.ProcessStarted():
                self.environment = record.environment
                self.change_settings(record.changed)
            case r.TailCut():
                self.tails.append(record)
            case r.Escalated():
                self._escalated(record)
            case r.Vote():
                self._voted(record)
            case r.Kept(path=path, raw=raw):
                self.read[path] = version(raw)
            case r.Bundle(path=path, kept_as=kept_as, sha256=digest):
                self.read[path] = self.read[kept_as] = bytes.fromhex(digest)
            case r.Withdrawn(ticket=ticket):
                self._fire(ticket, "withdraw")
                self._turn(ticket).label = None
            case r.Restored(sampled=sampled):
                self.restored[sampled.ticket] = record
            case r.Rewound():
                self._rewind(record)
            case r.Ranked(ticket=ticket):
                turn = self._turn(ticket)
                self._expect(
                    turn.phase is Phase.SAMPLED, f"prompt {ticket} is ranked too late"
                )
            case r.HeldOut() | r.Evaluated():
                self.take_held_out(record)

    def _derived(self, derived: r.Derived) -> None:
        self._expect(self.opened is not None, "a run is opened before it is derived")
        assert self.opened is not None
        # What is salvaged of a run is still what the run was.
        if self.derived is None or derived.purpose != "salvage":
            self.derived = derived
        if derived.purpose != "salvage":
            # What the copied steps took was another run's time.
            self.seconds = {}
        self.change_settings(derived.changed)
        self.opened = replace(self.opened, judge=derived.judge)

    def _sampled(self, pair: r.Sampled) -> None:
        turn = self._admit(pair.ticket)
        drawn = pair.step == self.steps
        if pair.repeats is not None:
            self.place -= 1
            if self.again and self.again[0][0] == pair.repeats:
                self.again.popleft()
            else:
                drawn = False
        turn.sampled = pair
        self._fire(pair.ticket, "sample")
        self.round.add_sampled(pair)
        self.round.fresh += drawn

    def _escalated(self, asked: r.Escalated) -> None:
        turn = self._judging(asked.ticket, "people are asked")
        if turn.verdicts and not turn.slots:
            self.round.add_judged(decide(turn.verdicts, asked.time))
        self._fire(asked.ticket, "escalate")
        self.asked += asked.slots - turn.slots
        turn.slots = asked.slots
        turn.since = turn.since or asked.time

    def _voted(self, vote: r.Vote) -> None:
        digest = version(vote.raw)
        folder, _, name = vote.path.partition("/")
        if folder == "done":
            # The move there was made: what bears the old name now is new.
            self.read.pop(f"todo/{name}", None)
        self.read[vote.path] = self.read[vote.kept_as] = digest
        turn = self.turns.get(vote.ticket)
        if turn is None:
            self._expect(
                vote.ticket < self.next_ticket, f"prompt {vote.ticket} is not known"
            )
            self.late += 1
        else:
            self._expect(
                turn.answerable,
                f"prompt {vote.ticket}: an answer to what was not asked",
            )
            turn.add_vote(vote)

    def _labelled(self, label: r.Label) -> None:
        turn = self._turn(label.ticket)
        again = turn.phase is Phase.LABELLED
        self._fire(label.ticket, "relabel" if again else "label")
        turn.label = label
        if label.source == "judge" and not again and not turn.slots:
            self.round.add_judged(label)

    def _dropped(self, drop: r.Dropped) -> None:
        if drop.ticket == self.next_ticket:
            self._admit(drop.ticket)
        turn = self._turn(drop.ticket)
        if turn.phase is Phase.JUDGING and not turn.slots:
            self.round.add_judged(drop)
        if drop.reason == r.Reason.REQUEUED and turn.sampled:
            pair = turn.sampled
            self.again.append((pair.ticket, pair.epoch, pair.prompt))
        self._fire(drop.ticket, "drop")
        self.dropped[drop.reason] += 1
        self.round.dropped[drop.reason] += 1

    def _rewind(self, rewound: r.Rewound) -> None:
        self._expect(rewound.to <= self.steps, f"step {rewound.to} is yet to come")
        self.steps, self.last_step = rewound.to, None
        self.round = self.last_round = Round()
        for step in [s for s in self.checkpoints if s > self.steps]:
            del self.checkpoints[step]
        self.evaluations = [e for e in self.evaluations if e.step <= self.steps]
        planned = [ticket for batch in rewound.batches for ticket in batch]
        known = all(0 <= ticket < self.next_ticket for ticket in planned)
        self._expect(known, "a prompt is planned that is not known")
        self.planned = deque(rewound.batches)
        for ticket in rewound.tickets:
            self._expect(ticket in self.restored, f"prompt {ticket} was not put back")
            self._restore(self.restored[ticket])
        self.turns = dict(sorted(self.turns.items()))
        self.restored = {}

    def _restore(self, pair: r.Restored) -> None:
        ticket = pair.sampled.ticket
        ended = Phase.DROPPED if pair.was else Phase.APPLIED
        self._expect(ticket not in self.turns, f"prompt {ticket} has not ended")
        self.turns[ticket] = Turn(
            ended,
            pair.sampled,
            list(pair.verdicts),
            pair.slots,
            {vote.slot: vote for vote in pair.votes},
            pair.label,
        )
        self._fire(ticket, "rewind")
        self.finished[ended] -= 1
        if pair.was:
            self.dropped -= Counter({pair.was: 1})
            # Trained on as it is, the prompt needs no other turn.
            self.again = deque(turn for turn in self.again if turn[0] != ticket)

    def _step(self, step: r.Step) -> None:
        self._expect(
            step.index == self.steps + 1, f"step {step.index} after step {self.steps}"
        )
        self._expect(not step.flaw(), f"step {step.index}: {step.flaw()}")
        for ticket in step.tickets:
            self._fire(ticket, "apply")
        while self.planned and not set(self.planned.popleft()) & set(step.tickets):
            pass
        self.steps = step.index
        self.last_step = step
        for what, seconds in step.seconds.items():
            self.seconds[what] = self.seconds.get(what, 0.0) + seconds
        if self.round.fresh:
            self.last_round = self.round
        self.round = Round()
        if step.state:
            self.checkpoints[step.index] = step.state

    def _admit(self, ticket: int) -> Turn:
        self._expect(
            ticket == self.next_ticket,
            f"prompt {ticket} is sampled out of turn ({self.next_ticket} is next)",
        )
        self.next_ticket += 1
        self.place += 1
        turn = self.turns[ticket] = Turn(Phase.QUEUED)
        return turn

    def _turn(self, ticket: int) -> Turn:
        turn = self.turns.get(ticket)
        if turn is None:
            known = "has ended already" if ticket < self.next_ticket else "is not known"
            raise IllegalMove(f"prompt {ticket} {known}")
        return turn

    def _judging(self, ticket: int, what: str) -> Turn:
        turn = self._turn(ticket)
        self._expect(
            turn.phase is Phase.JUDGING,
            f"prompt {ticket}: {what} on a pair that was not asked about",
        )
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
