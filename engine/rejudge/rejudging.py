"""A run's stored pairs under another judge or rubric, into a journal of its own.

The run is read and never touched.  Each batch of pairs goes into the new journal in one
frame, with its verdicts and what they come to; so what was judged is what was written,
and a process that is killed goes on with the next pair.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Protocol

from onlinedpo.engine import environment
from onlinedpo.engine.judges.comparison import Judge, Outside, Tried, judge_pairs
from onlinedpo.engine.observer import Observer
from onlinedpo.engine.rejudge.folder import prepare
from onlinedpo.engine.rejudge.request import Request
from onlinedpo.engine.rejudge.stored_pairs import StoredPairs
from onlinedpo.journal.writer import Journal
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import JudgeLeft
from onlinedpo.states.labelling import decide
from onlinedpo.states.records import (
    Dropped,
    Label,
    ProcessStarted,
    Reason,
    Record,
    Sampled,
    Submitted,
    Verdict,
)
from onlinedpo.states.verdicts import penalties

MOST = 10_000
"""Tickets in one frame of the journal."""


class Watch(Observer, Protocol):
    """Whoever watches pairs being judged again."""

    def judged(self, done: int, of: int) -> None:
        """So many pairs have their verdicts."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where the verdicts lie, and how many there are of those wanted."""

    folder: Path
    done: int
    wanted: int


def rejudge(run: Path, request: Request, watch: Watch) -> Outcome:
    """Judge the pairs of the run in a folder again, or go on with that.

    It ends when all are judged, or when `watch` asks to stop.  Raises `OnlineDPOError`.
    """
    prepared = prepare(run, request, watch)
    pairs = prepared.pairs
    done = wanted = sum(pairs.wanted)
    if prepared.next_ticket < pairs.tickets:
        watch.doing("loading the judge")
        judge = prepared.judge.load()
        if isinstance(judge, Outside):
            judge.watched_by(watch)
        if isinstance(judge, Tried) and not prepared.next_ticket:
            judge.must_answer()
        with prepared.journal(watch) as journal:
            journal.append([_started()])
            done = judge_rest(journal, judge, pairs, prepared.settings, watch)
    return Outcome(prepared.folder.path, done, wanted)


def judge_rest(
    journal: Journal,
    judge: Judge,
    pairs: StoredPairs,
    settings: Settings,
    watch: Watch,
) -> int:
    """Judge the pairs that the journal has no verdicts on; how many have some then."""
    size = settings.micro_batch_size or settings.batch_size
    begin = journal.ledger.next_ticket
    done, wanted = sum(pairs.wanted[:begin]), sum(pairs.wanted)
    watch.judged(done, wanted)
    for batch in _batches(pairs.since(begin), size):
        asked = [record for record in batch if isinstance(record, Sampled)]
        # What is left out takes no time: where all are judged, all is written.
        if asked and watch.asked_to_stop():
            break
        said, left = judge_pairs(judge, asked) if asked else ([], None)
        if left:
            batch = batch[: batch.index(asked[len(said)])] if said else []
        if batch:
            judged = _judged(said, asked, settings.missing_eos_penalty)
            journal.append([*batch, *(judged if said else ())])
        done += len(said)
        watch.judged(done, wanted)
        if isinstance(left, JudgeLeft):
            break
        if left:
            raise left
    return done


def _batches(
    beginnings: Iterator[Sampled | Dropped], size: int
) -> Iterator[list[Sampled | Dropped]]:
    """The tickets in parts that hold `size` pairs, or `MOST` tickets."""
    batch: list[Sampled | Dropped] = []
    asked = 0
    for record in beginnings:
        batch.append(record)
        asked += isinstance(record, Sampled)
        if asked == size or len(batch) == MOST:
            yield batch
            batch, asked = [], 0
    if batch:
        yield batch


def _judged(
    said: list[list[Verdict]], asked: list[Sampled], penalty: float | None
) -> Iterator[Record]:
    """That the first pairs were submitted, their verdicts, and what these come to."""
    now = time.time()
    tickets = tuple(pair.ticket for pair in asked[: len(said)])
    yield Submitted(tickets=tickets, time=now)
    verdicts = penalties.on_pairs(said, asked, penalty)
    yield from chain(*verdicts)
    for of_pair in verdicts:
        decision = decide(of_pair, now)
        yield decision
        if isinstance(decision, Label):
            # Nothing is trained here: the turn is over.
            ticket, reason = decision.ticket, Reason.REJUDGED
            yield Dropped(ticket=ticket, reason=reason, detail="", time=now)


def _started() -> ProcessStarted:
    return ProcessStarted(
        time=time.time(),
        version=version("onlinedpo"),
        environment=environment.describe(),
    )
