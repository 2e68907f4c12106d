"""Where pairs stand that people are asked about, and those that come back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onlinedpo.states.answers import Ask, version
from onlinedpo.states.errors import IllegalMove
from onlinedpo.states.ledger import Ledger, Round
from onlinedpo.states.lifecycle import Phase
from onlinedpo.states.records import Reason, Record, Sampled, Why
from tests.states import facts


def ledger_of(*records: Record) -> Ledger:
    """The state that these facts add up to."""
    ledger = Ledger()
    for record in records:
        ledger.fold(record)
    return ledger


def at_the_judge(count: int, step: int = 0) -> list[Record]:
    """So many pairs that went to the judge."""
    pairs = [facts.sampled(n, step=step) for n in range(count)]
    return [*pairs, facts.submitted(*range(count))]


def tickets(pairs: list[Sampled]) -> list[int]:
    """Of which pairs."""
    return [pair.ticket for pair in pairs]


def asks(ledger: Ledger) -> list[tuple[int, int]]:
    """(ticket, slot) of each answer that is wanted."""
    return [(ask.ticket, ask.slot) for ask in ledger.open_asks()]


def batch(ledger: Ledger, size: int) -> list[tuple[int, str]]:
    """(ticket, chosen side) of what the next step trains on."""
    return [(pair.sampled.ticket, pair.chosen) for pair in ledger.batch(size)]


# -- waiting -------------------------------------------------------------------------


def test_a_pair_waits_either_for_the_judge_or_for_people() -> None:
    """The judge is asked about those only of which people are not."""
    ledger = ledger_of(*at_the_judge(3), facts.sampled(3), facts.escalated(1))
    assert tickets(ledger.to_judge()) == [0, 2]
    assert [turn.sampled for turn in ledger.waiting()] == [facts.sampled(1)]
    assert [turn.waits for turn in ledger.turns.values()] == [False, True, False, False]
    ledger.fold(facts.people_say(1))
    assert ledger.waiting() == []
    ledger.fold(facts.withdrawn(1))
    assert [turn.sampled for turn in ledger.waiting()] == [facts.sampled(1)]
    assert tickets(ledger.to_judge()) == [0, 2]


def test_each_answer_that_is_missing_is_asked_for() -> None:
    """By the pair's name and the slot; an answered slot is not asked for any more."""
    ledger = ledger_of(*at_the_judge(3), facts.escalated(2), facts.escalated(0, 2))
    assert asks(ledger) == [(0, 1), (0, 2), (2, 1)]
    assert next(ledger.open_asks()) == Ask(facts.sampled(0).pair)
    ledger.fold(facts.vote(0, slot=2))
    assert asks(ledger) == [(0, 1), (2, 1)]
    ledger.fold(facts.vote(0))
    assert asks(ledger) == [(2, 1)]
    ledger.fold(facts.escalated(0, 3, Reason.SPLIT))
    assert asks(ledger) == [(0, 3), (2, 1)]


def test_an_answer_is_also_wanted_where_a_label_stands_already() -> None:
    """As long as the pair has not been trained on, or dropped."""
    ledger = ledger_of(
        *at_the_judge(2), facts.escalated(0, 2), facts.vote(0), facts.people_say(0)
    )
    assert asks(ledger) == [(0, 2)]
    ledger.fold(facts.step(1, 0))
    assert asks(ledger) == []
    ledger.fold(facts.escalated(1))
    ledger.fold(facts.dropped(1, Reason.STALE))
    assert asks(ledger) == []


def test_answers_asked_for_are_counted_once() -> None:
    """For the budget: a third answer is one more, and answers given take none away."""
    ledger = ledger_of(*at_the_judge(3))
    counts = []
    for record in (
        facts.escalated(0, 2),
        facts.escalated(1),
        facts.vote(0),
        facts.escalated(0, 3, Reason.SPLIT),
        facts.vote(0, "undo"),
        facts.people_say(1),
        facts.withdrawn(1),
        facts.dropped(1, Reason.STALE),
        facts.escalated(2),
    ):
        ledger.fold(record)
        counts.append(ledger.asked)
    assert counts == [2, 3, 3, 4, 4, 4, 4, 4, 5]


