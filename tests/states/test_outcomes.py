"""Which label a pair has at the end of a run, and which step trained on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from onlinedpo.states.errors import IllegalMove
from onlinedpo.states.export.outcomes import UNDONE, Outcome, Outcomes
from onlinedpo.states.records import Label, Reason, Record, Step
from tests.states import facts

Facts = list[Record]


def collected(*parts: Record | Facts) -> Outcomes:
    """What became of the pairs of a run with these facts."""
    outcomes = Outcomes()
    outcomes.take(facts.run_opened())
    for part in parts:
        for record in part if isinstance(part, list) else [part]:
            outcomes.take(record)
    return outcomes


def standing(*parts: Record | Facts) -> dict[int, Outcome]:
    """The outcome of each pair, by the ticket of the turn that counts."""
    found = collected(*parts).standing()
    return {n: outcome for n, outcome in found.items() if outcome.ticket == n}


def asked(ticket: int, *votes: Record, slots: int = 1) -> Facts:
    """A pair on which people answered."""
    waits: Facts = [facts.sampled(ticket), facts.submitted(ticket)]
    return [*waits, facts.escalated(ticket, slots), *votes]


def labelled(ticket: int, chosen: Label | None = None) -> Facts:
    """A pair that a person has labelled: the first is better, unless told else."""
    return [*asked(ticket, facts.vote(ticket)), chosen or facts.people_say(ticket)]


def again(ticket: int, before: int, label: Label) -> Facts:
    """A turn of the pair `before` with a corrected label."""
    pair = replace(facts.sampled(before), ticket=ticket, repeats=before)
    return [pair, facts.submitted(ticket), replace(label, ticket=ticket)]


def taken(index: int, *tickets: int, margins: Iterable[float] = ()) -> Step:
    """A step on pairs with these margins."""
    step = facts.step(index, *tickets)
    return replace(step, margins=tuple(margins) or step.margins)


# -- labels ------------------------------------------------------------------------


def test_a_pair_that_was_trained_on_has_its_step_and_margin() -> None:
    """The margin is its own, not that of another pair of the step."""
    found = standing(labelled(0), labelled(1), taken(1, 1, 0, margins=(0.5, -0.25)))

    assert (found[0].step, found[0].margin) == (1, -0.25)
    assert (found[1].step, found[1].margin) == (1, 0.5)
    assert (found[0].chosen, found[0].source) == ("first", "human")


def test_a_pair_that_was_not_trained_on_has_its_label_too() -> None:
    """With neither step nor margin."""
    (found,) = standing(labelled(0)).values()

    assert (found.chosen, found.step, found.margin) == ("first", None, None)
    assert found.confidence == 1.0
    assert not found.open


def test_the_last_label_before_a_step_is_the_one() -> None:
    """Somebody who changed their mind in time has done so."""
    change: Facts = [facts.vote(0, "second"), facts.people_say(0, "second")]
    (found,) = standing(labelled(0), change, taken(1, 0)).values()

    assert found.chosen == "second"
    assert found.annotators == ("anna",)


def test_a_label_that_was_taken_back_is_none() -> None:
    """The pair waits again."""
    back: Facts = [facts.vote(0, "undo"), facts.withdrawn(0)]
    (found,) = standing(labelled(0), back).values()

    assert found.open
    assert (found.chosen, found.source, found.annotators) == (None, "", ())


@pytest.mark.parametrize(
    "end",
    [
        [facts.people_say(0, None, Reason.TIE)],
        [facts.people_say(0, None, Reason.TIE), facts.dropped(0, Reason.TIE)],
    ],
    ids=["labelled", "dropped"],
)
def test_a_tie_of_people_is_undecided_also_before_it_is_dropped(
    end: Facts,
) -> None:
    """With the reason, and all who answered."""
    votes = [facts.vote(0, "tie"), facts.vote(0, slot=2, annotator="ben")]
    (found,) = standing(asked(0, *votes, slots=2), end).values()

    assert (found.chosen, found.reason, found.source) == (None, "tie", "human")
    assert found.annotators == ("anna", "ben")


def test_drops_are_undecided_for_their_reason() -> None:
    """By the judge, by nobody, or because the pair got too old."""
    judged: Facts = [facts.verdict(1, winner="tie"), facts.dropped(1)]
    found = standing(
        facts.sampled(0),
        facts.dropped(0, Reason.IDENTICAL),
        facts.sampled(1),
        facts.submitted(1),
        judged,
        asked(2),
        facts.dropped(2, Reason.STALE),
    )

    assert [(o.reason, o.source) for o in found.values()] == [
        ("identical", ""),
        ("tie", "judge"),
        ("too old", ""),
    ]


def test_a_prompt_for_which_nothing_was_sampled_is_counted() -> None:
    """It is no pair."""
    found = collected(facts.dropped(0, Reason.TOO_LONG), labelled(1))

    assert found.unsampled == {Reason.TOO_LONG: 1}
    assert [*found.standing()] == [1]


def test_pairs_on_their_way_are_open() -> None:
    """Sampled, at the judge, or with people: neither labelled nor undecided."""
    found = standing(facts.sampled(0), facts.sampled(1), facts.submitted(1), asked(2))

    assert [outcome.open for outcome in found.values()] == [True, True, True]


def test_a_pair_that_is_dropped_with_its_label_keeps_it() -> None:
    """As where a run holds another judge's labels, and nothing is trained."""
    (found,) = standing(labelled(0), facts.dropped(0, Reason.REJUDGED)).values()

    assert (found.chosen, found.reason, found.step) == ("first", "", None)


