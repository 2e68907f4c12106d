"""Two judges on the same pairs: what moved, and whether that says anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import get_args

import pytest

from onlinedpo.states.labelling import decide
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.measuring.agreement import mcnemar
from onlinedpo.states.measuring.judge_figures import figure
from onlinedpo.states.measuring.rejudged import Rejudged
from onlinedpo.states.measuring.rejudged_pair import Move
from onlinedpo.states.records import Reason, Record, Sampled, Shown, Side, Verdict, Why
from tests.states import facts
from tests.states.votes import asked, vote

Answers = tuple[str | None, str | None]
"""The winners in the two orders."""

FIRST: Answers = ("first", "first")
SECOND: Answers = ("second", "second")
TIE: Answers = ("tie", "first")
FAILED: Answers = (None, "first")
DIFFERS: Answers = ("first", "second")


def pair(ticket: int) -> Sampled:
    """A pair: of even ones the first is longer, of odd ones the second."""
    short, long = facts.completion(4, 5), facts.completion(6, 7, 8)
    even = ticket % 2 == 0
    return facts.sampled(ticket, long if even else short, short if even else long)


def said(ticket: int, answers: Answers, sure: float = 3.0) -> list[Verdict]:
    """A judge's two verdicts; it puts the winner `sure` nats above the other."""
    orders: tuple[Shown, Shown] = ("first-second", "second-first")
    found = []
    for shown, winner in zip(orders, answers, strict=True):
        a_wins = (winner == "first") == (shown == "first-second")
        logprobs = (-0.1, -0.1 - sure) if a_wins else (-0.1 - sure, -0.1)
        found.append(
            facts.verdict(
                ticket,
                shown,
                winner,  # type: ignore[arg-type]
                logprobs=logprobs,
                failure="" if winner else "none",
            )
        )
    return found


def life(ticket: int, answers: Answers, sure: float = 3.0) -> Iterator[Record]:
    """A pair that a judge saw, and what followed."""
    verdicts = said(ticket, answers, sure)
    yield pair(ticket)
    yield facts.submitted(ticket)
    yield from verdicts
    yield decide(verdicts, facts.NOW)


def again(ticket: int, answers: Answers, sure: float = 3.0) -> Iterator[Record]:
    """The same, as a rejudge writes it."""
    yield from life(ticket, answers, sure)
    if answers in (FIRST, SECOND):
        yield facts.dropped(ticket, Reason.REJUDGED)


def both(old: Iterable[Iterable[Record]], new: Iterable[Iterable[Record]]) -> Rejudged:
    """The two, read as they are from journals; what is no legal journal fails."""
    facts_of = [list(chain([facts.run_opened()], *lives)) for lives in (old, new)]
    for records in facts_of:
        ledger = Ledger()
        for record in records:
            ledger.fold(record)
    return Rejudged.collect(*facts_of)


@pytest.mark.parametrize(
    ("old", "new", "move"),
    [
        (FIRST, FIRST, "same"),
        (SECOND, SECOND, "same"),
        (FIRST, SECOND, "flipped"),
        (SECOND, FIRST, "flipped"),
        (FIRST, TIE, "now tie"),
        (SECOND, FAILED, "now failed"),
        (FIRST, DIFFERS, "now orders disagree"),
        (TIE, FIRST, "now decided"),
        (FAILED, SECOND, "now decided"),
        (DIFFERS, FIRST, "now decided"),
        (DIFFERS, TIE, "no winner still"),
        (TIE, TIE, "no winner still"),
    ],
)
def test_each_pair_is_counted_once_for_what_became_of_it(
    old: Answers, new: Answers, move: Move
) -> None:
    """The same winner, the other one, none any more and why, or one at last."""
    found = both([life(0, old)], [again(0, new)])

    assert found.moves() == {move: 1}
    assert move in get_args(Move)


def test_what_was_not_decided_before_is_counted_apart() -> None:
    """A pair that is on its way, in a run that is read while it works."""
    found = both([[pair(0), facts.submitted(0)]], [again(0, FIRST)])

    assert found.moves() == {"not decided before": 1}
    assert found.raw().n == 0


