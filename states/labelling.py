"""From verdicts to a label: the only rule by which a judge's word becomes training.

A failure, a tie or a disagreement between the two orders gives no winner, and what has
no winner is never trained on.
"""

from __future__ import annotations

from collections.abc import Sequence

from onlinedpo.states.records import Dropped, Label, Reason, Sampled, Verdict


def screen(sampled: Sampled, now: float) -> Dropped | None:
    """A pair that needs no judge: both completions read the same."""
    if sampled.first.text == sampled.second.text:
        return Dropped(
            ticket=sampled.ticket, reason=Reason.IDENTICAL, detail="", time=now
        )
    return None


def decide(verdicts: Sequence[Verdict], now: float) -> Label | Dropped:
    """The label on which all verdicts of one pair agree, or why there is none."""
    ticket = verdicts[0].ticket

    def drop(reason: str, detail: str) -> Dropped:
        return Dropped(ticket=ticket, reason=reason, detail=detail, time=now)

    for verdict in verdicts:
        if verdict.winner is None:
            return drop(Reason.FAILED, verdict.failure)
    winners = {verdict.winner for verdict in verdicts}
    told = ", ".join(f"{v.shown}: {v.winner}" for v in verdicts)
    if "tie" in winners:
        return drop(Reason.TIE, told)
    if len(winners) > 1:
        return drop(Reason.DISAGREED, told)
    first = sum(v.probability_first() for v in verdicts) / len(verdicts)
    chosen = verdicts[0].winner
    assert chosen == "first" or chosen == "second"
    return Label(
        ticket=ticket,
        chosen=chosen,
        source="judge",
        confidence=first if chosen == "first" else 1.0 - first,
        time=now,
    )