# -- who said so ---------------------------------------------------------------------


def test_the_annotators_are_those_whose_answer_the_label_is() -> None:
    """Each once; those who said otherwise, or left no name, are not among them."""
    votes = [
        facts.vote(0, "second"),
        facts.vote(0, "first", 2, annotator="ben"),
        facts.vote(0, "second", 3, annotator="anna"),
        facts.vote(0, "second", 4, annotator=""),
    ]
    label = facts.people_say(0, "second")
    (found,) = standing(asked(0, *votes, slots=4), label).values()

    assert found.annotators == ("anna",)


def test_who_changes_their_mind_too_late_is_still_behind_the_label() -> None:
    """The label is what they had said when the step was taken."""
    (found,) = standing(labelled(0), taken(1, 0), facts.vote(0, "second")).values()

    assert (found.chosen, found.annotators) == ("first", ("anna",))


def test_a_judges_label_has_no_annotators() -> None:
    """Though people may have answered in vain."""
    verdicts = [facts.verdict(0), facts.verdict(0, "second-first")]
    pair: Facts = [facts.sampled(0), facts.submitted(0), *verdicts]
    (found,) = standing(pair, facts.label(0)).values()

    assert (found.source, found.annotators) == ("judge", ())


def test_the_judges_probability_is_the_mean_of_both_orders() -> None:
    """Of the chosen one, whichever that is; a verdict that failed has none."""
    half = [
        facts.verdict(0, logprobs=(-0.2, -2.0)),
        facts.verdict(0, "second-first", logprobs=(-3.0, -0.1)),
    ]
    pair: Facts = [facts.sampled(0), facts.submitted(0)]
    p = sum(verdict.probability_first() for verdict in half) / 2

    (first,) = standing(pair, [*half], facts.label(0)).values()
    (second,) = standing(
        pair,
        [*half],
        facts.escalated(0),
        facts.vote(0, "second"),
        facts.people_say(0, "second"),
    ).values()
    failed = facts.verdict(0, "second-first", None, failure="neither")
    (one,) = standing(pair, half[0], failed, facts.dropped(0, "judge failed")).values()
    (none,) = standing(pair, failed, facts.dropped(0, "judge failed")).values()

    assert first.first == first.probability == pytest.approx(p)
    assert second.probability == pytest.approx(1 - p)
    assert first.judged == second.judged == "first"
    assert one.first == pytest.approx(half[0].probability_first())
    assert (one.judged, none.judged, none.first) == ("judge failed",) * 2 + (None,)


# -- rewinds and corrections -----------------------------------------------------------


def test_a_rewound_pair_has_the_label_that_it_has_now() -> None:
    """And no step until it is trained on again."""
    pair = facts.sampled(0)
    second, said = facts.people_say(0, "second"), facts.vote(0, "second")
    history: Facts = [*labelled(0), taken(1, 0, margins=(0.5,)), said]
    rewind: Facts = [facts.restored(pair, second, "", said), facts.rewound(0, (0,))]

    (back,) = standing(history, rewind).values()
    (trained,) = standing(history, rewind, taken(1, 0, margins=(0.75,))).values()

    assert (back.chosen, back.step, back.margin) == ("second", None, None)
    assert (trained.chosen, trained.step, trained.margin) == ("second", 1, 0.75)
    assert trained.annotators == ("anna",)


def test_a_rewind_leaves_earlier_steps_and_drops_alone() -> None:
    """Only the pairs that it names stand anew."""
    pair = facts.sampled(2)
    found = standing(
        labelled(0),
        taken(1, 0),
        facts.sampled(1),
        facts.dropped(1, Reason.IDENTICAL),
        labelled(2),
        taken(2, 2),
        facts.restored(pair, facts.people_say(2)),
        facts.rewound(1, (2,)),
    )

    assert [(o.chosen, o.step) for o in found.values()] == [
        ("first", 1),
        (None, None),
        ("first", None),
    ]