def test_only_pairs_that_were_judged_again_are_compared() -> None:
    """A sample leaves the rest of the run out: also out of what the old judge cost."""
    old = [life(n, FIRST) for n in range(4)]
    new = [
        [facts.dropped(0, Reason.LEFT_OUT)],
        again(1, SECOND),
        [facts.dropped(2, Reason.LEFT_OUT)],
        [facts.dropped(3, Reason.LEFT_OUT)],
    ]

    found = both(old, new)

    assert found.moves() == {"flipped": 1}
    assert [row.name for row in found.flips()] == [pair(1).pair]
    assert found.old_kinds().total() == found.new_kinds().total() == 1
    for cost in (found.old_cost, found.new_cost):
        assert (cost.verdicts, cost.seconds, cost.tokens) == (2, 0.5, 4)


def test_a_shift_to_a_side_or_to_a_length_is_told_from_chance() -> None:
    """Flips are counted each way, and McNemar's test says if that could be a coin.

    Of even pairs the first is longer: to the second there means to the shorter.
    """
    old = [life(n, FIRST if n < 8 else SECOND) for n in range(12)]
    flipped = [n for n in range(12) if n not in (7, 11)]
    new = [
        again(
            n, (SECOND if n < 8 else FIRST) if n in flipped else (FIRST, SECOND)[n > 8]
        )
        for n in range(12)
    ]

    found = both(old, new)

    sides, lengths = found.sides(), found.lengths()
    assert (sides.one, sides.other) == (7, 3)
    assert sides.p == mcnemar(7, 3) == pytest.approx(0.34375)
    to_shorter = [n for n in flipped if (n < 8) == (n % 2 == 0)]
    assert (lengths.one, lengths.other) == (len(to_shorter), 10 - len(to_shorter))


def test_agreement_of_old_and_new_is_taken_where_both_chose() -> None:
    """As is kappa; a pair without a winner is in the table, and in neither."""
    answers = [(FIRST, FIRST)] * 20 + [(SECOND, SECOND)] * 15 + [(FIRST, SECOND)] * 5
    answers += [(TIE, FIRST), (FIRST, FAILED)]
    old = [life(n, before) for n, (before, _) in enumerate(answers)]
    new = [again(n, after) for n, (_, after) in enumerate(answers)]

    found = both(old, new)

    raw, kappa = found.raw(), found.kappa()
    assert (raw.value, raw.n, kappa.n) == (35 / 40, 40, 40)
    chance = (25 * 20 + 15 * 20) / 40**2
    assert kappa.value == pytest.approx((35 / 40 - chance) / (1 - chance))
    assert kappa.low and kappa.value and kappa.high
    assert kappa.low < kappa.value < kappa.high


def test_both_judges_are_questioned_in_the_same_way() -> None:
    """Consistency, what is shown first, and length: of each on the same pairs."""
    found = both(
        [life(n, DIFFERS if n < 3 else FIRST) for n in range(10)],
        [again(n, SECOND) for n in range(10)],
    )

    old, new = found.old_kinds(), found.new_kinds()
    assert figure("consistency", old).value == 0.7
    assert figure("consistency", new).value == 1.0
    # In both orders the one shown first, or the same in both: half of its verdicts.
    assert figure("first_wins", old).value == (3 * 2 + 7) / 20
    assert figure("longer_wins", old).value == 3 / 7
    assert figure("longer_wins", new).value == 0.5


def test_flips_come_with_what_each_order_said_the_widest_swing_first() -> None:
    """Names, winners and P(first) of both judges."""
    found = both(
        [life(n, FIRST, sure) for n, sure in enumerate((0.5, 4.0, 2.0))],
        [again(n, SECOND, sure) for n, sure in enumerate((0.5, 4.0, 2.0))],
    )

    flips = found.flips()
    assert [row.name for row in flips] == [pair(n).pair for n in (1, 2, 0)]
    widest = flips[0]
    assert widest.old is not None
    assert widest.old.first == pytest.approx((0.982, 0.982), abs=1e-3)
    assert widest.new.first == pytest.approx((0.018, 0.018), abs=1e-3)
    assert widest.new.said.answers == (
        ("first-second", "second"),
        ("second-first", "second"),
    )


