"""Which events of a run are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from onlinedpo.states.ledger import Ledger
from onlinedpo.states.lifecycle import Phase
from onlinedpo.states.records import Dropped, Label, Record, Step, Verdict
from onlinedpo.states.selection import Moves, Selection, tickets_of
from tests.states import facts


def story() -> list[Record]:
    """Two pairs: a judge and a person on the first, the second dropped; then again."""
    pair = facts.sampled(0)
    return [
        facts.run_opened(),
        facts.process_started(),
        pair,
        facts.sampled(1),
        facts.submitted(0, 1),
        facts.verdict(0),
        facts.escalated(0),
        facts.dropped(1),
        facts.vote(0, "second"),
        facts.people_say(0, "second"),
        facts.step(1, 0),
        facts.vote(0, "first", source="file"),
        facts.restored(pair, facts.people_say(0)),
        facts.rewound(0, (0,)),
        facts.step(1, 0),
        facts.sampled(2, repeats=0),
    ]


def taken(records: Iterable[Record], **asked: Any) -> list[Record]:
    """What a selection takes of records that are folded one by one."""
    moves, selection = Moves(), Selection(**asked)
    ledger, found = Ledger(moves), []
    for record in records:
        moves.into.clear()
        ledger.fold(record)
        if selection.takes(record, moves.into):
            found.append(record)
    return found


def test_without_a_wish_all_is_taken() -> None:
    """The whole story."""
    assert taken(story()) == story()


def test_of_a_pair_is_all_that_names_it() -> None:
    """Also where it is one of several, is put back, or gets another turn."""
    of_second = [r for r in story() if 1 in tickets_of(r)]

    assert taken(story(), tickets={1}) == of_second
    assert len(of_second) == 3
    assert taken(story(), tickets={0}) == [
        *(story()[2], *story()[4:7], *story()[8:]),
    ]


def test_of_a_prompt_are_all_of_its_turns() -> None:
    """A prompt is known by the pairs that were sampled from it."""
    again = replace(facts.sampled(3), prompt=1)
    turns = taken([*story(), again], prompt=1)

    assert turns == [*taken(story(), tickets={1}), again]
    assert taken(story(), prompt=17) == []


def test_by_state_are_the_events_that_move_a_prompt_there() -> None:
    """As the table of transitions has it: asking people leaves it in judging."""

    def kinds(phase: Phase) -> list[str]:
        return [type(record).__name__ for record in taken(story(), phase=phase)]

    assert kinds(Phase.SAMPLED) == ["Sampled"] * 3
    assert kinds(Phase.JUDGING) == ["Submitted", "Escalated"]
    assert kinds(Phase.LABELLED) == ["Label", "Rewound"]
    assert kinds(Phase.APPLIED) == ["Step", "Step"]
    assert kinds(Phase.DROPPED) == ["Dropped"]


def test_by_source_are_verdicts_answers_and_labels() -> None:
    """The judge's, a person's, or those of a dropped file."""
    assert taken(story(), source="judge") == [facts.verdict(0)]
    assert [r for r in taken(story(), source="human") if isinstance(r, Label)] == [
        facts.people_say(0, "second")
    ]
    assert taken(story(), source="file") == [facts.vote(0, "first", source="file")]


def test_wishes_are_combined() -> None:
    """All have to hold."""
    both = taken(story(), tickets={0}, kinds={Verdict, Step, Dropped})

    assert both == [facts.verdict(0), facts.step(1, 0), facts.step(1, 0)]
    assert taken(story(), tickets={1}, source="judge") == []
    assert taken(story(), prompt=0, phase=Phase.DROPPED) == []
