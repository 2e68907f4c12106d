"""The operations of the loop in which people have a part."""

from __future__ import annotations

import time

from onlinedpo.engine.fruitless import waits_instead
from onlinedpo.engine.run import Run
from onlinedpo.states import due, endings
from onlinedpo.states.errors import NothingToLearn, WaitingForPeople
from onlinedpo.states.turns import Turn

TICK = 0.5
"""Seconds at most until a wish to stop is seen while waiting."""


def take_in(run: Run) -> None:
    """Take in what people have saved, if anything."""
    if run.desk:
        # Nothing else would tell: a folder that is not there holds no answers.
        run.journal.lock.must_hold()
        run.desk.take_in()


def has_room(run: Run) -> bool:
    """Whether the next prompts may be sampled, though some pairs wait for people."""
    _must_have_budget(run)
    return due.has_room(run.ledger, run.settings) and not waits_instead(run)


def wait(run: Run) -> None:
    """Wait for people; raises `WaitingForPeople` if that is not wanted."""
    desk, ledger = run.desk, run.ledger
    assert desk is not None
    files = sum(1 for _ in ledger.open_asks())
    if not desk.unsettled:
        if not run.patient:
            raise WaitingForPeople(
                f"{files} label {'file waits' if files == 1 else 'files wait'} in"
                f" {desk.todo}",
                hint="Answer them in an editor or with 'onlinedpo label"
                f" {run.folder.path}', then start the run again.",
            )
        run.watch.waiting(files, desk.todo)
    desk.wait(TICK)


def stale(run: Run) -> list[Turn]:
    """Pairs that have waited for people for more steps than they may."""
    return endings.stale(run.ledger, run.settings)


def drop_stale(run: Run, turns: list[Turn]) -> None:
    """Drop pairs that are too old, and have their prompts sampled again if wanted."""
    step, now = run.ledger.steps, time.time()
    run.journal.append(endings.too_old(turns, run.settings, step, now))


def _must_have_budget(run: Run) -> None:
    if due.is_spent(run.ledger, run.settings):
        budget, steps = run.settings.label_budget, run.ledger.steps
        end = ", or end here: the adapter is that of the last step" if steps else ""
        raise NothingToLearn(
            f"the label budget of {budget} is spent after step {steps}",
            hint=f"Start the run again with a larger --label-budget{end}.",
        )