def test_a_pair_has_waited_since_people_were_first_asked() -> None:
    """A third person who is asked later does not make it younger."""
    later = replace(facts.escalated(0, 3, Reason.SPLIT), time=facts.NOW + 60)
    ledger = ledger_of(*at_the_judge(1), facts.escalated(0, 2), later)
    assert ledger.turns[0].since == facts.NOW
    assert ledger.turns[0].slots == 3


# -- answers ---------------------------------------------------------------------------


def test_the_newest_answer_in_a_slot_counts() -> None:
    """In the place in which the slot was first filled; undone, it is empty again."""
    ledger = ledger_of(*at_the_judge(1), facts.escalated(0, 3))
    turn = ledger.turns[0]

    def answers() -> list[tuple[int, str]]:
        return [(slot, vote.value) for slot, vote in turn.votes.items()]

    ledger.fold(facts.vote(0, "first", 2))
    ledger.fold(facts.vote(0, "tie", 1))
    assert answers() == [(2, "first"), (1, "tie")]
    ledger.fold(facts.vote(0, "second", 2))
    assert answers() == [(2, "second"), (1, "tie")]
    ledger.fold(facts.vote(0, "undo", 2))
    assert answers() == [(1, "tie")]
    assert asks(ledger) == [(0, 2), (0, 3)]
    ledger.fold(facts.vote(0, "undo", 3))
    ledger.fold(facts.vote(0, "bad", 2))
    assert answers() == [(1, "tie"), (2, "bad")]


def test_an_answer_that_nobody_asked_for_is_taken() -> None:
    """People may overrule a judge, before it spoke and after."""
    ledger = ledger_of(*at_the_judge(2), facts.verdict(1), facts.label(1))
    for ticket in (0, 1):
        ledger.fold(facts.vote(ticket, "second"))
        assert ledger.turns[ticket].votes[1].value == "second"
    assert (asks(ledger), ledger.asked, ledger.late) == ([], 0, 0)
    assert tickets(ledger.to_judge()) == [0]


def test_an_answer_that_comes_too_late_is_counted() -> None:
    """The pair was trained on, or dropped: nothing else changes."""
    ledger = ledger_of(*at_the_judge(2), facts.label(0), facts.dropped(1))
    ledger.fold(facts.step(1, 0))
    counts = ledger.counts()
    ledger.fold(facts.vote(0, "second"))
    ledger.fold(facts.vote(1))
    assert (ledger.late, ledger.turns, ledger.counts()) == (2, {}, counts)


# -- what people saved -----------------------------------------------------------------


def test_every_version_that_was_saved_is_known_by_its_place() -> None:
    """Answers under both names, what is no answer under its own; the newest counts."""
    answer, kept = facts.vote(0), facts.kept("todo/x.md", b"choice: 9")
    ledger = ledger_of(*at_the_judge(1), facts.escalated(0), answer, kept)
    assert ledger.read == {
        answer.path: version(answer.raw),
        answer.kept_as: version(answer.raw),
        "todo/x.md": version(b"choice: 9"),
    }
    ledger.fold(facts.kept("todo/x.md", b"choice: 8"))
    assert ledger.read["todo/x.md"] == version(b"choice: 8")


def test_a_dropped_file_is_known_under_both_its_names() -> None:
    """By its SHA-256, which the record tells: it is not read twice."""
    ledger = ledger_of(facts.bundle("inbox/a.jsonl"))
    digest = bytes.fromhex("ab" * 32)
    assert ledger.read == {"inbox/a.jsonl": digest, "done/a.jsonl": digest}


def test_an_answer_that_is_changed_in_done_makes_room_in_todo() -> None:
    """The same bytes saved in todo/ again are then a version of their own."""
    first = facts.vote(0)
    changed = facts.vote(0, "tie", path=first.kept_as)
    ledger = ledger_of(*at_the_judge(1), facts.escalated(0), first, changed)
    assert ledger.read == {first.kept_as: version(changed.raw)}


def test_an_answer_in_todo_takes_no_other_name_away() -> None:
    """Only what bears the name of a file in done/ is concerned."""
    ledger = ledger_of(
        *at_the_judge(2),
        facts.escalated(0),
        facts.escalated(1),
        facts.kept("todo/1-1.md"),
        facts.vote(0),
        facts.vote(0, "tie", path="done/0-1.md"),
        facts.vote(1, path="inbox/a.jsonl:1", kept_as="inbox/a.jsonl:1"),
    )
    assert set(ledger.read) == {"todo/1-1.md", "done/0-1.md", "inbox/a.jsonl:1"}


