"""Steps to be taken again: on which pairs, with which labels, in which batches.

A rewind and a fork write down what is planned here, and an audit plans it once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from onlinedpo.states import labelling
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import (
    Dropped,
    Label,
    Reason,
    Record,
    Restored,
    Rewound,
    Side,
    Step,
    Verdict,
    Vote,
)
from onlinedpo.states.standing import trains_ties
from onlinedpo.states.turns import Turn


@dataclass(slots=True)
class Ended:
    """A pair that has ended: with which step it left, and why if it was dropped."""

    turn: Turn
    step: int
    was: str = ""

    def restored(self, label: Label, now: float) -> Restored:
        """The pair as it stood, with another label."""
        assert self.turn.sampled is not None
        return Restored(
            sampled=self.turn.sampled,
            slots=self.turn.slots,
            verdicts=tuple(self.turn.verdicts),
            votes=tuple(self.turn.votes.values()),
            label=label,
            was=self.was,
            time=now,
        )


Choose = Callable[[Ended], Restored | None]
"""How a pair is to stand again; None where it is not to be trained on again."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be trained on again."""

    pairs: tuple[Restored, ...]
    batches: tuple[tuple[int, ...], ...]
    """The tickets of each step that comes again, in order."""
    undone: int
    before: Mapping[int, Side | None]
    """The side of each pair that was trained on, by ticket; None: dropped."""

    @property
    def tickets(self) -> tuple[int, ...]:
        """The tickets of all pairs, in order."""
        return tuple(sorted(pair.sampled.ticket for pair in self.pairs))

    def steps(self, settings: Mapping[str, Any]) -> int:
        """How many of the batches have a pair that is trained on, by these settings."""
        ties = trains_ties(settings)
        trained = {
            pair.sampled.ticket
            for pair in self.pairs
            if pair.label.chosen or (ties and pair.label.reason == Reason.TIE)
        }
        return sum(not trained.isdisjoint(batch) for batch in self.batches)

    def corrected(self) -> tuple[str, ...]:
        """Names of the pairs that have another label than they were trained on with."""
        return tuple(
            sorted(
                pair.sampled.pair
                for pair in self.pairs
                if pair.was or pair.label.chosen != self.before[pair.sampled.ticket]
            )
        )


def plan(records: Iterable[Record], to: int, choose: Choose) -> Plan:
    """What comes again where the steps after `to` are undone.

    `records` are a journal's, from its beginning up to that moment (whether the
    `Restored` facts that prepare it are among them or not).  Each pair that has ended
    since is put to `choose`.  What is trained on again comes in the batch where it was;
    what had been dropped joins the batch of the step that was the next one then.

    An audit has a `Rewound` planned again: with `as_people_say`, of the setting
    `resolve` in force there and the time of the record, it must come to the same
    `Restored` facts, tickets and batches.  In a fork with other labels these are facts
    from elsewhere: there `choose` looks the recorded `Restored` up by its ticket.
    """
    ledger = Ledger()
    past: dict[int, Ended] = {}
    for record in records:
        match record:
            case Step(index=index, tickets=tickets) if index > to:
                past |= {n: Ended(ledger.turns[n], index) for n in tickets}
            case Dropped(ticket=n, reason=why) if ledger.steps >= to:
                if (turn := ledger.turns.get(n)) and turn.sampled:
                    past[n] = Ended(turn, ledger.steps + 1, why)
            case Vote(ticket=n) if n in past:
                past[n].turn.add_vote(record)
            case Rewound(tickets=tickets):
                past = {n: p for n, p in past.items() if n not in tickets}
        ledger.fold(record)
    pairs = {
        ticket: restored
        for ticket, ended in past.items()
        if not _is_stopgap(ended, past) and (restored := choose(ended))
    }
    batches: dict[int, list[int]] = {n: [] for n in range(to + 1, ledger.steps + 1)}
    for ticket in sorted(pairs):
        at = min(max(past[ticket].step, to + 1), ledger.steps)
        batches[at].append(ticket)
    return Plan(
        pairs=tuple(pairs.values()),
        batches=tuple(tuple(batch) for batch in batches.values() if batch),
        undone=ledger.steps - to,
        before={n: _trained_on(past[n]) for n in pairs},
    )


def as_people_say(rule: str, now: float) -> Choose:
    """The label that people's answers give now, or else the one that stood.

    A pair that had been dropped comes again only if people find a winner.
    """

    def choose(ended: Ended) -> Restored | None:
        said = people_say(ended, rule, now)
        label = said or ended.turn.label
        if label is None or (ended.was and not (said and said.chosen)):
            return None
        return ended.restored(label, now)

    return choose


def only_people(rule: str, now: float) -> Choose:
    """The label that people's answers give, with or without a winner.

    What a judge had said is left out: the pair is as if people alone were asked.  One
    that had been dropped comes again only if people find a winner.
    """

    def choose(ended: Ended) -> Restored | None:
        assert ended.turn.sampled is not None
        ticket = ended.turn.sampled.ticket
        label = people_say(ended, rule, now) or _left_out(ticket, "human", now)
        if ended.was and not label.chosen:
            return None
        restored = ended.restored(label, now)
        slots = max(restored.slots, 1) if restored.votes else 0
        return replace(restored, slots=slots, verdicts=())

    return choose


def as_judged(
    ended: Ended, verdicts: tuple[Verdict, ...], now: float
) -> Restored | None:
    """The label that another judge's verdicts give, with or without a winner.

    A pair that had been dropped comes again only if there is one.
    """
    assert ended.turn.sampled is not None
    ticket = ended.turn.sampled.ticket
    label = _left_out(ticket, "judge", now)
    if verdicts:
        decided = labelling.decide(verdicts, now)
        label = (
            decided
            if isinstance(decided, Label)
            else replace(label, reason=decided.reason)
        )
    if ended.was and not label.chosen:
        return None
    return replace(ended.restored(label, now), slots=0, verdicts=verdicts, votes=())


def people_say(ended: Ended, rule: str, now: float) -> Label | None:
    """What people's answers come to, later ones included; None: not to anything."""
    turn = ended.turn
    assert turn.sampled is not None
    said = labelling.resolve(
        turn.sampled.ticket, turn.votes, turn.slots, rule, now, may_ask=False
    )
    return said if isinstance(said, Label) else None


def _left_out(ticket: int, source: Literal["judge", "human"], now: float) -> Label:
    """A label without a winner: nobody of those who label now was asked."""
    return Label(
        ticket=ticket,
        chosen=None,
        source=source,
        confidence=0.0,
        time=now,
        reason=Reason.LEFT_OUT,
    )


def _is_stopgap(ended: Ended, past: Mapping[int, Ended]) -> bool:
    """Whether it is a pair's second turn, as corrected, and the first comes again.

    The correction is then made at the pair's own place.  A prompt that was sampled anew
    is another pair.
    """
    pair = ended.turn.sampled
    if pair is None or pair.repeats is None or pair.repeats not in past:
        return False
    earlier = past[pair.repeats].turn.sampled
    return earlier is not None and pair.is_again(earlier)


def _trained_on(ended: Ended) -> Side | None:
    return ended.turn.label.chosen if ended.turn.label else None
