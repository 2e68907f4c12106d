"""Whom people are asked about, and what their answers come to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations, product
from typing import Any, get_args

import pytest

from onlinedpo.states.answers import Value
from onlinedpo.states.config import Settings
from onlinedpo.states.labelling import (
    doubt,
    people_judge,
    resolve,
    settle,
    settle_all,
)
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import (
    Dropped,
    Escalated,
    Label,
    Reason,
    Record,
    Vote,
    Why,
    Withdrawn,
)
from onlinedpo.states.turns import Turn
from tests.states import facts

RULES = ("first", "majority", "adjudicate")
MANY = range(2000)


def sure(ticket: int, confidence: float = 0.9) -> Label:
    """A judge's label."""
    return Label(
        ticket=ticket,
        chosen="first",
        source="judge",
        confidence=confidence,
        time=facts.NOW,
    )


def asked_about(
    decisions: Sequence[Label | Dropped], asked: int = 0, **wanted: Any
) -> dict[int, tuple[int, str]]:
    """(slots, why) of each pair that people are asked about."""
    told = doubt(decisions, Settings(**wanted), asked)
    assert [fact.ticket for fact in told] == [fact.ticket for fact in decisions]
    for fact, decision in zip(told, decisions, strict=True):
        assert fact == decision or isinstance(fact, Escalated)
        assert fact.time == decision.time
    return {f.ticket: (f.slots, f.why) for f in told if isinstance(f, Escalated)}


# -- whom people are asked about -------------------------------------------------------


def test_nobody_is_asked_unless_a_setting_says_so() -> None:
    """A judge's decisions stand, whatever they are and however unsure."""
    decisions: list[Label | Dropped] = [
        sure(0, 0.5),
        facts.dropped(1, Reason.FAILED),
        sure(2, 1.0),
    ]
    assert asked_about(decisions) == {}
    assert asked_about(decisions, overlap=1.0, label_budget=9) == {}


def test_people_are_asked_where_the_judge_is_less_sure_than_wanted() -> None:
    """Below the limit, not at it; and wherever it found no winner at all."""
    decisions: list[Label | Dropped] = [
        sure(0, 0.79),
        sure(1, 0.8),
        sure(2, 0.81),
        facts.dropped(3, Reason.TIE),
        facts.dropped(4, Reason.DISAGREED),
        facts.dropped(5, Reason.FAILED),
    ]
    assert asked_about(decisions, escalate_below=0.8) == {
        0: (1, Why.UNSURE),
        3: (1, Reason.TIE),
        4: (1, Reason.DISAGREED),
        5: (1, Reason.FAILED),
    }


def test_a_random_share_is_sent_to_people_whatever_the_judge_says() -> None:
    """Out of 2,000 pairs about as many as asked for; the same ones at any time."""
    decisions = [sure(n) for n in MANY]
    drops = [facts.dropped(n) for n in MANY]
    for share in (0.05, 0.3):
        chosen = asked_about(decisions, human_share=share)
        assert abs(len(chosen) - share * len(MANY)) < 60
        assert set(chosen.values()) == {(1, Why.SHARE)}
        assert asked_about(drops, human_share=share) == chosen
        assert asked_about(decisions[::-1], human_share=share).keys() == chosen.keys()
        other = asked_about(decisions, human_share=share, seed=1)
        assert other.keys() != chosen.keys()
    assert len(asked_about(decisions, human_share=1.0)) == len(MANY)
    assert asked_about(decisions, human_share=0.0) == {}


def test_the_random_share_is_the_same_whatever_the_judge_doubts() -> None:
    """It measures the judge on all pairs alike, those it is unsure of included."""
    parts: dict[str, list[Label | Dropped]] = {
        Why.UNSURE: [sure(n, 0.6) for n in range(1000)],
        Reason.TIE: [facts.dropped(n) for n in range(1000)],
    }
    wanted: dict[str, Any] = {"human_share": 0.2, "escalate_below": 0.7}
    lots = asked_about([sure(n) for n in range(1000)], human_share=0.2).keys()
    for why, part in parts.items():
        told = asked_about(part, **wanted)
        assert len(told) == 1000
        assert {n for n, (_, reason) in told.items() if reason == Why.SHARE} == lots
        assert {reason for _, reason in told.values()} == {Why.SHARE, why}


def test_a_larger_share_holds_the_smaller_one() -> None:
    """A share that is raised while the run stands still changes no pair's lot back."""
    decisions = [sure(n) for n in MANY]
    few = asked_about(decisions, human_share=0.1)
    assert few.keys() <= asked_about(decisions, human_share=0.2).keys()


