"""Forks of runs with people: under people's labels alone, and while pairs wait."""

from __future__ import annotations

from pathlib import Path

import pytest

from onlinedpo.states.errors import UsageError
from onlinedpo.states.labelling import resolve
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import (
    Derived,
    Escalated,
    Label,
    Restored,
    Rewound,
    RunOpened,
)
from onlinedpo.states.replanning import only_people, plan
from tests.engine.forks import facts_until, fork
from tests.engine.kit import DROPOUT
from tests.engine.runs import Listener, Scripted, prefers_first, records, steps
from tests.people.kit import Doubtful, Parts, Person, nothing, on
from tests.people.runs import (
    correct,
    names,
    standing,
    those,
    trained_on,
    work,
)

pytestmark = pytest.mark.usefixtures("hurry")


def test_under_peoples_labels_a_run_of_people_is_the_same(
    human: Parts, tmp_path: Path
) -> None:
    """The same batches, the same bytes; nobody is asked again."""
    run, new = tmp_path / "run", tmp_path / "new"
    before = work(run, **human, lora_parameters=DROPOUT)
    done = fork(run, new, labels="human")
    after = work(new, Person(nothing))

    assert (done.batches, done.corrected, done.changed) == (3, 0, {})
    assert after.state == before.state
    assert standing(new) == standing(run)
    assert names(new / "labels" / "todo") == []


def test_late_answers_count(human: Parts, tmp_path: Path) -> None:
    """A correction after the pair was trained on, and a tie that was decided later."""
    run, new = tmp_path / "run", tmp_path / "new"
    work(run, Person(on({1: "tie"})), **human)
    correct(run, 4)
    (tie,) = (run / "labels" / "done").glob("000001-*")
    tie.write_text(tie.read_text().replace("choice: tie", "choice: 1"))
    work(run)
    done = fork(run, new, labels="human")
    work(new, Person(nothing))

    first, second, third = trained_on(run)
    *_, one, two, three = trained_on(new)
    assert done.corrected == 2
    assert [*one] == [0, 1, 2]
    assert {n: side for n, side in one.items() if n != 1} == first
    assert two == {**second, 4: "second" if second[4] == "first" else "first"}
    assert three == third


def test_what_no_person_has_answered_is_left_out(parts: Parts, tmp_path: Path) -> None:
    """Of a run in which a judge asks people: its own labels do not count.

    With more steps the run goes on with people as the judges.
    """
    run, new = tmp_path / "run", tmp_path / "new"
    script = Doubtful(prefers_first, sureness=lambda c: 0.9 if c.ticket % 3 else 0.6)
    settings = {**parts, "escalate_below": 0.7, "iters": 4}
    work(run, Listener(stop_after=2), script, **settings)
    Person().at_work(run / "labels" / "todo")
    work(run, Person(), script)
    asked = {r.ticket for r in those(run, Escalated)}
    ended = {n for step in steps(run) for n in step.tickets}
    done = fork(run, new, labels="human")
    work(new, Person(nothing))

    taken = {n for step in steps(new)[len(steps(run)) :] for n in step.tickets}
    assert taken == asked & ended
    assert done.changed == {"iters": done.batches, "judge": "human"}
    assert {r.label.source for r in those(new, Restored)} == {"human"}
    assert not [r for r in those(new, Restored) if r.verdicts]
    longer = work(new, Person(), iters=done.batches + 1)
    assert longer.ledger.steps == done.batches + 1
    assert those(new, Label)[-1].source == "human"


def test_it_can_be_audited(human: Parts, tmp_path: Path) -> None:
    """Labels follow from the answers beside them, batches from the facts before."""
    run, new = tmp_path / "run", tmp_path / "new"
    work(run, **human)
    correct(run, 4)
    work(run)
    fork(run, new, labels="human")
    facts = records(new)
    (rewound,) = those(new, Rewound)
    for pair in those(new, Restored):
        votes = {vote.slot: vote for vote in pair.votes}
        ticket, now = pair.sampled.ticket, pair.time
        said = resolve(ticket, votes, pair.slots, "first", now, may_ask=False)
        assert said == pair.label

    planned = plan(facts[: facts.index(rewound)], 0, only_people("first", rewound.time))
    assert (planned.batches, planned.tickets) == (rewound.batches, rewound.tickets)
    assert planned.pairs == tuple(those(new, Restored))


def test_a_run_that_nobody_has_labelled_cannot_be(parts: Parts, tmp_path: Path) -> None:
    """It says so, and nothing is made."""
    work(tmp_path / "run", Person(nothing), Scripted(prefers_first), **parts)
    with pytest.raises(UsageError, match="people found no winner in any pair"):
        fork(tmp_path / "run", tmp_path / "new", labels="human")

    assert names(tmp_path) == ["run"]


def test_pairs_that_wait_are_offered_in_the_fork_too(
    human: Parts, tmp_path: Path
) -> None:
    """As they stood at that step; each run waits for answers of its own."""
    run, new = tmp_path / "run", tmp_path / "new"
    whole = tmp_path / "whole"
    ended = work(whole, **human, max_waiting=9, iters=2)
    work(run, Listener(stop_after=0), **human, max_waiting=9, iters=2)
    with pytest.raises(UsageError, match="no step 0"):
        fork(run, new)
    work(run, Person(stop_after=1))
    waiting = names(run / "labels" / "todo")
    fork(run, new, 1)
    # Answered in the run, where that counts for the run alone.
    work(run)
    work(new, Person(nothing, stop_after=0))
    assert names(new / "labels" / "todo") == waiting

    assert work(new).state == work(run).state == ended.state


def test_what_waits_for_people_waits_in_the_fork_whoever_judges_then(
    parts: Parts, tmp_path: Path
) -> None:
    """Also where the fork's own judge would ask nobody."""
    run, alone, people = tmp_path / "run", tmp_path / "alone", tmp_path / "people"
    script = Doubtful(prefers_first, sureness=lambda c: 0.9 if c.ticket % 2 else 0.6)
    work(run, Person(), script, **parts, escalate_below=0.7, iters=3)
    waiting = [turn.sampled for turn in folded(run, 2).waiting()]
    fork(run, people, 2, judge="human", escalate_below=None)
    fork(people, alone, 2, judge=parts["model"])
    at_first = work(people, Listener(stop_after=0))
    work(alone, Listener(stop_after=0), script)

    assert waiting and at_first.ledger.steps == 2
    assert [turn.sampled for turn in at_first.ledger.waiting()] == waiting
    files = [f"{pair.pair}.md" for pair in waiting if pair]
    for folder in (people, alone):
        assert names(folder / "labels" / "todo") == files
    assert work(people, Person()).ledger.steps == 3
    assert work(alone, Person(), script).ledger.steps == 3
    (derived,) = those(people, Derived)
    assert derived.judge == {"kind": "people"}


def folded(run: Path, step: int) -> Ledger:
    """Where a run stood after a step."""
    ledger = Ledger()
    for record in [those(run, RunOpened)[0], *facts_until(run, step)]:
        ledger.fold(record)
    return ledger
