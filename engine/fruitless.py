"""Where nothing comes of what is sampled: what is dropped at once, and when to give up.

Without this a run would go on sampling for ever.
"""

from __future__ import annotations

import time

from onlinedpo.engine.run import Run
from onlinedpo.states import due
from onlinedpo.states.errors import NothingToLearn, UsageError
from onlinedpo.states.order import NextTurn
from onlinedpo.states.records import Dropped, Reason

MOST = 20
"""Batches in a row without one label after which the run says so and ends."""

_JUDGE = (
    "See what the judge said with 'onlinedpo show'. A stronger judge, a clearer"
    " judge_system or a higher temperature may help."
)
_ANSWERS = "See their answers with 'onlinedpo show'."
_HINTS = {
    Reason.IDENTICAL: "Both completions of a prompt read the same: see them with"
    " 'onlinedpo show'. Another run folder with a higher temperature may help.",
    Reason.TRUNCATED: "Start another run folder with a larger max_completion_length.",
    Reason.TIE: "See what the judge said with 'onlinedpo show'. A judge that tells them"
    " apart may help, or --ties in another run folder, which trains on ties too.",
    Reason.SKIPPED: _ANSWERS,
    Reason.BAD: _ANSWERS,
    Reason.SPLIT: _ANSWERS,
}


def must_bear_fruit(run: Run) -> None:
    """Count a batch that is about to be sampled; raises `NothingToLearn`."""
    ledger = run.ledger
    if run.fruitless >= MOST and not ledger.turns:
        raise _nothing(run)
    run.fruitless = 0 if _bore_fruit(run) else run.fruitless + 1
    run.newest = ledger.next_ticket


def waits_instead(run: Run) -> bool:
    """Whether only people can go on: nothing came of what was sampled meanwhile."""
    barren = run.fruitless >= MOST and not _bore_fruit(run)
    in_round = due.is_sampling(run.ledger, run.settings)
    return barren and not in_round and bool(run.ledger.waiting())


def _bore_fruit(run: Run) -> bool:
    """Whether a pair of the last batch is still on its way, or has its label."""
    return any(ticket >= run.newest for ticket in run.ledger.turns)


def _nothing(run: Run) -> NothingToLearn:
    dropped = run.ledger.round.dropped.most_common()
    reasons = ", ".join(f"{why}: {n}" for why, n in dropped)
    most = next((why for why, _ in dropped if why != Reason.TOO_LONG), "")
    hint = _HINTS.get(most, _JUDGE)
    if run.settings.offline_pairs:
        hint = f"See whether the pairs of {run.settings.offline_pairs} differ."
    return NothingToLearn(
        f"{MOST} batches in a row gave no label ({reasons or 'none drawn'})", hint=hint
    )


def taught_nothing(run: Run) -> str:
    """What to say where steps were taken that change nothing; else empty."""
    step = run.ledger.last_step
    if step is None:
        return ""
    if not step.grad_norm:
        return f"step {step.index} taught nothing: its gradient is 0"
    if not run.policy.has_moved():
        return f"after step {step.index} the policy is as it began: nothing was learned"
    return ""


class TooLong:
    """What a batch passes over, since its tokens are too many."""

    def __init__(self, run: Run, what: str) -> None:
        """`what` the data is made of: a prompt, or a pair."""
        self._what, self._limit = what, run.settings.max_seq_length
        self._all, self._passed = len(run.prompts.train), set[int]()

    def drop(self, turn: NextTurn, length: int) -> Dropped:
        """The end of a turn; raises `UsageError` where nothing in the data fits."""
        self._passed.add(turn.prompt)
        if len(self._passed) == self._all:
            raise UsageError(
                f"no {self._what} is shorter than max_seq_length, which is"
                f" {self._limit}",
                hint="Start another run folder with a larger max_seq_length.",
            )
        return Dropped(
            ticket=turn.ticket,
            reason=Reason.TOO_LONG,
            detail=f"{length} tokens, max_seq_length is {self._limit}",
            time=time.time(),
        )
