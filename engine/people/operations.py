"""The operations of the loop in which people have a part."""

from __future__ import annotations

import time

from onlinedpo.engine.run import Run
from onlinedpo.states.errors import NothingToLearn, WaitingForPeople
from onlinedpo.states.records import Dropped, Label, Reason
from onlinedpo.states.turns import Turn

TICK = 0.5
"""Seconds at most until a wish to stop is seen while waiting."""


def take_in(run: Run) -> None:
    """Take in what people have saved, if anything."""
    if run.desk:
        run.desk.take_in()


def has_room(run: Run) -> bool:
    """Whether the next prompts may be sampled, though some pairs wait for people."""
    ledger, settings = run.ledger, run.settings
    waiting = len(ledger.waiting())
    if settings.people_judge and not waiting:
        _must_have_budget(run)
    if ledger.plan() is not None:
        return False
    return not waiting or waiting + settings.pairs_per_step <= settings.may_wait


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
    limit, now = run.settings.max_staleness, run.ledger.steps
    if limit is None or run.settings.when_stale == "keep":
        return []
    return [
        turn
        for turn in run.ledger.waiting()
        if turn.sampled and now - turn.sampled.step > limit
    ]


def drop_stale(run: Run, turns: list[Turn]) -> None:
    """Drop pairs that are too old, and have their prompts sampled again if wanted."""
    again, step = run.settings.when_stale == "requeue", run.ledger.steps
    run.journal.append(
        [
            Dropped(
                ticket=turn.sampled.ticket,
                reason=Reason.REQUEUED if again else Reason.STALE,
                detail=f"sampled after step {turn.sampled.step}, now {step}",
                time=time.time(),
            )
            for turn in turns
            if turn.sampled
        ]
    )


def drops(labels: list[Label]) -> list[Dropped]:
    """The end of pairs of which people decided that neither is better."""
    now = time.time()
    return [
        Dropped(ticket=label.ticket, reason=label.reason, detail="", time=now)
        for label in labels
    ]


def _must_have_budget(run: Run) -> None:
    budget = run.settings.label_budget
    if budget is not None and run.ledger.asked >= budget:
        raise NothingToLearn(
            f"the label budget of {budget} is spent after step {run.ledger.steps}",
            hint="Start the run again with a larger --label-budget, or end here: the"
            " adapter is that of the last step.",
        )
