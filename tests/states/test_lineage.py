"""From a step back to its evidence, and from a pair on to its steps."""

from __future__ import annotations

from itertools import chain
from typing import Any

from onlinedpo.states.lifecycle import Phase
from onlinedpo.states.lineage import Lineage
from onlinedpo.states.records import Record
from tests.states import facts

BEGUN: list[Record] = [facts.run_opened(beta=0.1), facts.process_started()]


def lineage(*records: Record, **asked: Any) -> Lineage:
    """What is found in these records, each a frame of its own."""
    found = Lineage(**asked)
    for frame, record in enumerate([*BEGUN, *records], start=1):
        found.take(frame, record)
    return found


def life(ticket: int, step: int) -> list[Record]:
    """A pair that is trained on."""
    return list(chain(*facts.life(ticket, step)))


def test_a_step_has_its_pairs_as_they_stood() -> None:
    """With verdicts and label, the settings in force, and its frame."""
    changed = facts.process_started(iters=7)
    found = lineage(*life(0, 1), changed, *life(1, 2), *life(2, 3), step=2)

    (training,) = found.trainings
    assert (training.step.index, training.undone) == (2, None)
    assert training.frame == len(BEGUN) + 2 * 6 + 1
    assert list(training.turns) == [1]
    assert training.turns[1].sampled == facts.sampled(1, step=1)
    assert [v.shown for v in training.turns[1].verdicts] == [
        "first-second",
        "second-first",
    ]
    assert training.turns[1].label == facts.label(1)
    assert training.settings["iters"] == 7
    assert training.margin(1) == 0.0


def test_a_step_that_a_rewind_undid_is_told_from_the_one_that_stands() -> None:
    """Both are there, in their order; the pairs of each are as they stood then."""
    back = facts.restored(facts.sampled(0), facts.people_say(0, "second"))
    rewound = facts.rewound(0, (0,))
    found = lineage(*life(0, 1), back, rewound, facts.step(1, 0), step=1)

    first, second = found.trainings
    assert (first.undone, second.undone) == (rewound, None)
    assert first.turns[0].label == facts.label(0)
    assert second.turns[0].label == facts.people_say(0, "second")


def test_a_rewind_undoes_the_later_steps_and_no_step_twice() -> None:
    """What it went back to stands; what was undone before, it did not undo."""
    back = facts.restored(facts.sampled(1, step=1), facts.label(1))
    first, second = facts.rewound(1, (1,)), facts.rewound(1, (1,))
    again: list[Record] = [back, first, facts.step(2, 1), back, second]
    found = lineage(*life(0, 1), *life(1, 2), *again, tickets=[0, 1])

    assert [t.undone for t in found.trained_on(0)] == [None]
    earlier, later = found.trained_on(1)
    assert earlier.undone is first
    assert later.undone is second


def test_an_undone_step_that_was_not_taken_again_stays_undone() -> None:
    """The pair is labelled again, and that is where it stands."""
    back = facts.restored(facts.sampled(0), facts.label(0))
    found = lineage(*life(0, 1), back, facts.rewound(0, (0,)), tickets=[0])

    (training,) = found.trained_on(0)
    assert training.undone == facts.rewound(0, (0,))
    assert found.phase(0) is Phase.LABELLED


def test_a_pair_leads_to_its_steps_and_to_late_answers() -> None:
    """Also to the later turn that repeats it, which has steps of its own."""
    late = facts.vote(0, "second")
    again: list[Record] = [
        facts.sampled(1, repeats=0),
        facts.submitted(1),
        facts.people_say(1, "second"),
        facts.step(2, 1),
    ]
    found = lineage(*life(0, 1), late, *again, tickets=[0])

    assert [*found.tickets] == [0, 1]
    assert [t.step.index for t in found.trained_on(0)] == [1]
    assert [t.step.index for t in found.trained_on(1)] == [2]
    assert found.late == {0: [late]}
    assert found.phase(0) is found.phase(1) is Phase.APPLIED


def test_a_dropped_pair_keeps_its_evidence() -> None:
    """What the judge said is there, and why it was dropped."""
    drop = facts.dropped(0)
    judged: list[Record] = [*life(0, 1)[:3], drop]
    found = lineage(*judged, facts.dropped(1), tickets=[0, 1, 2])

    turn = found.turn(0)
    assert turn is not None and turn.verdicts == [facts.verdict(0)]
    assert found.dropped[0] == drop
    # The second was dropped before anything was sampled, the third is not there.
    assert [found.phase(n) for n in (0, 1, 2)] == [Phase.DROPPED, Phase.DROPPED, None]
    assert found.turn(1) is None


def test_a_dropped_pair_may_be_put_back() -> None:
    """Then it is not dropped any more."""
    back = facts.restored(facts.sampled(0), facts.people_say(0), "tie", facts.vote(0))
    found = lineage(
        *life(0, 1)[:3],
        facts.dropped(0),
        *life(1, 1),
        back,
        facts.restored(facts.sampled(1), facts.label(1)),
        facts.rewound(0, (0, 1)),
        facts.step(1, 0, 1),
        tickets=[0],
    )

    assert found.phase(0) is Phase.APPLIED
    assert found.dropped == {}
    assert [t.undone for t in found.trained_on(0)] == [None]


def test_all_turns_of_a_prompt_are_found() -> None:
    """By its place in the data."""
    found = lineage(*life(0, 1), *life(1, 2), prompt=1)

    assert [*found.tickets] == [1]
    assert found.names[1] == facts.sampled(1, step=1).pair
