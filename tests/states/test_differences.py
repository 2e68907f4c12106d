"""Where two runs part, from their facts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from onlinedpo.states.differences import Differences, Outline, compare
from onlinedpo.states.records import Reason, Record
from tests.states import facts

OPENED = facts.run_opened(judge="toy")


def life(ticket: int, step: int, side: Any = "first") -> list[Record]:
    """A pair from its sampling to its label."""
    return [
        facts.sampled(ticket, step=step),
        facts.submitted(ticket),
        facts.verdict(ticket),
        facts.label(ticket, side),
    ]


def run(
    *tickets: int, opened: Any = OPENED, turned: tuple[int, ...] = (), **step: Any
) -> list[Record]:
    """A run of one step on each of these pairs; `step` is of the last one."""
    found: list[Record] = [opened]
    for index, ticket in enumerate(tickets, start=1):
        found += life(ticket, index - 1, "second" if ticket in turned else "first")
        taken = facts.step(index, ticket, state=f"s{index}")
        found.append(replace(taken, **step) if index == len(tickets) else taken)
    return found


def outline(records: Iterable[Record]) -> Outline:
    """What of a run is compared."""
    found = Outline()
    for record in records:
        found.take(record)
    return found


def compared(one: Iterable[Record], other: Iterable[Record]) -> Differences:
    """Two runs side by side."""
    return compare(outline(one), outline(other))


def test_equal_runs_differ_in_nothing() -> None:
    """Ids, times and speeds do not count."""
    slow = replace(
        OPENED, run_id="ef" * 16, time=1.0, model={**OPENED.model, "id": "elsewhere"}
    )
    found = compared(
        run(0, 1, opened=OPENED), run(0, 1, opened=slow, seconds={"train": 9.0})
    )

    assert found.equal
    assert found.pairs == (2, 0, 0)
    assert found.steps == (2, 2)
    assert found.metrics["grad_norm"] == (1.5, 1.5)
    assert (found.parting, found.fork, found.common) == (None, None, 2)


@pytest.mark.parametrize(
    ("changed", "part", "figures"),
    [
        ({"loss": 0.7}, "loss", (0.69, 0.7)),
        ({"grad_norm": 2.0}, "grad_norm", (1.5, 2.0)),
        ({"state": "other"}, "state", ("s2", "other")),
    ],
)
def test_runs_part_at_the_first_figure_that_differs(
    changed: dict[str, Any], part: str, figures: tuple[Any, Any]
) -> None:
    """Loss, gradient norm and the digest of the state, in this order."""
    parting = compared(run(0, 1), run(0, 1, **changed)).parting

    assert parting and (parting.step, parting.part) == (2, part)
    assert (*parting.one, *parting.other) == figures


def test_a_state_that_one_run_did_not_record_is_no_difference() -> None:
    """Checkpoints may be spaced otherwise."""
    found = compared(run(0, 1), run(0, 1, state=""))

    assert found.parting is None
    assert found.equal


def test_other_pairs_and_other_labels_come_before_figures() -> None:
    """They are why the figures differ."""
    pairs = compared(run(0, 1), [*run(0), *life(1, 0), *life(2, 0), facts.step(2, 2)])
    labels = compared(run(0, 1), run(0, 1, turned=(1,), loss=0.1))

    names = [facts.sampled(n).pair for n in range(3)]
    assert pairs.parting and labels.parting
    assert (pairs.parting.part, labels.parting.part) == ("pairs", "labels")
    assert (pairs.parting.one, pairs.parting.other) == ((names[1],), (names[2],))
    assert labels.parting.one == (names[1],)
    assert pairs.pairs == (2, 0, 1)
    assert labels.relabelled == ((names[1], "first", "second"),)


def test_pairs_are_matched_by_what_they_are() -> None:
    """The same number with other tokens is another pair."""
    other = run(0)
    other[1] = facts.sampled(0, facts.completion(99))
    found = compared(run(0), other)

    assert found.pairs == (0, 1, 1)
    assert found.relabelled == ()


def test_what_became_of_a_pair_is_compared() -> None:
    """Trained on, dropped and why, decided without a winner, or without a label yet."""
    ends: list[list[Record]] = [
        [facts.label(0)],
        [facts.dropped(0, Reason.TIE)],
        [facts.escalated(0), facts.people_say(0, None, Reason.BAD)],
        [],
    ]
    begun: list[Record] = [OPENED, facts.sampled(0), facts.submitted(0)]
    outcomes = [next(iter(outline([*begun, *end]).outcomes().values())) for end in ends]

    assert outcomes == ["first", "tie", "both bad", "no label yet"]


def test_what_a_rewind_undid_does_not_count() -> None:
    """The steps that were taken again do, and the labels that pairs have now."""
    back: list[Record] = [
        *run(0, 1, turned=(1,)),
        facts.restored(facts.sampled(1, step=1), facts.label(1)),
        facts.rewound(1, (1,)),
    ]
    again = [*back, facts.step(2, 1, state="s2")]

    assert compared(run(0, 1), again).equal
    between = compared(run(0, 1), back)
    assert between.steps == (2, 1)
    assert between.parting is None
    assert between.relabelled == ()
    assert not between.equal


def test_settings_and_origin_are_compared() -> None:
    """Settings as they are in force; model, judge and prompts by content."""
    other = replace(
        facts.run_opened(judge="toy", beta=0.2),
        model={**OPENED.model, "weights": "other"},
        judge={**OPENED.judge, "rubric": "other"},
        initial="other",
    )
    found = compared([*run(0), facts.process_started(iters=7)], run(0, opened=other))

    assert found.settings == {"beta": (0.1, 0.2), "iters": (7, 100)}
    assert found.origin == {
        "model": ("weights",),
        "judge": ("rubric",),
        "first adapter": ("bytes",),
    }
    assert not found.equal
    assert compared(run(0), [*run(0), facts.process_started()]).equal


def test_a_fork_is_known_by_its_run() -> None:
    """Whichever of the two it is."""
    fork = [*run(0), facts.derived(source=OPENED.run_id, step=1)]
    child = [replace(OPENED, run_id="ef" * 16), *fork[1:]]
    here, there = compared(child, run(0)), compared(run(0), child)

    assert (here.related, there.related) == ("one", "other")
    assert here.fork and there.fork and here.fork.step == there.fork.step == 1
    assert compared(run(0), run(0)).fork is None


def test_win_rates_stand_beside_each_other() -> None:
    """Where only one run has one, or could not take it, the other has none."""
    one = [*run(0), facts.evaluated(0, "win", "loss"), facts.evaluated(1, "failed")]
    other = [*run(0), facts.evaluated(0, "win", "win"), facts.evaluated(2, "win")]

    assert compared(one, other).win_rates == {
        0: (0.5, 1.0),
        1: (None, None),
        2: (None, 1.0),
    }


def test_runs_without_steps_can_be_compared() -> None:
    """There is nothing yet that could differ."""
    found = compared([OPENED], [OPENED, facts.process_started()])

    assert found.equal
    assert found.metrics == {}
