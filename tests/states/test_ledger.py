"""Where every prompt stands, folded out of facts."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import asdict
from itertools import chain
from typing import Any

import pytest

from onlinedpo.journal.codec import decode, encode
from onlinedpo.states.errors import IllegalMove
from onlinedpo.states.ledger import Ledger, Round
from onlinedpo.states.lifecycle import LiveMachine, Phase, by_table
from onlinedpo.states.records import Reason, Record, Why
from tests.states import facts


def ledger_of(*records: Record, live: bool = False) -> Ledger:
    """The state that these facts add up to."""
    ledger = Ledger(LiveMachine() if live else by_table)
    for record in records:
        ledger.fold(record)
    return ledger


def all_of(ledger: Ledger) -> dict[str, Any]:
    """Everything that a ledger holds, to be compared."""
    state = {name: value for name, value in vars(ledger).items() if name != "_move"}
    turns = {ticket: asdict(turn) for ticket, turn in ledger.turns.items()}
    return {**state, "turns": turns, "round": asdict(ledger.round)}


def a_run() -> list[Record]:
    """Eight prompts: three are trained on in two steps, three drop out, two wait."""
    same = facts.completion(4, 5)
    return [
        facts.run_opened(batch_size=2),
        facts.process_started(),
        facts.held_out(),
        facts.evaluated(0, "tie", "failed"),
        facts.sampled(0),
        facts.dropped(1, Reason.TOO_LONG),
        facts.sampled(2),
        facts.sampled(3, same, same),
        facts.dropped(3, Reason.IDENTICAL),
        facts.submitted(0, 2),
        facts.verdict(0),
        facts.verdict(2, winner="second"),
        facts.label(0),
        facts.label(2, "second"),
        facts.step(1, 0, 2, state="s1"),
        facts.tail_cut(),
        facts.process_started(iters=7),
        facts.sampled(4, step=1),
        facts.sampled(5, step=1),
        facts.submitted(4, 5),
        facts.verdict(4),
        facts.label(4),
        facts.verdict(5, winner="tie"),
        facts.dropped(5, Reason.TIE),
        facts.step(2, 4),
        facts.evaluated(2, "win", "win"),
        facts.sampled(6, step=2),
        facts.submitted(6),
        facts.verdict(6),
        facts.label(6),
        facts.sampled(7, step=2),
    ]


def a_run_with_people() -> list[Record]:
    """The same, with people: asked twice, answering, withdrawing, late, rewound."""
    return [
        *a_run(),
        facts.submitted(7),
        facts.escalated(7, 2, Why.SHARE),
        facts.vote(7),
        facts.vote(7, "second", 2),
        facts.vote(7, "undo", 2),
        facts.vote(7, "tie", 2),
        facts.kept(),
        facts.people_say(7),
        facts.withdrawn(7),
        facts.people_say(7, None, Reason.TIE),
        facts.bundle(),
        facts.vote(4, "second"),
        facts.restored(
            facts.sampled(4, step=1),
            facts.people_say(4, "second"),
            "",
            facts.vote(4, "second"),
        ),
        facts.restored(facts.sampled(5, step=1), facts.people_say(5), Reason.TIE),
        facts.rewound(1, (4,), (5,)),
        facts.step(2, 4, state="s2"),
        facts.dropped(7, Reason.TIE),
    ]


def test_a_run_adds_up() -> None:
    """Counts, digests, seconds and what is in flight are what the facts say."""
    ledger = ledger_of(*a_run())
    assert ledger.counts() == {
        Phase.SAMPLED: 1,
        Phase.JUDGING: 0,
        Phase.LABELLED: 1,
        Phase.APPLIED: 3,
        Phase.DROPPED: 3,
    }
    assert ledger.dropped == {Reason.TOO_LONG: 1, Reason.IDENTICAL: 1, Reason.TIE: 1}
    assert (ledger.steps, ledger.next_ticket) == (2, 8)
    assert ledger.checkpoints == {1: "s1"}
    assert ledger.seconds == {"train": 1.0}
    assert ledger.last_step == facts.step(2, 4)
    assert ledger.environment == {"device": "cpu"}
    assert ledger.changed == {"iters": 7}
    assert ledger.settings == facts.run_opened(batch_size=2, iters=7).settings
    assert ledger.tails == [facts.tail_cut()]
    assert ledger.reference == facts.held_out()
    assert [ledger.evaluated(step) for step in (0, 1, 2)] == [True, False, True]
    assert ledger.pairs(Phase.SAMPLED) == [facts.sampled(7, step=2)]
    (pair,) = ledger.labelled()
    assert (pair.sampled, pair.label) == (facts.sampled(6, step=2), facts.label(6))
    assert ledger.turns[6].verdicts == [facts.verdict(6)]


def test_live_run_reader_and_journal_give_the_same_state() -> None:
    """After each fact the live ledger equals the one folded from encoded facts."""
    live, read = ledger_of(live=True), ledger_of()
    for record in a_run_with_people():
        live.fold(record)
        for again in decode(encode([record])):
            read.fold(again)
        assert all_of(live) == all_of(read)


@pytest.mark.parametrize(
    ("before", "fact", "says"),
    [
        ([facts.run_opened()], facts.run_opened(), "opened once"),
        ([], facts.sampled(1), "prompt 1 is sampled out of turn .0 is next"),
        ([facts.sampled(0)], facts.sampled(0), "prompt 0 is sampled out of turn"),
        ([], facts.dropped(1), "prompt 1 is not known"),
        ([], facts.submitted(0), "prompt 0 is not known"),
        ([facts.sampled(0)], facts.submitted(0, 1), "prompt 1 is not known"),
        ([facts.sampled(0)], facts.submitted(0, 0), "prompt 0: .* is judging cannot"),
        ([], facts.verdict(0), "prompt 0 is not known"),
        ([facts.sampled(0)], facts.verdict(0), "prompt 0: .*not asked"),
        ([], facts.label(0), "prompt 0 is not known"),
        ([facts.sampled(0)], facts.label(0), "prompt 0: .* is sampled cannot label"),
        ([facts.dropped(0)], facts.dropped(0), "prompt 0 has ended already"),
        ([facts.dropped(0)], facts.label(0), "prompt 0 has ended already"),
        ([facts.dropped(0)], facts.verdict(0), "prompt 0 has ended already"),
        ([facts.sampled(0)], facts.step(1, 0), "prompt 0: .* is sampled cannot apply"),
        ([], facts.step(1, 0), "prompt 0 is not known"),
        ([], facts.step(2), "step 2 after step 0"),
        ([], facts.step(0), "step 0 after step 0"),
        ([], facts.escalated(0), "prompt 0 is not known"),
        ([facts.sampled(0)], facts.escalated(0), "prompt 0: .*not asked about"),
        ([facts.dropped(0)], facts.escalated(0), "prompt 0 has ended already"),
        ([], facts.vote(0), "prompt 0 is not known"),
        ([facts.sampled(0)], facts.vote(0), "prompt 0: .*was not asked"),
        ([], facts.withdrawn(0), "prompt 0 is not known"),
        ([facts.sampled(0)], facts.withdrawn(0), "is sampled cannot withdraw"),
        ([facts.dropped(0)], facts.withdrawn(0), "prompt 0 has ended already"),
        ([], facts.rewound(1), "step 1 is yet to come"),
        ([facts.dropped(0)], facts.rewound(0, (0,)), "prompt 0 was not put back"),
    ],
)
def test_a_fact_out_of_turn_is_an_error_that_names_the_prompt(
    before: list[Record], fact: Record, says: str
) -> None:
    """Live and replayed alike: nothing is folded that the order of facts forbids."""
    for live in (False, True):
        ledger = ledger_of(*before, live=live)
        with pytest.raises(IllegalMove, match=says):
            ledger.fold(fact)


@pytest.mark.parametrize(
    ("fact", "says"),
    [
        (facts.submitted(0), "prompt 0: .* is labelled cannot submit"),
        (facts.verdict(0), "prompt 0: .*not asked"),
        (facts.step(1, 0, 0), "prompt 0 has ended already"),
        (facts.step(2, 0), "step 2 after step 0"),
        (facts.escalated(0), "prompt 0: .*not asked"),
        (facts.sampled(0), "prompt 0 is sampled out of turn"),
        (facts.rewound(0, (0,)), "prompt 0 was not put back"),
    ],
)
def test_what_is_labelled_is_trained_on_once(fact: Record, says: str) -> None:
    """No second verdict, no second step, and no way back to the judge."""
    ledger = ledger_of(*chain(*facts.life(0, 1)[:3]))
    with pytest.raises(IllegalMove, match=says):
        ledger.fold(fact)


def test_a_label_stands_until_the_next_step() -> None:
    """People may change it, take it back or drop the pair; the last word counts."""
    ledger = ledger_of(*chain(*facts.life(0, 1)[:3]), facts.people_say(0, "second"))
    assert [pair.chosen for pair in ledger.batch(1)] == ["second"]
    ledger.fold(facts.withdrawn(0))
    assert (ledger.batch(1), ledger.turns[0].label) == ([], None)
    assert ledger.turns[0].phase is Phase.JUDGING
    ledger.fold(facts.people_say(0))
    assert [pair.chosen for pair in ledger.batch(1)] == ["first"]
    ledger.fold(facts.people_say(0, None, Reason.BAD))
    assert ledger.batch(1) == []
    ledger.fold(facts.dropped(0, Reason.BAD))
    assert ledger.dropped == {Reason.BAD: 1}
    assert ledger.turns == {}


def test_a_step_is_due_when_enough_is_labelled_or_nothing_else_is_on_its_way() -> None:
    """The oldest pairs go first; a short step is taken only when no pair can follow."""
    ledger = ledger_of(*(facts.sampled(i) for i in range(4)))
    assert ledger.batch(2) == []
    ledger.fold(facts.submitted(0, 1, 2, 3))
    ledger.fold(facts.label(3))
    assert ledger.batch(2) == [], "prompts 0, 1 and 2 may still get a label"
    ledger.fold(facts.label(1))
    assert [pair.sampled.ticket for pair in ledger.batch(2)] == [1, 3]
    assert ledger.batch(3) == []
    ledger.fold(facts.label(0))
    assert [pair.sampled.ticket for pair in ledger.batch(2)] == [0, 1]
    ledger.fold(facts.dropped(2))
    assert [pair.sampled.ticket for pair in ledger.batch(9)] == [0, 1, 3]
    ledger.fold(facts.step(1, 0, 1, 3))
    assert ledger.batch(1) == []


def test_a_round_counts_what_happened_since_the_last_step() -> None:
    """Pairs, tokens, ends, verdicts and drops; the step begins the count anew."""
    records = a_run()
    until = next(i for i, fact in enumerate(records) if fact == facts.tail_cut()) - 1
    ledger = ledger_of(*records[:until])
    assert ledger.round == Round(
        sampled=3,
        fresh=3,
        completions=6,
        tokens=5 + 5 + 4,
        ended=1 + 1 + 2,
        truncated=2,
        judged=2,
        agreed=2,
        dropped=Counter([Reason.TOO_LONG, Reason.IDENTICAL]),
    )
    ledger.fold(records[until])
    assert ledger.round == Round()


def test_a_pair_without_winner_counts_as_judged_one_never_asked_does_not() -> None:
    """Agreement is a share of what the judge was asked."""
    ledger = ledger_of(*(facts.sampled(i) for i in range(3)))
    ledger.fold(facts.dropped(0, Reason.IDENTICAL))
    ledger.fold(facts.submitted(1, 2))
    ledger.fold(facts.dropped(1, Reason.FAILED))
    ledger.fold(facts.label(2))
    ledger.fold(facts.dropped(3, Reason.TOO_LONG))
    assert (ledger.round.judged, ledger.round.agreed) == (2, 1)
    assert sum(ledger.round.dropped.values()) == 3


def test_what_has_ended_leaves_no_memory() -> None:
    """After 10,000 prompts, trained or dropped, only counters are left."""
    ledger, chance = Ledger(), random.Random(0)
    trained = 0
    for ticket in range(10_000):
        if chance.random() < 0.5:
            trained += 1
            records = list(chain(*facts.life(ticket, trained)))
        else:
            records = [facts.sampled(ticket), facts.dropped(ticket)]
        for record in records:
            ledger.fold(record)
    assert ledger.turns == {}
    assert ledger.counts()[Phase.APPLIED] == ledger.steps == trained
    assert sum(ledger.counts().values()) == ledger.next_ticket == 10_000