# -- what a round counts ---------------------------------------------------------------


def test_a_pair_that_a_judge_passed_on_counts_as_judged_once() -> None:
    """As agreed if it named a side in both orders, else with the reason why not."""
    verdicts = [facts.verdict(n) for n in (0, 1, 3)]
    tie = facts.verdict(2, winner="tie")
    ledger = ledger_of(*at_the_judge(4), *verdicts, tie)
    ledger.fold(facts.label(0))
    ledger.fold(facts.escalated(1, 2, Why.UNSURE))
    ledger.fold(facts.escalated(1, 3, Reason.SPLIT))
    ledger.fold(facts.people_say(1))
    ledger.fold(facts.escalated(2, 1, Reason.TIE))
    ledger.fold(facts.dropped(2, Reason.STALE))
    ledger.fold(facts.dropped(3, Reason.DISAGREED))
    tally = ledger.round
    assert (tally.judged, tally.agreed) == (4, 2)
    assert tally.unsettled == {Reason.TIE: 1, Reason.DISAGREED: 1}
    assert tally.dropped == {Reason.STALE: 1, Reason.DISAGREED: 1}


def test_where_people_judge_no_judge_is_counted() -> None:
    """Its agreement is a share of what it was asked: nothing."""
    ledger = ledger_of(*at_the_judge(2), facts.escalated(0), facts.escalated(1))
    ledger.fold(facts.people_say(0))
    ledger.fold(facts.dropped(1, Reason.STALE))
    unasked = (facts.sampled(2), facts.submitted(2), facts.vote(2), facts.people_say(2))
    for record in unasked:
        ledger.fold(record)
    assert (ledger.round.judged, ledger.round.agreed) == (0, 0)
    assert ledger.round.unsettled == {}


def test_a_label_that_is_changed_is_counted_once() -> None:
    """A judge's label that people overrule, and that comes back."""
    ledger = ledger_of(*at_the_judge(1), facts.verdict(0), facts.label(0))
    ledger.fold(facts.people_say(0, "second"))
    ledger.fold(facts.label(0))
    assert (ledger.round.judged, ledger.round.agreed) == (1, 1)
    passed_on = ledger_of(*at_the_judge(1), facts.verdict(0), facts.escalated(0))
    passed_on.fold(facts.label(0))
    assert (passed_on.round.judged, passed_on.round.agreed) == (1, 1)


# -- the next step ---------------------------------------------------------------------


def test_pairs_without_a_winner_are_not_trained_on_and_hold_up_nothing() -> None:
    """They stand, to be changed, until the next step; then they are dropped."""
    ledger = ledger_of(*at_the_judge(3))
    for ticket in range(3):
        ledger.fold(facts.escalated(ticket))
    ledger.fold(facts.people_say(0, None, Reason.BAD))
    ledger.fold(facts.people_say(1, "second"))
    assert ledger.undecided() == [facts.people_say(0, None, Reason.BAD)]
    assert (ledger.batch(2), ledger.settled_without_winner()) == ([], [])
    ledger.fold(facts.people_say(2, None, Reason.TIE))
    assert batch(ledger, 2) == [(1, "second")]
    assert [label.ticket for label in ledger.undecided()] == [0, 2]
    ledger.fold(facts.step(1, 1))
    assert ledger.batch(1) == []
    assert [label.ticket for label in ledger.settled_without_winner()] == [0, 2]
    ledger.fold(facts.people_say(0))
    assert batch(ledger, 1) == [(0, "first")]
    assert ledger.settled_without_winner() == []


def test_where_nothing_is_in_flight_nothing_is_settled() -> None:
    """An empty ledger asks for no drops."""
    assert ledger_of().settled_without_winner() == []
    assert ledger_of().undecided() == []


# -- a second turn ---------------------------------------------------------------------