def test_a_share_of_those_is_shown_to_two_people() -> None:
    """The overlap too comes out near what was asked, and is drawn by itself."""
    decisions = [sure(n) for n in MANY]
    for overlap in (0.2, 0.6):
        chosen = asked_about(decisions, human_share=0.5, overlap=overlap)
        twice = sum(slots == 2 for slots, _ in chosen.values())
        assert {slots for slots, _ in chosen.values()} == {1, 2}
        assert abs(twice - overlap * len(chosen)) < 75
    for overlap, slots in ((0.0, 1), (1.0, 2)):
        chosen = asked_about(decisions, human_share=0.5, overlap=overlap)
        assert {n for n, _ in chosen.values()} == {slots}


def test_the_budget_is_never_overdrawn() -> None:
    """Answers are counted, not pairs; what was asked for before counts too."""
    decisions = [facts.dropped(n) for n in range(10)]
    wanted: dict[str, Any] = {"escalate_below": 0.5, "overlap": 1.0}
    assert asked_about(decisions, label_budget=5, **wanted) == {
        0: (2, Reason.TIE),
        1: (2, Reason.TIE),
        2: (1, Reason.TIE),
    }
    assert asked_about(decisions, 4, label_budget=5, **wanted) == {0: (1, Reason.TIE)}
    assert asked_about(decisions, 5, label_budget=5, **wanted) == {}
    assert asked_about(decisions, 9, label_budget=5, **wanted) == {}
    assert asked_about(decisions, label_budget=0, **wanted) == {}
    assert len(asked_about(decisions, 10**6, **wanted)) == 10


def test_where_people_judge_they_are_asked_about_all() -> None:
    """Each pair, once or twice; those beyond the budget are dropped, and it is said."""
    settings = Settings(judge="human", overlap=1.0, label_budget=7)
    told = people_judge([3, 5, 8, 9], settings, 2, facts.NOW)
    assert told == [
        facts.escalated(3, 2, Why.HUMAN),
        facts.escalated(5, 2, Why.HUMAN),
        facts.escalated(8, 1, Why.HUMAN),
        facts.dropped(9, Reason.BUDGET),
    ]
    assert people_judge([], settings, 0, facts.NOW) == []
    several = people_judge(MANY, Settings(judge="human", overlap=0.4), 0, facts.NOW)
    twice = sum(isinstance(fact, Escalated) and fact.slots == 2 for fact in several)
    assert abs(twice - 0.4 * len(MANY)) < 75


# -- what their answers come to --------------------------------------------------------


def votes_of(*values: Value | None, source: str = "human") -> dict[int, Vote]:
    """Answers in the slots from 1 on; None: a slot without one."""
    return {
        slot: facts.vote(7, value, slot, source=source)
        for slot, value in enumerate(values, 1)
        if value
    }


def outcome(
    rule: str, slots: int, *values: Value | None, may_ask: bool = True
) -> str | None:
    """The side, or the reason for none, or "ask", or None while answers are missing."""
    told = resolve(7, votes_of(*values), slots, rule, facts.NOW, may_ask=may_ask)
    if told is None:
        return None
    assert (told.ticket, told.time) == (7, facts.NOW)
    if isinstance(told, Escalated):
        assert (told.slots, told.why) == (3, Reason.SPLIT)
        return "ask"
    assert (told.chosen is None) == bool(told.reason)
    assert told.source == "human"
    return told.chosen or told.reason


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("first", "first"),
        ("second", "second"),
        ("tie", Reason.TIE),
        ("bad", Reason.BAD),
        ("skip", Reason.SKIPPED),
    ],
)
def test_one_answer_where_one_is_wanted_decides(
    rule: str, value: Value, wanted: str
) -> None:
    """A side is chosen, or the pair has no winner, and why; two who agree as well."""
    assert outcome(rule, 1, value) == wanted
    assert outcome(rule, 2, value, value) == wanted
    assert outcome(rule, 3, value, value, value) == wanted


@pytest.mark.parametrize("rule", RULES)
def test_all_answers_that_were_asked_for_are_waited_for(rule: str) -> None:
    """Nobody's answer is passed over because another was faster."""
    assert outcome(rule, 1) is None
    assert outcome(rule, 2) is None
    assert outcome(rule, 2, "first") is None
    assert outcome(rule, 2, None, "first") is None
    assert outcome(rule, 3, "first", "first") is None
    assert outcome(rule, 0) is None


@pytest.mark.parametrize(
    ("one", "other"), [*permutations(("first", "second", "tie", "bad"), 2)]
)
def test_where_two_differ_the_rule_decides(one: Value, other: Value) -> None:
    """The first answer stands, or a third is asked for; if none may be, it is split."""
    alone = {"tie": Reason.TIE, "bad": Reason.BAD}
    assert outcome("first", 2, one, other) == alone.get(one, one)
    for rule in ("majority", "adjudicate"):
        assert outcome(rule, 2, one, other) == "ask"
        assert outcome(rule, 2, one, other, may_ask=False) == Reason.SPLIT
        assert outcome(rule, 3, one, other) is None
        assert outcome(rule, 3, one, other, one) == alone.get(one, one)
        assert outcome(rule, 3, one, other, other) == alone.get(other, other)


