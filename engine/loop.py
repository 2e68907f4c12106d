"""The loop: start reading here.

Every decision depends on the journal alone, so it is the same after a restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onlinedpo.engine import metrics
from onlinedpo.engine.observer import Observer
from onlinedpo.engine.operations import apply, judge, sample, submit, take_win_rate
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.engine.saving import publish
from onlinedpo.engine.start import Run, open_run
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.lifecycle import Phase


def run(path: Path, wanted: Mapping[str, Any], watch: Observer) -> Ledger:
    """Train until `iters` steps are applied, or until `watch` asks to stop.

    Begins the run in `path`, or takes it up where it stands; raises `OnlineDPOError`.
    """
    opened = open_run(RunFolder(path), wanted, watch)
    with opened.journal:
        publish(opened)
        metrics.catch_up(opened.folder.metrics, opened.folder.journal, opened.ledger)
        train(opened)
    return opened.ledger


def train(run: Run) -> None:
    """The loop: apply what is labelled, judge what is sampled, else sample."""
    ledger, settings = run.ledger, run.settings
    while not run.watch.asked_to_stop():
        if win_rate_is_due(run):
            take_win_rate(run)
        elif ledger.steps >= settings.iters:
            return
        elif pairs := ledger.batch(settings.pairs_per_step):
            apply(run, pairs)
        elif asked := ledger.pairs(Phase.JUDGING):
            judge(run, asked)
        elif fresh := ledger.pairs(Phase.SAMPLED):
            submit(run, fresh)
        else:
            sample(run)


def win_rate_is_due(run: Run) -> bool:
    """Before the first step, every `steps_per_eval` steps, and after the last."""
    step, settings = run.ledger.steps, run.settings
    due = step % settings.steps_per_eval == 0 or step == settings.iters
    return bool(run.prompts.held_out) and due and not run.ledger.evaluated(step)
