"""Pairs that end without being trained on: those without a winner, and the too old."""

from __future__ import annotations

from collections.abc import Sequence

from onlinedpo.states.config import Settings
from onlinedpo.states.records import Dropped, Label, Reason
from onlinedpo.states.standing import Standing
from onlinedpo.states.turns import Turn


def without_winner(labels: Sequence[Label], now: float) -> list[Dropped]:
    """The end of pairs of which people decided that neither is better."""
    return [
        Dropped(ticket=label.ticket, reason=label.reason, detail="", time=now)
        for label in labels
    ]


def stale(standing: Standing, settings: Settings) -> list[Turn]:
    """Pairs that have waited for people for more steps than they may."""
    limit, now = settings.max_staleness, standing.steps
    if limit is None or settings.when_stale == "keep":
        return []
    return [
        turn
        for turn in standing.waiting()
        if turn.sampled and now - turn.sampled.step > limit
    ]


def too_old(
    turns: Sequence[Turn], settings: Settings, step: int, now: float
) -> list[Dropped]:
    """The end of stale pairs; their prompts are sampled again if that is wanted."""
    again = settings.when_stale == "requeue"
    return [
        Dropped(
            ticket=turn.sampled.ticket,
            reason=Reason.REQUEUED if again else Reason.STALE,
            detail=f"sampled after step {turn.sampled.step}, now {step}",
            time=now,
        )
        for turn in turns
        if turn.sampled
    ]
