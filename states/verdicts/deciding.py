"""From verdicts to a decision.

A failure, a tie or a disagreement between the two orders gives no winner.  Of several
judges, more than half have to name the same one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from onlinedpo.states.records import Dropped, Label, Reason, Side, Verdict

_SIDES: tuple[Side, ...] = ("first", "second")


def decide(verdicts: Sequence[Verdict], now: float) -> Label | Dropped:
    """The label on which the judges of one pair agree, or why there is none.

    Where a judge was asked again in an order, its last answer counts.
    """
    opinions = [_opinion(said, now) for said in by_judge(verdicts)]
    if len(opinions) == 1:
        return opinions[0]
    for side in _SIDES:
        agreeing = sum(isinstance(o, Label) and o.chosen == side for o in opinions)
        if agreeing * 2 > len(opinions):
            chance = sum(_chance(opinion, side) for opinion in opinions)
            return _label(verdicts[0].ticket, side, chance / len(opinions), now)
    told = "; ".join(
        str(o.chosen) if isinstance(o, Label) else o.reason for o in opinions
    )
    reasons = {"" if isinstance(o, Label) else o.reason for o in opinions}
    reason = reasons.pop() if len(reasons) == 1 else ""
    return _drop(verdicts[0].ticket, reason or Reason.NO_MAJORITY, told, now)


def all_by_judge(verdicts: Iterable[Verdict]) -> list[list[Verdict]]:
    """The verdicts of each judge, in the order they came."""
    judges: list[list[Verdict]] = []
    for verdict in verdicts:
        for said in judges:
            if said[0].judge == verdict.judge:
                said.append(verdict)
                break
        else:
            judges.append([verdict])
    return judges


def by_judge(verdicts: Iterable[Verdict]) -> list[list[Verdict]]:
    """The last verdicts of each judge, one for each order, in the order they came."""
    return [
        [*{verdict.shown: verdict for verdict in said}.values()]
        for said in all_by_judge(verdicts)
    ]


def _opinion(verdicts: Sequence[Verdict], now: float) -> Label | Dropped:
    """What one judge's verdicts come to."""
    ticket = verdicts[0].ticket
    for verdict in verdicts:
        if verdict.winner is None:
            return _drop(ticket, Reason.FAILED, verdict.failure, now)
    winners = {verdict.winner for verdict in verdicts}
    if "tie" in winners or len(winners) > 1:
        told = ", ".join(f"{v.shown}: {v.winner}" for v in verdicts)
        reason = Reason.TIE if "tie" in winners else Reason.DISAGREED
        return _drop(ticket, reason, told, now)
    first = sum(v.probability_first() for v in verdicts) / len(verdicts)
    chosen = verdicts[0].winner
    assert chosen == "first" or chosen == "second"
    return _label(ticket, chosen, first if chosen == "first" else 1.0 - first, now)


def _chance(opinion: Label | Dropped, side: Side) -> float:
    """How sure a judge is of a side: even where it has no winner."""
    if isinstance(opinion, Dropped):
        return 0.5
    return opinion.confidence if opinion.chosen == side else 1.0 - opinion.confidence


def _label(ticket: int, chosen: Side, confidence: float, now: float) -> Label:
    return Label(
        ticket=ticket, chosen=chosen, source="judge", confidence=confidence, time=now
    )


def _drop(ticket: int, reason: str, detail: str, now: float) -> Dropped:
    return Dropped(ticket=ticket, reason=reason, detail=detail, time=now)
