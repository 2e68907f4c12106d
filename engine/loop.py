"""The loop: start reading here.

Every decision depends on the journal alone, so it is the same after a restart.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from onlinedpo.engine import offline
from onlinedpo.engine.fruitless import taught_nothing
from onlinedpo.engine.observer import Observer
from onlinedpo.engine.operations import apply, judge, sample, submit, take_win_rate
from onlinedpo.engine.people import operations as people
from onlinedpo.engine.reports import metrics
from onlinedpo.engine.reports.reporting import reporting
from onlinedpo.engine.run import Run
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.engine.saving import publish
from onlinedpo.engine.start import open_run
from onlinedpo.states import due
from onlinedpo.states.endings import without_winner
from onlinedpo.states.errors import JudgeLeft
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.lifecycle import Phase


def run(
    path: Path, wanted: Mapping[str, Any], watch: Observer, *, patient: bool = True
) -> Ledger:
    """Train until `iters` steps are applied, or until `watch` asks to stop.

    Begins the run in `path`, or takes it up where it stands; raises `OnlineDPOError`.
    Where only people can go on, it waits for them if it is `patient`, and else raises
    `WaitingForPeople`.
    """
    opened = open_run(RunFolder(path), wanted, watch)
    opened.patient = patient
    with opened.journal, opened.desk or nullcontext():
        publish(opened)
        metrics.catch_up(opened.folder.metrics, opened.folder.journal, opened.ledger)
        with reporting(opened), suppress(JudgeLeft):
            train(opened)
        if told := taught_nothing(opened):
            watch.said(told)
    return opened.ledger


def train(run: Run) -> None:
    """The loop: take labels in, apply them, else judge, else wait, else sample.

    Of a round of several steps none is applied before all is judged: see `states.due`.
    """
    ledger, settings = run.ledger, run.settings
    while not run.watch.asked_to_stop():
        people.take_in(run)
        if win_rate_is_due(run):
            take_win_rate(run)
        elif ledger.steps >= settings.iters:
            return
        elif old := people.stale(run):
            people.drop_stale(run, old)
        elif pairs := due.next_batch(ledger, settings):
            apply(run, pairs)
        elif asked := ledger.to_judge():
            judge(run, asked)
        elif fresh := ledger.pairs(Phase.SAMPLED):
            submit(run, fresh)
        elif undecided := ledger.settled_without_winner():
            run.journal.append(without_winner(undecided, time.time()))
        elif not people.has_room(run):
            people.wait(run)
        elif settings.offline_pairs:
            offline.take(run)
        else:
            sample(run)


def win_rate_is_due(run: Run) -> bool:
    """Before the first step, every `steps_per_eval` steps, and after the last."""
    step, settings = run.ledger.steps, run.settings
    regular = step % settings.steps_per_eval == 0 or step == settings.iters
    measurable = bool(run.prompts.held_out) and run.judge is not None
    return measurable and regular and not run.ledger.evaluated(step)
