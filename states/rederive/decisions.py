"""What verdicts come to, and what ends without a winner, derived again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile

from onlinedpo.states import endings, labelling
from onlinedpo.states.config import Settings
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.lifecycle import Phase
from onlinedpo.states.records import (
    Dropped,
    Label,
    Reason,
    Record,
    Sampled,
    Submitted,
    Verdict,
)
from onlinedpo.states.rederive.judging import Verdicts
from onlinedpo.states.rederive.mismatch import must_agree


def judged(
    batch: Sequence[Record],
    ledger: Ledger,
    settings: Settings,
    read: Verdicts,
    where: object,
) -> None:
    """Verdicts on all pairs that were to be judged, and what follows from them.

    A judge elsewhere may have been lost before it came to the last of them.
    """
    verdicts = _leading(batch)
    elsewhere = any(verdict.judge.get("kind") == "http" for verdict in verdicts)
    last = verdicts[-1].ticket if elsewhere else math.inf
    pairs = {p.ticket: p for p in ledger.to_judge() if p.ticket <= last}
    read.check(verdicts, pairs, settings, where)
    rest = batch[len(verdicts) :]
    decisions = [*_decided(verdicts, pairs, _time(batch))]
    derived = labelling.doubt(decisions, settings, ledger.asked)
    must_agree(rest, derived, ledger)


def rejudged(
    batch: Sequence[Record],
    ledger: Ledger,
    settings: Settings,
    read: Verdicts,
    where: object,
) -> None:
    """Another run's pairs, with verdicts on them: each turn begins and ends here."""
    begin = [
        *takewhile(lambda record: isinstance(record, Sampled | Dropped), batch),
    ]
    pairs = {record.ticket: record for record in begin if isinstance(record, Sampled)}
    rest, now = batch[len(begin) :], _time(batch)
    if not pairs:
        must_agree(rest, [], ledger)
        return
    must_agree(rest[:1], [Submitted(tickets=tuple(pairs), time=now)], ledger)
    verdicts = _leading(rest[1:])
    read.check(verdicts, pairs, settings, where)
    derived: list[Record] = []
    for decision in _decided(verdicts, pairs, now):
        derived.append(decision)
        if isinstance(decision, Label):
            ticket, why = decision.ticket, Reason.REJUDGED
            derived.append(Dropped(ticket=ticket, reason=why, detail="", time=now))
    must_agree(rest[1 + len(verdicts) :], derived, ledger)


def dropped(batch: Sequence[Record], ledger: Ledger, settings: Settings) -> None:
    """Pairs that are too old, or else those of which people found no winner."""
    now = _time(batch)
    if old := endings.stale(ledger, settings):
        derived = endings.too_old(old, settings, ledger.steps, now)
    else:
        derived = endings.without_winner(ledger.settled_without_winner(), now)
    must_agree(batch, derived, ledger)


def left_out(batch: Sequence[Record], ledger: Ledger) -> None:
    """A judge's labels in flight, where a fork gives the pairs other labels."""
    derived = [
        Dropped(
            ticket=turn.label.ticket,
            reason=Reason.LEFT_OUT,
            detail="",
            time=_time(batch),
        )
        for turn in ledger.in_phase(Phase.LABELLED)
        if turn.label and turn.label.source == "judge"
    ]
    must_agree(batch, derived, ledger)


def asked_instead(batch: Sequence[Record], ledger: Ledger, settings: Settings) -> None:
    """Where people judge a fork, they are asked what a judge was about to be asked."""
    tickets = [pair.ticket for pair in ledger.to_judge()] * settings.people_judge
    derived = labelling.people_judge(tickets, settings, ledger.asked, _time(batch))
    must_agree(batch, derived, ledger)


def _leading(batch: Sequence[Record]) -> list[Verdict]:
    """The verdicts with which a frame begins."""
    verdicts: list[Verdict] = []
    for record in batch:
        if not isinstance(record, Verdict):
            break
        verdicts.append(record)
    return verdicts


def _decided(
    verdicts: Sequence[Verdict], pairs: Mapping[int, Sampled], now: float
) -> Iterator[Label | Dropped]:
    """The decision on each pair, in order."""
    by_pair: dict[int, list[Verdict]] = {ticket: [] for ticket in pairs}
    for verdict in verdicts:
        by_pair[verdict.ticket].append(verdict)
    return (labelling.decide(said, now) for said in by_pair.values() if said)


def _time(batch: Sequence[Record]) -> float:
    """When the facts of a frame that follow from others were written."""
    return batch[-1].time