def test_a_third_person_outranks_the_two_only_where_they_adjudicate() -> None:
    """A majority of one is none; an adjudicator decides alone, even against two."""
    assert outcome("majority", 3, "first", "second", "tie") == Reason.SPLIT
    assert outcome("adjudicate", 3, "first", "second", "tie") == Reason.TIE
    assert outcome("majority", 3, "first", "first", "second") == "first"
    assert outcome("adjudicate", 3, "first", "first", "second") == "second"
    assert outcome("adjudicate", 3, "first", "second", "bad") == Reason.BAD


def test_answers_beyond_those_asked_for_count_too() -> None:
    """Three people differ though one was asked: no fourth is asked for."""
    three: tuple[Value, ...] = ("first", "second", "tie")
    for slots in (1, 2):
        assert outcome("majority", slots, *three) == Reason.SPLIT
        assert outcome("majority", slots, "first", "second", "first") == "first"
    # Without the third slot's answer nobody adjudicates.
    assert outcome("adjudicate", 2, "first", "first", None, "second") == Reason.SPLIT
    assert outcome("adjudicate", 2, "first", "first", None, "first") == "first"


def test_the_first_answer_is_the_one_that_came_first() -> None:
    """Whichever slot it was in."""
    votes = {2: facts.vote(7, "second", 2), 1: facts.vote(7, "first", 1)}
    told = resolve(7, votes, 2, "first", facts.NOW)
    assert isinstance(told, Label) and told.chosen == "second"


@pytest.mark.parametrize("rule", RULES)
def test_who_skips_leaves_it_to_the_others(rule: str) -> None:
    """A skipped slot counts as answered, and for nobody."""
    assert outcome(rule, 2, "skip", "first") == "first"
    assert outcome(rule, 2, "second", "skip") == "second"
    assert outcome(rule, 2, "skip", "skip") == Reason.SKIPPED
    assert outcome(rule, 3, "first", "skip", "first") == "first"


@pytest.mark.parametrize("rule", ["majority", "adjudicate"])
def test_a_third_person_who_skips_leaves_it_split(rule: str) -> None:
    """No fourth is asked."""
    assert outcome(rule, 3, "first", "second", "skip") == Reason.SPLIT
    assert outcome(rule, 3, "skip", "second", "first") != "ask"


def test_no_answers_at_all_ask_for_more_than_three() -> None:
    """All answers of up to three people: an outcome, or one more, but never a fourth.

    Where all agree, that is the outcome; where none may be asked, none is.
    """
    values = [value for value in get_args(Value) if value != "undo"]
    for rule, count in product(RULES, (1, 2, 3)):
        for chosen in product(values, repeat=count):
            told = outcome(rule, count, *chosen)
            assert told is not None
            assert told != "ask" or (count == 2 and rule != "first")
            last = outcome(rule, count, *chosen, may_ask=False)
            assert last != "ask"
            assert told in (last, "ask")


@pytest.mark.parametrize(
    ("rule", "values", "confidence"),
    [
        ("first", ("first",), 1.0),
        ("first", ("first", "second"), 0.5),
        ("first", ("first", "skip"), 1.0),
        ("majority", ("first", "second", "first"), 2 / 3),
        ("majority", ("first", "skip", "first"), 1.0),
        ("adjudicate", ("first", "first", "second"), 1 / 3),
        ("adjudicate", ("first", "second", "second"), 2 / 3),
        ("majority", ("first", "second", "tie"), 0.0),
        ("first", ("skip", "skip"), 1.0),
    ],
)
def test_confidence_is_the_share_of_answers_that_agree(
    rule: str, values: tuple[Value, ...], confidence: float
) -> None:
    """Of those who did not skip."""
    told = resolve(7, votes_of(*values), len(values), rule, facts.NOW)
    assert isinstance(told, Label)
    assert told.confidence == pytest.approx(confidence)


def test_a_label_says_whether_a_person_or_a_program_gave_it() -> None:
    """A person's if any person agrees with it."""
    by_file = votes_of("first", source="file")
    told = resolve(7, by_file, 1, "first", facts.NOW)
    assert isinstance(told, Label) and told.source == "file"
    mixed = {1: by_file[1], 2: facts.vote(7, "second", 2)}
    for rule, source in (("first", "file"), ("majority", "human")):
        told = resolve(7, mixed, 2, rule, facts.NOW, may_ask=False)
        assert isinstance(told, Label) and told.source == source
    agreeing = {1: by_file[1], 2: facts.vote(7, "first", 2)}
    told = resolve(7, agreeing, 2, "first", facts.NOW)
    assert isinstance(told, Label) and told.source == "human"


