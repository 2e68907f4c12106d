"""What agreement is taken on: the answers that stand, beside the judge's decisions."""

from __future__ import annotations

import pytest

from onlinedpo.states.measuring.answers_given import (
    AnswersGiven,
    grade,
    picked_left,
    preference,
)
from onlinedpo.states.records import Reason, Record, Side, Why
from tests.states import facts
from tests.states.votes import asked, judged, vote


def collect(*records: Record) -> AnswersGiven:
    """What is collected of these records."""
    return AnswersGiven.collect(iter(records))


def standing(given: AnswersGiven) -> dict[str, list[str]]:
    """Every annotator's answers that stand."""
    return {
        name: [vote.value for vote in votes]
        for name, votes in given.by_annotator().items()
    }


def between(given: AnswersGiven) -> list[dict[str, str]]:
    """The answers that are compared between people."""
    return [
        {name: vote.value for name, vote in row.items()}
        for row in given.between_people()
    ]


def beside(given: AnswersGiven, *, at_random: bool = False) -> list[tuple[str, str]]:
    """(person, judge) for each pair on which they are compared."""
    return [
        (vote.value, side) for vote, side in given.beside_judge(at_random=at_random)
    ]


def test_the_newest_version_in_a_slot_counts() -> None:
    """Whoever saved it; the older versions are not counted beside it."""
    given = collect(
        asked(0, 2),
        vote(0, "first"),
        vote(0, "tie", slot=2, annotator="ben"),
        vote(0, "second"),
        vote(0, "bad", slot=2, annotator="cleo"),
    )

    assert standing(given) == {"anna": ["second"], "cleo": ["bad"]}


def test_an_undo_takes_the_answer_away_until_there_is_another() -> None:
    """An undone slot is as if it had never been filled."""
    undone: list[Record] = [asked(0), vote(0, "first"), vote(0, "undo")]

    assert standing(collect(*undone)) == {}
    assert standing(collect(*undone, vote(0, "second"))) == {"anna": ["second"]}


def test_an_answer_counts_also_when_its_pair_had_ended() -> None:
    """It came too late to be trained on, but it says what a person prefers."""
    given = collect(
        *judged(0, "first", "first", 2, Why.SHARE),
        vote(0, "first"),
        facts.label(0),
        facts.step(1, 0),
        vote(0, "second", slot=2, annotator="ben"),
    )

    assert between(given) == [{"anna": "first", "ben": "second"}]


def test_a_skip_is_missing_and_both_bad_is_a_tie() -> None:
    """Skipping says nothing of the pair; finding both bad prefers neither."""
    given = collect(
        asked(0, 2),
        vote(0, "skip"),
        vote(0, "first", slot=2, annotator="ben"),
        asked(1, 2),
        vote(1, "bad"),
        vote(1, "tie", slot=2, annotator="ben"),
    )

    assert between(given) == [{"anna": "bad", "ben": "tie"}]
    (row,) = given.between_people()
    assert {preference(v) for v in row.values()} == {0}
    assert standing(given)["anna"] == ["skip", "bad"]


@pytest.mark.parametrize(
    ("value", "strong", "at"),
    [
        ("first", True, 2),
        ("first", False, 1),
        ("tie", False, 0),
        ("bad", False, 0),
        ("second", False, -1),
        ("second", True, -2),
    ],
)
def test_strength_makes_a_scale_of_five(value: str, strong: bool, at: int) -> None:
    """Strongly first, first, tie, second, strongly second; its sign is the side."""
    answer = vote(0, value, strong=strong)

    assert grade(answer) == at
    assert preference(answer) == (at > 0) - (at < 0)


@pytest.mark.parametrize(
    ("value", "shown", "left"),
    [
        ("first", "first-second", True),
        ("second", "first-second", False),
        ("first", "second-first", False),
        ("second", "second-first", True),
        ("tie", "first-second", False),
    ],
)
def test_left_is_what_was_shown_as_response_1(
    value: str, shown: str, left: bool
) -> None:
    """The order in which the pair was shown decides, not the side in the pair."""
    assert picked_left(vote(0, value, shown=shown)) is left


def test_one_person_in_two_slots_is_compared_with_themselves_only() -> None:
    """That is their own consistency; it is no agreement between people."""
    given = collect(asked(0, 2), vote(0, "first"), vote(0, "second", slot=2))

    assert [(a.value, b.value) for a, b in given.twice()] == [("first", "second")]
    assert between(given) == []


def test_two_people_are_not_one_persons_consistency() -> None:
    """Nor is a pair that one of them skipped the second time."""
    given = collect(
        asked(0, 2),
        vote(0, "first"),
        vote(0, "second", slot=2, annotator="ben"),
        asked(1, 2),
        vote(1, "first"),
        vote(1, "skip", slot=2),
    )

    assert [*given.twice()] == []


