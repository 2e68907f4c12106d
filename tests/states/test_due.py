"""Which operation is due: the loop's order, by the facts alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onlinedpo.states.config import Settings
from onlinedpo.states.due import due, next_batch, to_sample
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import Label, Reason, Record
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


# -- rounds of several steps

ROUNDS = replace(JUDGED, pairs_per_round=5)
ASKING = replace(PEOPLE, pairs_per_round=5)


def after_a_step(count: int, ended: int = 2) -> list[Record]:
    """So many pairs were sampled and labelled, and a step taken on the first ones."""
    pairs = [fact for ticket in range(count) for fact in decided(ticket)]
    return [*pairs, facts.step(1, *range(ended))]


def answered(count: int) -> list[Record]:
    """So many pairs that people have labelled."""
    labels = [facts.people_say(ticket) for ticket in range(count)]
    return [f for n, label in enumerate(labels) for f in (*waiting(n), label)]


def fresh(*tickets: int, step: int = 1) -> list[Record]:
    """Pairs that were sampled after a step, and labelled."""
    return [
        fact
        for ticket in tickets
        for fact in (
            facts.sampled(ticket, step=step),
            facts.submitted(ticket),
            facts.label(ticket),
        )
    ]


@pytest.mark.parametrize(
    ("records", "settings", "wanted", "size"),
    [
        # A batch is there, and is left alone until all of the round is.
        ([*decided(0), *decided(1)], ROUNDS, "sample", 0),
        ([f for n in range(4) for f in decided(n)], ROUNDS, "sample", 0),
        ([f for n in range(5) for f in decided(n)], ROUNDS, "apply", 2),
        (after_a_step(5), ROUNDS, "apply", 2),
        (after_a_step(5, 4), ROUNDS, "apply", 1),
        # The next one; nothing came of this one, so the next begins.
        (after_a_step(5, 5), ROUNDS, "sample", 0),
        ([*after_a_step(5, 5), *fresh(5, 6)], ROUNDS, "sample", 0),
        # What waits for people is waited for while others go on.
        ([*waiting(0), *decided(1), *decided(2)], ROUNDS, "sample", 0),
        (
            [*waiting(0), *[f for n in range(1, 5) for f in decided(n)]],
            ROUNDS,
            "apply",
            2,
        ),
        # Where people judge all, no pair of the round may wait.
        (waiting(0), ASKING, "sample", 0),
        ([f for n in range(5) for f in waiting(n)], ASKING, "wait", 0),
        (
            [*[f for n in range(4) for f in decided(n)], *waiting(4)],
            ASKING,
            "wait",
            0,
        ),
        ([*answered(5), facts.step(1, 0, 1)], ASKING, "apply", 2),
        ([*answered(5), facts.step(1, 0, 1), facts.withdrawn(2)], ASKING, "wait", 0),
        # With nobody left to ask, the round is as large as it is.
        ([*waiting(0), *decided(1)], replace(ASKING, label_budget=1), "wait", 0),
    ],
)
def test_a_round_is_whole_before_it_is_trained_on(
    records: list[Record], settings: Settings, wanted: str, size: int
) -> None:
    """Sampled and judged from one policy, then taken step after step."""
    ledger = standing(*records)
    assert due(ledger, settings) == wanted
    if wanted == "apply":
        assert len(next_batch(ledger, settings)) == size


def test_a_corrected_pair_is_no_pair_of_the_next_round() -> None:
    """It comes again as it was: the round goes on, and none has begun."""
    again = replace(facts.sampled(5, repeats=0), step=0)
    records = [*after_a_step(5), again, facts.submitted(5), facts.label(5)]
    ledger = standing(*records)
    assert due(ledger, ROUNDS) == "apply"
    assert to_sample(ledger, ROUNDS) == 2


def test_a_pair_that_was_skipped_and_then_answered_counts_once() -> None:
    """Also if no step was taken in between."""
    skipped: list[Record] = [
        facts.sampled(0),
        facts.submitted(0),
        facts.dropped(0, "skipped"),
    ]
    again: list[Record] = [
        facts.sampled(1, repeats=0),
        facts.submitted(1),
        facts.label(1),
    ]
    assert standing(*skipped, *again).round.fresh == 1
    requeued: list[Record] = [
        facts.sampled(0),
        facts.submitted(0),
        facts.dropped(0, Reason.REQUEUED),
    ]
    assert standing(*requeued, *again).round.fresh == 2


def test_the_last_pairs_of_a_round_are_what_it_lacks() -> None:
    """It need not be a multiple of what a step takes."""
    ledger, seen = Ledger(), []
    for ticket in range(10):
        seen.append(to_sample(ledger, ROUNDS))
        for fact in decided(ticket):
            ledger.fold(fact)
    assert seen == [2, 2, 2, 2, 1] * 2


def test_nothing_is_sampled_for_people_who_are_not_to_be_asked() -> None:
    """With the budget spent, what waits is waited for, whatever room there is."""
    spent = replace(PEOPLE, label_budget=1, max_waiting=50)
    assert due(standing(*waiting(0)), spent) == "wait"
    assert due(standing(*waiting(0)), replace(spent, label_budget=9)) == "sample"
