"""From decisions and answers to a label: the only rules by which words are trained on.

What has no winner is never trained on.  A person's answer outranks a judge's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from onlinedpo.states import offline, seeds
from onlinedpo.states.config import Settings
from onlinedpo.states.lifecycle import Phase
from onlinedpo.states.records import (
    Dropped,
    Escalated,
    Label,
    Reason,
    Record,
    Sampled,
    Submitted,
    Vote,
    Why,
    Withdrawn,
)
from onlinedpo.states.standing import Standing
from onlinedpo.states.turns import Turn
from onlinedpo.states.verdicts.deciding import decide as decide

_NO_WINNER = {"tie": Reason.TIE, "bad": Reason.BAD, "skip": Reason.SKIPPED}


def screen(sampled: Sampled, now: float, truncated: str = "keep") -> Dropped | None:
    """A pair that needs no judge: both completions read the same, or were cut.

    `truncated` says which cut pairs: "keep" none, "drop" those with a completion that
    did not end by itself, "drop-both" those with two such.
    """
    cut = [c.finish == "length" for c in (sampled.first, sampled.second)]
    if sampled.first.text == sampled.second.text:
        reason = Reason.IDENTICAL
    elif (truncated == "drop" and any(cut)) or (truncated == "drop-both" and all(cut)):
        reason = Reason.TRUNCATED
    else:
        return None
    return Dropped(ticket=sampled.ticket, reason=reason, detail="", time=now)


def submit(
    fresh: Sequence[Sampled], settings: Settings, asked: int, now: float
) -> list[Record]:
    """What becomes of fresh pairs: those that need no judge end here.

    The others go to the judge, or to people at once where they judge all.  What is from
    a file is labelled by it.
    """
    cut = settings.truncated
    dropped = [drop for pair in fresh if (drop := screen(pair, now, cut))]
    known = {drop.ticket for drop in dropped}
    tickets = tuple(pair.ticket for pair in fresh if pair.ticket not in known)
    facts: list[Record] = [*dropped]
    if tickets:
        facts.append(Submitted(tickets=tickets, time=now))
    if settings.offline_pairs:
        kept = [pair for pair in fresh if pair.ticket in tickets]
        facts += offline.labels(kept, settings.seed, now)
    elif settings.people_judge:
        facts += people_judge(tickets, settings, asked, now)
    return facts


def doubt(
    decisions: Sequence[Label | Dropped], settings: Settings, asked: int
) -> list[Label | Dropped | Escalated]:
    """A judge's decisions, or people asked instead of it.

    They are asked where the judge is not sure enough, and of a random share, as far as
    the budget goes; `asked` answers have been asked of them before.  A tie on which
    nobody is asked is a label where ties are trained on.
    """
    facts: list[Label | Dropped | Escalated] = []
    for decision in decisions:
        why = _doubt(decision, settings)
        sent = (
            _ask(decision.ticket, why, settings, asked, decision.time) if why else None
        )
        asked += sent.slots if sent else 0
        facts.append(sent or _kept(decision, settings))
    return facts


def _kept(decision: Label | Dropped, settings: Settings) -> Label | Dropped:
    tie = isinstance(decision, Dropped) and decision.reason == Reason.TIE
    return _tie(decision) if tie and settings.ties != "drop" else decision


def _tie(decision: Label | Dropped) -> Label:
    """A judge's tie, as a label: neither is better."""
    return Label(
        ticket=decision.ticket,
        chosen=None,
        source="judge",
        confidence=0.5,
        time=decision.time,
        reason=Reason.TIE,
    )


def people_judge(
    tickets: Sequence[int], settings: Settings, asked: int, now: float
) -> list[Escalated | Dropped]:
    """People are asked about all of these pairs, as far as the budget goes."""
    facts: list[Escalated | Dropped] = []
    for ticket in tickets:
        sent = _ask(ticket, Why.HUMAN, settings, asked, now)
        asked += sent.slots if sent else 0
        facts.append(
            sent or Dropped(ticket=ticket, reason=Reason.BUDGET, detail="", time=now)
        )
    return facts


def _ask(
    ticket: int, why: str, settings: Settings, asked: int, now: float
) -> Escalated | None:
    """Ask people for one answer, or two for the overlap; not beyond the budget."""
    slots = 1 + (seeds.chance(settings.seed, "overlap", ticket) < settings.overlap)
    left = slots if settings.label_budget is None else settings.label_budget - asked
    if left < 1:
        return None
    return Escalated(ticket=ticket, slots=min(slots, left), why=why, time=now)


