"""Where nothing comes of what is sampled: what is dropped at once, and when to give up.

Without this a run would go on sampling for ever.
"""

from __future__ import annotations

import time

from onlinedpo.engine.run import Run
from onlinedpo.states.errors import NothingToLearn, UsageError
from onlinedpo.states.records import Dropped, Reason

MOST = 20
"""Batches in a row without one label after which the run says so and ends."""


def must_bear_fruit(run: Run) -> None:
    """Count a batch that is about to be sampled; raises `NothingToLearn`."""
    ledger = run.ledger
    run.fruitless = 0 if ledger.turns else run.fruitless + 1
    if run.fruitless <= MOST:
        return
    dropped = ledger.round.dropped.most_common()
    reasons = ", ".join(f"{why}: {n}" for why, n in dropped)
    hint = (
        "See what the judge said with 'onlinedpo show'. A stronger judge, a clearer"
        " judge_system or a higher temperature may help."
    )
    if dropped and dropped[0][0] == Reason.TRUNCATED:
        hint = "Start another run folder with a larger max_completion_length."
    if run.settings.offline_pairs:
        hint = f"See whether the pairs of {run.settings.offline_pairs} differ."
    raise NothingToLearn(
        f"{MOST} batches in a row gave no label ({reasons or 'none drawn'})", hint=hint
    )


def too_long(ticket: int, length: int, limit: int) -> Dropped:
    """The end of a turn whose tokens are too many."""
    return Dropped(
        ticket=ticket,
        reason=Reason.TOO_LONG,
        detail=f"{length} tokens, max_seq_length is {limit}",
        time=time.time(),
    )


def nothing_fits(what: str, limit: int) -> UsageError:
    """All of the data is too long."""
    return UsageError(
        f"no {what} is shorter than max_seq_length, which is {limit}",
        hint="Start another run folder with a larger max_seq_length.",
    )