# -- beside people -----------------------------------------------------------------


def with_people(
    ticket: int, answers: Answers, choice: Side | None, why: str
) -> list[Record]:
    """A pair that a judge saw and a person labelled; None: as a tie."""
    *seen, _ = life(ticket, answers)
    label = facts.people_say(ticket, choice, "" if choice else Reason.TIE)
    return [*seen, asked(ticket, 1, why), vote(ticket, choice or "tie"), label]


def test_people_say_which_judge_is_right_where_they_differ() -> None:
    """Of pairs on which both judges chose; of each judge alone where it chose."""
    by_lot: tuple[Side, Side] = ("first", "second")
    one, two = by_lot
    people = [one, one, two, two, two, two, two, one, one, one, two, one, None]
    old = [FIRST] * 10 + [DIFFERS, FIRST, FIRST]
    new = [SECOND] * 7 + [FIRST] * 3 + [FIRST, TIE, SECOND]
    found = both(
        [with_people(n, old[n], people[n], Why.UNSURE) for n in range(13)],
        [again(n, new[n]) for n in range(13)],
    )

    beside = found.beside_people()
    assert (beside.changes.one, beside.changes.other) == (2, 5)
    assert beside.changes.p == mcnemar(2, 5)
    assert (beside.old.value, beside.old.n) == (6 / 11, 11)
    assert (beside.new.value, beside.new.n) == (8 / 11, 11)
    # The judge's own decision is the old one, whatever people made of it.
    assert found.moves()["flipped"] == 8


def test_pairs_drawn_by_lot_compare_without_bias() -> None:
    """The others went to people for the old judge's doubts, and can be left out."""
    found = both(
        [
            with_people(n, FIRST, "second", Why.SHARE if n < 2 else Why.UNSURE)
            for n in range(6)
        ],
        [again(n, SECOND) for n in range(6)],
    )

    assert found.beside_people().new.n == 6
    assert found.beside_people(at_random=True).new.n == 2
    assert found.beside_people(at_random=True).changes.other == 2


def by_people(ticket: int, *labels: Record) -> list[Record]:
    """A pair that people judged, in a run without another judge."""
    waits: list[Record] = [pair(ticket), facts.submitted(ticket)]
    return [*waits, asked(ticket, 1, Why.HUMAN), *labels]


def test_where_people_were_the_judge_their_label_is_the_old_one() -> None:
    """The newest that stands; one that was taken back is none."""
    found = both(
        [
            by_people(0, facts.people_say(0, "first")),
            by_people(1, facts.people_say(1, "second"), facts.people_say(1, "first")),
            by_people(2, facts.people_say(2, None, Reason.BAD)),
            by_people(3, facts.people_say(3, "first"), facts.withdrawn(3)),
            by_people(4, vote(4, "second"), facts.people_say(4, "second")),
        ],
        [again(n, FIRST) for n in range(5)],
    )

    moves = ["same", "same", "now decided", "not decided before", "flipped"]
    assert [row.move for row in found.pairs.values()] == moves
    assert found.old_kinds().total() == found.old_cost.verdicts == 0
    beside = found.beside_people()
    assert (beside.old.n, beside.new.n, beside.new.value) == (0, 1, 0.0)
    assert (beside.changes.one, beside.changes.other, beside.changes.p) == (0, 0, 1.0)


def test_after_a_rewind_the_corrected_label_is_the_old_one() -> None:
    """A pair counts once, however often it was trained on."""
    trained: list[Record] = by_people(0, facts.people_say(0, "first"))
    corrected = facts.people_say(0, "second")
    restored: Record = facts.restored(pair(0), corrected, "", vote(0, "second"))
    trained += [facts.step(1, 0), restored, facts.rewound(0, (0,))]

    found = both([trained], [again(0, SECOND)])

    assert found.moves() == {"same": 1}
