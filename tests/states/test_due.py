"""Which operation is due: the loop's order, by the facts alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onlinedpo.states.config import Settings
from onlinedpo.states.due import due
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import Label, Record
from tests.states import facts

JUDGED = Settings(judge="j", batch_size=2, iters=3)
PEOPLE = Settings(judge="human", batch_size=2, iters=3)


def standing(*records: Record) -> Ledger:
    """After these facts."""
    ledger = Ledger()
    for record in records:
        ledger.fold(record)
    return ledger


def decided(ticket: int, label: Label | None = None) -> list[Record]:
    """A pair that has its label."""
    judged = facts.submitted(ticket), label or facts.label(ticket)
    return [facts.sampled(ticket), *judged]


def waiting(ticket: int) -> list[Record]:
    """A pair that waits for people."""
    return [facts.sampled(ticket), facts.submitted(ticket), facts.escalated(ticket)]


@pytest.mark.parametrize(
    ("records", "settings", "wanted"),
    [
        ([], JUDGED, "sample"),
        ([facts.sampled(0)], JUDGED, "submit"),
        ([facts.sampled(0), facts.submitted(0)], JUDGED, "judge"),
        ([*decided(0), facts.sampled(1), facts.submitted(1)], JUDGED, "judge"),
        ([*decided(0), *decided(1)], JUDGED, "apply"),
        (decided(0), JUDGED, "apply"),
        (decided(0, facts.people_say(0, None, "tie")), JUDGED, "drop"),
        (waiting(0), JUDGED, "sample"),
        (waiting(0), PEOPLE, "wait"),
        (waiting(0), replace(PEOPLE, max_waiting=3), "sample"),
        ([*waiting(0), *decided(1)], JUDGED, "sample"),
        ([], replace(PEOPLE, label_budget=0), "wait"),
        ([*decided(0), facts.step(1, 0)], replace(JUDGED, iters=1), "nothing"),
    ],
)
def test_one_thing_is_due(
    records: list[Record], settings: Settings, wanted: str
) -> None:
    """From a fresh pair to its end."""
    assert due(standing(*records), settings) == wanted


def test_what_waited_too_long_goes_first() -> None:
    """Before a step is taken on what is labelled."""
    old = replace(JUDGED, max_staleness=0)
    records = [*waiting(0), *decided(1), facts.step(1, 1), *decided(2), *decided(3)]

    assert due(standing(*records), JUDGED) == "apply"
    assert due(standing(*records), old) == "drop"
    assert due(standing(*records), replace(old, when_stale="keep")) == "apply"


def test_what_a_rewind_left_to_be_done_comes_before_new_prompts() -> None:
    """The run waits for people on these pairs, and samples no others."""
    back = [
        *decided(0),
        facts.step(1, 0),
        facts.restored(facts.sampled(0), facts.label(0), "", facts.vote(0)),
        facts.rewound(0, (0,)),
    ]
    assert due(standing(*back), JUDGED) == "apply"
    taken_back = [*back, facts.withdrawn(0)]
    assert due(standing(*taken_back), JUDGED) == "wait"