def test_a_prompt_that_was_requeued_is_sampled_again_out_of_the_order() -> None:
    """In the order in which they were; the order of prompts does not move on by it."""
    ledger = ledger_of(*at_the_judge(3))
    for ticket in (2, 0):
        ledger.fold(facts.escalated(ticket))
        ledger.fold(facts.dropped(ticket, Reason.REQUEUED))
    assert list(ledger.again) == [(2, 0, 2), (0, 0, 0)]
    assert (ledger.place, ledger.next_ticket) == (3, 3)
    ledger.fold(replace(facts.sampled(3, repeats=2), prompt=2))
    assert list(ledger.again) == [(0, 0, 0)]
    assert (ledger.place, ledger.next_ticket) == (3, 4)
    ledger.fold(facts.sampled(4))
    assert list(ledger.again) == [(0, 0, 0)]
    assert (ledger.place, ledger.next_ticket) == (4, 5)
    ledger.fold(replace(facts.sampled(5, repeats=0), prompt=0))
    assert (list(ledger.again), ledger.place) == ([], 4)
    assert ledger.dropped == {Reason.REQUEUED: 2}


def test_only_what_was_requeued_is_sampled_again() -> None:
    """Any other reason ends the prompt's turn for good."""
    ledger = ledger_of(*at_the_judge(1), facts.dropped(0, Reason.STALE))
    ledger.fold(facts.dropped(1, Reason.TOO_LONG))
    assert (list(ledger.again), ledger.place) == ([], 2)


def test_a_pair_that_is_trained_on_as_corrected_is_a_turn_out_of_the_order() -> None:
    """It repeats a pair, not only its prompt: what waits to be sampled still does."""
    ledger = ledger_of(*at_the_judge(2), facts.dropped(0, Reason.REQUEUED))
    ledger.fold(facts.label(1))
    ledger.fold(facts.step(1, 1))
    ledger.fold(facts.sampled(2, repeats=1))
    assert (list(ledger.again), ledger.place) == ([(0, 0, 0)], 2)


# -- going back ------------------------------------------------------------------------


def three_steps() -> list[Record]:
    """Seven prompts: 0 and 1, 2 and 3, then 4 trained on, 5 dropped, 6 in flight."""
    return [
        facts.run_opened(),
        *at_the_judge(7),
        *(facts.label(n) for n in range(5)),
        facts.evaluated(0, "tie"),
        facts.step(1, 0, 1, state="s1"),
        facts.evaluated(1, "win"),
        facts.step(2, 2, 3, state="s2"),
        facts.evaluated(2, "win"),
        facts.dropped(5, Reason.TIE),
        facts.step(3, 4, state="s3"),
    ]


def gone_back() -> Ledger:
    """To step 1: pairs 2 and 3, then 4, and 5, which people found to have a winner."""
    answer = facts.vote(5, "second")
    return ledger_of(
        *three_steps(),
        answer,
        facts.restored(facts.sampled(4), facts.label(4)),
        facts.restored(facts.sampled(2), facts.people_say(2, "second")),
        facts.restored(facts.sampled(3), facts.label(3)),
        facts.restored(
            facts.sampled(5), facts.people_say(5, "second"), Reason.TIE, answer
        ),
        facts.rewound(1, (2, 3), (4, 5)),
    )


def test_after_going_back_the_run_stands_where_it_stood() -> None:
    """Steps, checkpoints and win rates of what was undone are gone; others stay."""
    ledger = gone_back()
    assert (ledger.steps, ledger.last_step) == (1, None)
    assert ledger.checkpoints == {1: "s1"}
    assert [e.step for e in ledger.evaluations] == [0, 1]
    assert (ledger.evaluated(1), ledger.evaluated(2)) == (True, False)
    assert ledger.round == Round()
    assert ledger.counts() == {
        Phase.SAMPLED: 0,
        Phase.JUDGING: 1,
        Phase.LABELLED: 4,
        Phase.APPLIED: 2,
        Phase.DROPPED: 0,
    }
    assert +ledger.dropped == {}
    assert ledger.next_ticket == ledger.place == 7
    assert ledger.restored == {}
    assert sum(ledger.counts().values()) == 7
    begun = ledger_of(*three_steps(), facts.sampled(7), facts.rewound(3))
    assert begun.round == Round(), "what was sampled since a step counts no more"


