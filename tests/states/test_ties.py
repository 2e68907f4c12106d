"""Ties: dropped unless they are asked for, and never a preference."""

from __future__ import annotations

from typing import Any

import pytest

from onlinedpo.states import labelling, replanning
from onlinedpo.states.config import Settings
from onlinedpo.states.differences import Outline
from onlinedpo.states.export import preferences
from onlinedpo.states.export.outcomes import Outcomes
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import (
    Dropped,
    Escalated,
    Label,
    Reason,
    Record,
    Sampled,
)
from tests.states import facts

TRAINED: dict[str, Any] = {"ties": "rao-kupper"}
JUDGED_TIE = Label(
    ticket=0,
    chosen=None,
    source="judge",
    confidence=0.5,
    time=facts.NOW,
    reason=Reason.TIE,
)


def ledger_of(*records: Record, **settings: Any) -> Ledger:
    """The state of a run of these settings."""
    ledger = Ledger()
    for record in (facts.run_opened(**settings), *records):
        ledger.fold(record)
    return ledger


def said(label: Label) -> list[Record]:
    """A pair with this label."""
    return [facts.sampled(label.ticket), facts.submitted(label.ticket), label]


def decided(**settings: Any) -> Label | Dropped | Escalated:
    """What becomes of a tie of the judge."""
    tie = facts.dropped(0, Reason.TIE)
    (fact,) = labelling.doubt([tie], Settings(**settings), asked=0)
    return fact


def test_a_tie_of_the_judge_is_dropped_unless_it_is_asked_for() -> None:
    """Then it is a label without a winner, of one half."""
    assert decided() == facts.dropped(0, Reason.TIE)
    assert decided(**TRAINED) == JUDGED_TIE
    assert decided(ties="soft", soft_labels=True) == JUDGED_TIE


def test_people_are_still_asked_about_a_tie() -> None:
    """Where a judge's doubts go to people; beyond the budget the tie stands."""
    asked = decided(escalate_below=0.6, **TRAINED)
    assert isinstance(asked, Escalated)
    assert asked.why == Reason.TIE
    assert decided(escalate_below=0.6, label_budget=0, **TRAINED) == JUDGED_TIE


@pytest.mark.parametrize("reason", [Reason.DISAGREED, Reason.FAILED])
def test_only_a_tie_is_one(reason: str) -> None:
    """A judge that contradicts itself, or fails, has not said that two are equal."""
    drop = facts.dropped(0, reason)
    assert labelling.doubt([drop], Settings(**TRAINED), asked=0) == [drop]


@pytest.mark.parametrize("label", [JUDGED_TIE, facts.people_say(0, None, Reason.TIE)])
def test_a_tie_is_in_the_batch_where_ties_are_trained_on(label: Label) -> None:
    """Whoever said so; without the setting it is dropped with the next step."""
    trained, dropped = ledger_of(*said(label), **TRAINED), ledger_of(*said(label))

    (pair,) = trained.batch(4)
    assert (pair.tied, pair.label) == (True, label)
    assert trained.undecided() == trained.settled_without_winner() == []
    assert dropped.batch(4) == []
    assert dropped.undecided() == dropped.settled_without_winner() == [label]


@pytest.mark.parametrize("reason", [Reason.BAD, Reason.SKIPPED, Reason.SPLIT])
def test_what_people_leave_open_otherwise_is_never_trained_on(reason: str) -> None:
    """That both are bad, or that people differ, is no tie."""
    label = facts.people_say(0, None, reason)
    assert ledger_of(*said(label), **TRAINED).batch(4) == []


def test_a_tie_counts_as_judged_and_not_as_agreed() -> None:
    """As where it is dropped: the judge's measures stay what they were."""
    kept = ledger_of(*said(JUDGED_TIE), **TRAINED).round
    dropped = ledger_of(*said(JUDGED_TIE)[:2], facts.dropped(0, Reason.TIE)).round
    assert (kept.judged, kept.agreed) == (dropped.judged, dropped.agreed) == (1, 0)
    assert kept.unsettled == dropped.unsettled


def test_a_rewind_has_a_tie_trained_on_again() -> None:
    """The batch that is planned waits for it, and has it."""
    before = [*said(JUDGED_TIE), facts.step(1, 0, state="s")]
    planned = replanning.plan(
        [facts.run_opened(**TRAINED), *before],
        0,
        replanning.as_people_say("first", facts.NOW),
    )
    ledger = ledger_of(
        *before, *planned.pairs, facts.rewound(0, *planned.batches), **TRAINED
    )
    assert ledger.plan() == (0,)
    assert [pair.tied for pair in ledger.batch(4)] == [True]
    assert planned.steps(TRAINED) == 1
    assert planned.steps({"ties": "drop"}) == 0


def test_a_person_may_still_turn_a_tie_of_the_judge_and_take_that_back() -> None:
    """Unasked: the answer counts, and once it is undone the tie stands again."""
    verdicts = [facts.verdict(0, shown, "tie") for shown in ("first-second",)]
    ledger = ledger_of(
        facts.sampled(0),
        facts.submitted(0),
        *verdicts,
        JUDGED_TIE,
        facts.vote(0),
        **TRAINED,
    )
    settings = Settings(**TRAINED)
    (turned,) = labelling.settle_all(ledger, settings, [0], facts.NOW)
    assert isinstance(turned, Label)
    assert turned.chosen == "first"
    for fact in (turned, facts.vote(0, "undo")):
        ledger.fold(fact)
    assert labelling.settle_all(ledger, settings, [0], facts.NOW) == [JUDGED_TIE]


def test_a_tie_is_exported_as_undecided_also_where_it_was_trained_on() -> None:
    """No trainer is told that one of the two is better."""
    outcomes, pair = Outcomes(), facts.sampled(0)
    records = [facts.run_opened(**TRAINED), *said(JUDGED_TIE), facts.step(1, 0)]
    for record in records:
        outcomes.take(record)
    ((found, outcome),) = preferences.labelled(records, outcomes.standing())

    assert isinstance(found, Sampled)
    assert (outcome.chosen, outcome.reason, outcome.step) == (None, "tie", 1)
    row = preferences.row("run", pair, outcome, "plain")
    assert row["reason"] == "tie"
    assert "chosen" not in row


def test_two_runs_are_compared_on_ties_too() -> None:
    """A pair that one run took for a tie, and the other not, differs."""
    outline = Outline()
    for record in (
        facts.run_opened(**TRAINED),
        *said(JUDGED_TIE),
        facts.step(1, 0),
    ):
        outline.take(record)
    assert outline.outcomes() == {facts.sampled(0).pair: "tie"}
    assert outline.steps[0].chosen == ("tie",)