def test_a_requeued_correction_counts_and_the_pair_is_there_once() -> None:
    """Under the name of its new turn, whether or not that was trained on yet."""
    first: Facts = [*labelled(0), taken(1, 0)]
    late = facts.vote(0, "second")
    queued = [*first, late, *again(1, 0, facts.people_say(0, "second"))]

    waits = standing(queued)
    trained = standing(queued, taken(2, 1))

    assert [*waits] == [*trained] == [1]
    assert (waits[1].chosen, waits[1].step) == ("second", None)
    assert (trained[1].chosen, trained[1].step) == ("second", 2)
    assert trained[1].annotators == ("anna",)
    assert collected(queued).standing()[0] == waits[1]


def test_a_correction_keeps_what_the_judge_said_of_the_pair() -> None:
    """The judge saw its first turn only."""
    judged: Facts = [
        facts.sampled(0),
        facts.submitted(0),
        facts.verdict(0),
        facts.label(0),
    ]
    late: Facts = [facts.vote(0, "second"), *again(1, 0, facts.people_say(0, "second"))]
    (found,) = standing(judged, taken(1, 0), late).values()

    assert (found.judged, found.source) == ("first", "human")
    assert found.probability == pytest.approx(1 - facts.verdict(0).probability_first())


def test_a_correction_that_was_taken_back_in_time_is_no_more() -> None:
    """The label that was trained on stands."""
    found = standing(
        labelled(0),
        taken(1, 0),
        facts.vote(0, "second"),
        again(1, 0, facts.people_say(0, "second")),
        facts.vote(0),
        facts.people_say(1, None, Reason.BACK),
        facts.dropped(1, Reason.BACK),
    )

    assert [*found] == [0]
    assert (found[0].chosen, found[0].step) == ("first", 1)


def test_of_two_corrections_the_later_counts() -> None:
    """The pair is trained on a third time, as at first."""
    found = standing(
        labelled(0),
        taken(1, 0),
        facts.vote(0, "second"),
        again(1, 0, facts.people_say(0, "second")),
        taken(2, 1),
        facts.vote(0),
        again(2, 0, facts.people_say(0)),
        taken(3, 2),
    )

    assert [*found] == [2]
    assert (found[2].chosen, found[2].step) == ("first", 3)


def test_a_late_answer_to_a_dropped_pair_decides_it() -> None:
    """It is not undecided any more."""
    found = standing(
        asked(0),
        facts.dropped(0, Reason.STALE),
        facts.vote(0),
        again(1, 0, facts.people_say(0)),
        taken(1, 1),
    )

    assert [(o.ticket, o.chosen, o.annotators) for o in found.values()] == [
        (1, "first", ("anna",))
    ]


def test_a_correction_that_a_rewind_made_at_the_pairs_place_is_gone() -> None:
    """The first turn stands again, with the corrected label."""
    second, pair = facts.people_say(0, "second"), facts.sampled(0)
    found = standing(
        labelled(0),
        taken(1, 0),
        facts.vote(0, "second"),
        again(1, 0, second),
        taken(2, 1),
        facts.restored(pair, second, "", facts.vote(0, "second")),
        facts.rewound(0, (0,)),
        taken(1, 0),
    )

    assert [(o.ticket, o.chosen, o.step) for o in found.values()] == [(0, "second", 1)]


def test_a_pair_that_was_undone_and_not_put_back_is_undecided() -> None:
    """As where another judge has no winner for it: what it was trained on is past."""
    second = facts.people_say(0, "second")
    found = standing(
        labelled(0),
        taken(1, 0),
        facts.vote(0, "second"),
        again(1, 0, second),
        taken(2, 1),
        labelled(2),
        taken(3, 2),
        facts.rewound(0),
    )

    assert [(o.ticket, o.chosen, o.reason) for o in found.values()] == [
        (0, None, UNDONE),
        (2, None, UNDONE),
    ]


def test_another_sample_of_a_prompt_is_another_pair() -> None:
    """One was too old and was dropped, the other was labelled."""
    fresh = facts.sampled(1, facts.completion(1, 1), repeats=0)
    found = standing(
        asked(0),
        facts.dropped(0, Reason.REQUEUED),
        fresh,
        facts.submitted(1),
        facts.escalated(1),
        facts.vote(1),
        facts.people_say(1),
    )

    assert [(o.ticket, o.chosen) for o in found.values()] == [(0, None), (1, "first")]


def test_a_journal_that_breaks_the_rules_is_refused() -> None:
    """A label on a pair that nobody was asked about, for one."""
    with pytest.raises(IllegalMove):
        collected(facts.sampled(0), facts.label(0))