def test_what_is_put_back_is_as_it_was_with_the_label_it_has_now() -> None:
    """Verdicts, answers and all; in the order of tickets among what is in flight."""
    ledger = gone_back()
    assert list(ledger.turns) == [2, 3, 4, 5, 6]
    turn = ledger.turns[5]
    assert turn.phase is Phase.LABELLED
    assert turn.sampled == facts.sampled(5)
    assert turn.verdicts == [facts.verdict(5)]
    assert turn.votes == {1: facts.vote(5, "second")}
    assert (turn.slots, turn.label) == (1, facts.people_say(5, "second"))
    ledger.fold(facts.vote(5, "undo"))
    assert ledger.turns[5].votes == {}
    assert ledger.late == 1, "the one that came before it was put back"


def test_the_same_batches_come_again() -> None:
    """Whatever the size of a step, and whatever else is labelled by now."""
    ledger = gone_back()
    ledger.fold(facts.label(6))
    for size in (1, 2, 99):
        assert batch(ledger, size) == [(2, "second"), (3, "first")]
    assert ledger.plan() == (2, 3)
    ledger.fold(facts.step(2, 2, 3))
    assert batch(ledger, 1) == [(4, "first"), (5, "second")]
    ledger.fold(facts.step(3, 4, 5))
    assert (ledger.plan(), list(ledger.planned)) == (None, [])
    assert batch(ledger, 1) == [(6, "first")]


def test_a_batch_that_comes_again_waits_for_a_label_that_was_taken_back() -> None:
    """It is whole, or smaller where a pair was found to have no winner."""
    ledger = gone_back()
    ledger.fold(facts.withdrawn(3))
    assert ledger.batch(1) == []
    ledger.fold(facts.people_say(3, None, Reason.BAD))
    assert batch(ledger, 1) == [(2, "second")]
    ledger.fold(facts.dropped(3, Reason.BAD))
    assert batch(ledger, 1) == [(2, "second")]


def test_a_batch_of_which_nothing_is_left_is_passed_over() -> None:
    """Dropped, or about to be: the next one comes."""
    ledger = gone_back()
    for ticket in (2, 3):
        ledger.fold(facts.people_say(ticket, None, Reason.TIE))
    assert ledger.plan() == (4, 5)
    assert batch(ledger, 1) == [(4, "first"), (5, "second")]
    for ticket in (2, 3):
        ledger.fold(facts.dropped(ticket, Reason.TIE))
    assert batch(ledger, 1) == [(4, "first"), (5, "second")]
    ledger.fold(facts.step(2, 4, 5))
    assert list(ledger.planned) == []


def test_a_later_batch_stays_planned_when_an_earlier_one_is_taken() -> None:
    """Though the earlier one was not whole."""
    ledger = gone_back()
    ledger.fold(facts.people_say(2, None, Reason.TIE))
    ledger.fold(facts.dropped(2, Reason.TIE))
    ledger.fold(facts.step(2, 3))
    assert list(ledger.planned) == [(4, 5)]
    assert batch(ledger, 1) == [(4, "first"), (5, "second")]


def test_a_run_can_go_back_to_its_beginning_and_twice() -> None:
    """And at any time to where it stands."""
    ledger = gone_back()
    ledger.fold(facts.step(2, 2, 3))
    for number in (2, 3):
        ledger.fold(facts.restored(facts.sampled(number), facts.label(number)))
    ledger.fold(facts.rewound(1, (2,), (3,)))
    assert (ledger.steps, ledger.plan()) == (1, (2,))
    for number in (0, 1):
        ledger.fold(facts.restored(facts.sampled(number), facts.label(number)))
    ledger.fold(facts.rewound(0, (0, 1)))
    assert (ledger.steps, ledger.checkpoints) == (0, {})
    assert list(ledger.turns) == [0, 1, 2, 3, 4, 5, 6]
    assert ledger.counts()[Phase.APPLIED] == 0
    ledger.fold(facts.rewound(0))
    assert ledger.plan() is None


def test_what_has_not_ended_cannot_be_put_back() -> None:
    """Nor can what was not put into the journal again."""
    ledger = ledger_of(*three_steps(), facts.restored(facts.sampled(6), facts.label(6)))
    with pytest.raises(IllegalMove, match="prompt 6 has not ended"):
        ledger.fold(facts.rewound(1, (6,)))
    ledger = ledger_of(*three_steps())
    with pytest.raises(IllegalMove, match="prompt 4 was not put back"):
        ledger.fold(facts.rewound(2, (4,)))
    ledger = ledger_of(*three_steps())
    with pytest.raises(IllegalMove, match="step 4 is yet to come"):
        ledger.fold(facts.rewound(4))