def test_an_answer_that_settles_a_difference_is_not_compared() -> None:
    """It is asked for only where people differ: it would lower their agreement."""
    given = collect(
        asked(0, 2),
        vote(0, "first"),
        vote(0, "second", slot=2, annotator="ben"),
        asked(0, 3, Reason.SPLIT),
        vote(0, "second", slot=3, annotator="cleo"),
    )

    assert between(given) == [{"anna": "first", "ben": "second"}]
    assert standing(given)["cleo"] == ["second"]


def test_three_answers_that_were_wanted_from_the_start_are_all_compared() -> None:
    """Only what was asked for because of a difference is left out."""
    given = collect(
        asked(0, 3),
        *(
            vote(0, slot=s, annotator=n)
            for s, n in enumerate(["anna", "ben", "cleo"], 1)
        ),
    )

    assert between(given) == [dict.fromkeys(("anna", "ben", "cleo"), "first")]


@pytest.mark.parametrize(
    ("one", "other", "value", "compared"),
    [
        ("first", "first", "second", [("second", "first")]),
        ("second", "second", "second", [("second", "second")]),
        ("first", "second", "first", []),
        ("first", None, "first", []),
        ("first", "first", "tie", []),
        ("first", "first", "bad", []),
        ("first", "first", "skip", []),
    ],
)
def test_person_and_judge_are_compared_where_both_chose_a_side(
    one: Side | None, other: Side | None, value: str, compared: list[tuple[str, str]]
) -> None:
    """A judge that contradicts itself or fails, and a person's tie, chose none."""
    given = collect(*judged(0, one, other, 1, Why.SHARE), vote(0, value))

    assert beside(given) == beside(given, at_random=True) == compared


def test_the_random_share_is_what_was_drawn_by_lot() -> None:
    """Pairs that the judge was unsure of, and unasked answers, are not in it."""
    given = collect(
        *judged(0, "first", "first", 1, Why.SHARE),
        *judged(1, "first", "first", 1, Why.UNSURE),
        *judged(2, "first", "first", 2, Why.SHARE)[:-1],
        facts.label(2),
        *(vote(n, "second") for n in range(3)),
    )

    assert beside(given) == [("second", "first")] * 3
    assert beside(given, at_random=True) == [("second", "first")]


def test_a_pair_is_in_the_share_though_people_then_differed() -> None:
    """Why it was sent in the first place decides, not why a third was asked."""
    given = collect(
        *judged(0, "first", "first", 2, Why.SHARE),
        vote(0, "first"),
        vote(0, "second", slot=2, annotator="ben"),
        asked(0, 3, Reason.SPLIT),
        vote(0, "second", slot=3, annotator="cleo"),
    )

    assert beside(given, at_random=True) == [("first", "first")]


def test_without_a_model_judge_nobody_is_compared_with_it() -> None:
    """Where people judge all pairs there are no verdicts."""
    assert beside(collect(asked(0, 1, Why.HUMAN), vote(0))) == []


def test_an_answer_took_as_long_as_is_said_or_as_the_gap_between_two_saves() -> None:
    """A gap of five minutes or more is a pause, and two people's saves are no gap."""
    saves = [(0.0, None), (10.0, None), (25.0, 7.0), (45.0, None), (345.0, None)]
    given = collect(
        *(vote(n, saved=at, seconds=s) for n, (at, s) in enumerate(saves)),
        vote(9, saved=12.0, annotator="ben"),
    )

    assert given.seconds("anna") == [10.0, 7.0, 20.0]
    assert given.seconds("ben") == given.seconds("nobody") == []


def test_saves_are_put_in_their_order_of_time() -> None:
    """The journal may hear of a later save first."""
    given = collect(*(vote(n, saved=at) for n, at in enumerate([30.0, 10.0, 14.0])))

    assert given.seconds("anna") == [4.0, 16.0]


def test_the_lines_of_a_dropped_file_have_no_gaps() -> None:
    """They bear the time of their file: only seconds that they name are counted."""
    given = collect(
        vote(0, saved=0.0),
        vote(1, saved=5.0, source="file"),
        vote(2, saved=5.0, source="file", seconds=3.0),
        vote(3, saved=20.0),
    )

    assert given.seconds("anna") == [3.0, 20.0]


def test_an_undo_is_no_answer_that_took_time() -> None:
    """But the next answer is timed from it."""
    given = collect(
        vote(0, saved=0.0), vote(0, "undo", saved=50.0), vote(0, saved=58.0)
    )

    assert given.seconds("anna") == [8.0]


def test_what_people_saved_is_not_held_in_memory() -> None:
    """A label file holds both completions; a hundred thousand of them would not fit."""
    given = collect(vote(0, raw=b"x" * 1000, note="y" * 1000))

    (kept,) = given.by_annotator()["anna"]
    assert kept.raw == b"" and kept.note == ""