def _doubt(decision: Label | Dropped, settings: Settings) -> str:
    # By lot first: so the random share measures the judge on all pairs alike.
    share = settings.human_share
    if share and seeds.chance(settings.seed, "human-share", decision.ticket) < share:
        return Why.SHARE
    if settings.escalate_below is None:
        return ""
    if isinstance(decision, Dropped):
        return decision.reason
    return Why.UNSURE if decision.confidence < settings.escalate_below else ""


def resolve(
    ticket: int,
    votes: Mapping[int, Vote],
    slots: int,
    rule: str,
    now: float,
    *,
    may_ask: bool = True,
) -> Label | Escalated | None:
    """What people's answers come to: a label, one more answer to ask for, or not yet.

    All `slots` are waited for.  `votes` are in the order in which slots were first
    filled; a skipped slot passes.  With "first" the first answer stands, with
    "majority" more than half of them, with "adjudicate" a third person's where the
    others differ (if one more `may_ask`).
    """
    if not votes or len(votes) < slots:
        return None
    voting = [vote for vote in votes.values() if vote.value != "skip"]
    if not voting:
        return _label(ticket, [*votes.values()], "skip", now)
    if rule == "first":
        return _label(ticket, voting, voting[0].value, now)
    value, count = Counter(vote.value for vote in voting).most_common(1)[0]
    third = votes.get(3)
    if rule == "adjudicate" and third in voting and third is not None:
        return _label(ticket, voting, third.value, now)
    agreed = count * 2 > len(voting) if rule == "majority" else count == len(voting)
    if agreed:
        return _label(ticket, voting, value, now)
    if may_ask and slots < 3 and len(votes) < 3:
        return Escalated(ticket=ticket, slots=3, why=Reason.SPLIT, time=now)
    return _label(ticket, voting, Reason.SPLIT, now)


def settle(turn: Turn, rule: str, now: float, *, may_ask: bool = True) -> list[Record]:
    """What has to be said of a pair in flight so that its label is what people say.

    Empty where all is said already.  Without any answer a judge's label stands.
    """
    assert turn.sampled is not None
    ticket = turn.sampled.ticket
    wanted = resolve(ticket, turn.votes, turn.slots, rule, now, may_ask=may_ask)
    if turn.phase is Phase.JUDGING:
        return [wanted] if wanted else []
    standing = turn.label
    assert standing is not None
    if isinstance(wanted, Label):
        same = (wanted.chosen, wanted.reason, wanted.source, wanted.confidence) == (
            *(standing.chosen, standing.reason),
            *(standing.source, standing.confidence),
        )
        return [] if same else [wanted]
    if standing.source == "judge":
        return []
    if not turn.slots and not turn.votes and turn.verdicts:
        decided = decide(turn.verdicts, now)
        if isinstance(decided, Label):
            return [decided]
        if decided.reason == Reason.TIE:
            # Else it would have been dropped, and nobody could have labelled it.
            return [_tie(decided)]
    return [Withdrawn(ticket=ticket, time=now), *([wanted] if wanted else [])]


def settle_all(
    standing: Standing, settings: Settings, tickets: Iterable[int], now: float
) -> list[Record]:
    """The same of several pairs, as far as they are in flight and the budget goes."""
    asked, facts = standing.asked, list[Record]()
    for ticket in sorted(tickets):
        turn = standing.turns.get(ticket)
        if turn is None or not turn.answerable or _corrected(turn):
            continue
        left = settings.label_budget is None or asked < settings.label_budget
        for fact in settle(turn, settings.resolve, now, may_ask=left):
            facts.append(fact)
            if isinstance(fact, Escalated):
                asked += fact.slots - turn.slots
    return facts


def _corrected(turn: Turn) -> bool:
    """Whether late answers, to an earlier turn, have labelled this one."""
    return bool(turn.label) and not (turn.slots or turn.votes or turn.verdicts)


def _label(ticket: int, votes: Sequence[Vote], value: str, now: float) -> Label:
    """The label with this value; its confidence is the share of answers that agree."""
    agreeing = [vote for vote in votes if vote.value == value]
    by_people = any(vote.source == "human" for vote in agreeing or votes)
    return Label(
        ticket=ticket,
        chosen="first" if value == "first" else "second" if value == "second" else None,
        source="human" if by_people else "file",
        confidence=len(agreeing) / len(votes),
        time=now,
        reason="" if value in ("first", "second") else _NO_WINNER.get(value, value),
    )