# -- what has to be said of a pair in flight -------------------------------------------


def turn_after(*records: Record) -> Turn:
    """Pair 0, which went to the judge, after these."""
    ledger = Ledger()
    for record in (facts.sampled(0), facts.submitted(0), *records):
        ledger.fold(record)
    return ledger.turns[0]


def settled(*records: Record, rule: str = "first", may_ask: bool = True) -> list[str]:
    """What there is to say: a side, a reason, "ask" or "withdraw"."""
    turn = turn_after(*records)
    told = settle(turn, rule, facts.NOW, may_ask=may_ask)
    words = []
    for record in told:
        assert record.time == facts.NOW
        if isinstance(record, Label):
            words.append(record.chosen or record.reason)
        else:
            words.append({Escalated: "ask", Withdrawn: "withdraw"}[type(record)])
    # It is said once: after that nothing is left to say.
    after = turn_after(*records, *told)
    assert settle(after, rule, facts.NOW, may_ask=may_ask) == []
    return words


ASKED = facts.escalated(0)
ASKED_TWICE = facts.escalated(0, 2)


def test_an_answer_labels_its_pair() -> None:
    """Once all are there; and what was said is not said again."""
    assert settled(ASKED) == []
    assert settled(ASKED, facts.vote(0)) == ["first"]
    assert settled(ASKED, facts.vote(0, "bad")) == [Reason.BAD]
    assert settled(ASKED_TWICE, facts.vote(0)) == []
    assert settled(ASKED_TWICE, facts.vote(0), facts.vote(0, "first", 2)) == ["first"]


def test_two_who_differ_lead_to_a_third() -> None:
    """If the rule says so, and while one may be asked."""
    differ = (ASKED_TWICE, facts.vote(0), facts.vote(0, "second", 2))
    assert settled(*differ) == ["first"]
    assert settled(*differ, rule="majority") == ["ask"]
    assert settled(*differ, rule="majority", may_ask=False) == [Reason.SPLIT]
    third = (*differ, facts.escalated(0, 3, Reason.SPLIT), facts.vote(0, "second", 3))
    assert settled(*third, rule="majority") == ["second"]


def test_a_person_may_change_their_mind_until_the_step() -> None:
    """Another choice is another label; another note is not."""
    labelled = (ASKED, facts.vote(0), facts.people_say(0))
    assert settled(*labelled) == []
    assert settled(*labelled, facts.vote(0, note="on reflection")) == []
    assert settled(*labelled, facts.vote(0, "second")) == ["second"]
    assert settled(*labelled, facts.vote(0, "tie")) == [Reason.TIE]
    unclear = (ASKED, facts.vote(0, "tie"), facts.people_say(0, None, Reason.TIE))
    assert settled(*unclear, facts.vote(0, "bad")) == [Reason.BAD]


def test_an_answer_that_is_taken_back_takes_the_label_back() -> None:
    """The pair waits again; where another answer is missing now, too."""
    undone = (ASKED, facts.vote(0), facts.people_say(0), facts.vote(0, "undo"))
    assert settled(*undone) == ["withdraw"]
    both = (ASKED_TWICE, facts.vote(0), facts.vote(0, "first", 2), facts.people_say(0))
    assert settled(*both, facts.vote(0, "undo", 2)) == ["withdraw"]


def test_a_change_of_mind_can_make_a_third_person_needed() -> None:
    """Two agreed and one of them does not any more: the label is taken back for now."""
    both = (ASKED_TWICE, facts.vote(0), facts.vote(0, "first", 2), facts.people_say(0))
    changed = (*both, facts.vote(0, "second", 2))
    assert settled(*changed, rule="majority") == ["withdraw", "ask"]
    assert settled(*changed, rule="majority", may_ask=False) == [Reason.SPLIT]
    # The first answer's label stands, though fewer agree with it now.
    assert settled(*changed) == ["first"]


def test_a_judges_label_stands_until_a_person_says_otherwise() -> None:
    """Also where nobody had been asked; and again once the answer is taken back."""
    judged = (facts.verdict(0), facts.label(0))
    assert settled(*judged) == []
    assert settled(*judged, facts.vote(0, "second")) == ["second"]
    outranked = (*judged, facts.vote(0, "second"), facts.people_say(0, "second"))
    assert settled(*outranked) == []
    assert settled(*outranked, facts.vote(0, "undo")) == ["first"]


def test_a_pair_that_nobody_was_asked_about_yet_is_let_be() -> None:
    """A process may have ended between sampling and asking: the next one goes on."""
    ledger = Ledger()
    ledger.fold(facts.sampled(0))
    assert settle_all(ledger, Settings(), [0], facts.NOW) == []
