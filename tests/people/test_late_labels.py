"""Labels on pairs that were trained on or dropped: recorded, or trained on again."""

from __future__ import annotations

from pathlib import Path

import pytest

from onlinedpo.states.answers import Ask, sides
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import Dropped, Reason, Step, Vote
from tests.engine.runs import Listener, Scripted, Winner
from tests.people.kit import Parts, Person, answer, nothing, said
from tests.people.runs import correct, done_file, drop, pairs, those, trained_on, work

pytestmark = pytest.mark.usefixtures("hurry")


def repeats(run: Path) -> dict[int, int]:
    """The tickets of pairs that got another turn, by the ticket that they had."""
    return {p.repeats: t for t, p in pairs(run).items() if p.repeats is not None}


OTHER = {"first": "second", "second": "first"}


def test_a_late_label_is_recorded_by_default(human: Parts, tmp_path: Path) -> None:
    """It is in the journal with the rest; the training is that of a run without it."""
    whole = work(tmp_path / "whole", **human)
    run = tmp_path / "run"
    work(run, Person(stop_after=1), **human)
    correct(run, 1)

    ended = work(run)

    assert ended.state == whole.state
    assert ended.ledger.late == 1
    votes = [v.value for v in those(run, Vote) if v.ticket == 1]
    assert votes == [votes[0], OTHER[votes[0]]]
    assert repeats(run) == {}


def test_requeued_a_corrected_pair_is_in_the_next_batch(
    human: Parts, tmp_path: Path
) -> None:
    """With the corrected side, and at no other prompt's cost."""
    work(tmp_path, Person(stop_after=1), **human, late_labels="requeue")
    correct(tmp_path, 1)
    work(tmp_path)

    (again,) = repeats(tmp_path).values()
    old, new = pairs(tmp_path)[1], pairs(tmp_path)[again]
    assert (new.first, new.second) == (old.first, old.second)
    assert (new.messages, new.step) == (old.messages, old.step)
    first, second, third = trained_on(tmp_path)
    assert second[again] == OTHER[first[1]]
    assert again not in third
    visited = [p.prompt for p in pairs(tmp_path).values() if p.repeats is None]
    assert len(visited) == len(set(visited))


def test_a_label_may_be_corrected_while_the_run_goes_on(
    human: Parts, tmp_path: Path
) -> None:
    """If the next batch is sampled already, it comes in the one after."""

    class Corrects(Person):
        """Has second thoughts after the first step."""

        def stepped(self, step: Step, ledger: Ledger) -> None:
            super().stepped(step, ledger)
            if step.index == 1:
                correct(tmp_path, 1)

    work(tmp_path, Corrects(), **human, late_labels="requeue")

    (again,) = repeats(tmp_path).values()
    first, *later = trained_on(tmp_path)
    assert [step[again] for step in later if again in step] == [OTHER[first[1]]]


def test_a_pair_corrected_back_before_the_step_is_not_trained_on_again(
    human: Parts, tmp_path: Path
) -> None:
    """It was trained on so before: the newest answer says nothing new."""
    work(tmp_path, Person(stop_after=1), **human, late_labels="requeue")
    correct(tmp_path, 1)
    work(tmp_path, Person(nothing), patient=True, iters=1)
    correct(tmp_path, 1)
    work(tmp_path, iters=3)

    again = repeats(tmp_path)[1]
    assert not [step for step in trained_on(tmp_path) if again in step]
    ended = {drop.ticket: drop.reason for drop in those(tmp_path, Dropped)}
    assert ended[again] == Reason.BACK


def test_a_late_answer_without_a_winner_changes_nothing(
    human: Parts, tmp_path: Path
) -> None:
    """There is nothing in it to train on, whichever of the three it is."""
    whole = work(tmp_path / "whole", **human)
    run = tmp_path / "run"
    work(run, Person(stop_after=1), **human, late_labels="requeue")
    for ticket, choice in enumerate(("tie", "both bad", "skip")):
        answer(done_file(run, ticket), choice)

    assert work(run).state == whole.state
    assert repeats(run) == {}
    assert {v.value for v in those(run, Vote)[3:6]} == {"tie", "bad", "skip"}


def test_the_same_answer_saved_again_changes_nothing(
    human: Parts, tmp_path: Path
) -> None:
    """With another note, say."""
    work(tmp_path, Person(stop_after=1), **human, late_labels="requeue")
    path = done_file(tmp_path, 1)
    answer(path, said(path), note="on second thoughts: yes")
    work(tmp_path)

    assert [v.note for v in those(tmp_path, Vote) if v.ticket == 1] == [
        "",
        "on second thoughts: yes",
    ]
    assert repeats(tmp_path) == {}


def test_several_late_labels_at_once(human: Parts, tmp_path: Path) -> None:
    """Each pair gets a turn of its own, all in the next batch, none twice."""
    work(tmp_path, Person(stop_after=1), **human, late_labels="requeue")
    for ticket in (0, 1, 2):
        correct(tmp_path, ticket)
    work(tmp_path)

    again = repeats(tmp_path)
    first, second, _ = trained_on(tmp_path)
    assert set(again) == {0, 1, 2}
    assert len(set(again.values())) == 3
    assert {old: second[new] for old, new in again.items()} == {
        ticket: OTHER[side] for ticket, side in first.items()
    }
    assert set(second) == set(again.values())


def test_a_pair_can_be_corrected_again_after_its_second_turn(
    human: Parts, tmp_path: Path
) -> None:
    """Then it is trained on a third time, as at first."""
    work(tmp_path, Person(stop_after=1), **human, late_labels="requeue")
    correct(tmp_path, 1)
    work(tmp_path, Person(stop_after=1))
    correct(tmp_path, 1)
    work(tmp_path)

    first, second, third = trained_on(tmp_path)
    turns = [t for t, p in pairs(tmp_path).items() if p.repeats is not None]
    assert len(turns) == 2
    assert second[turns[0]] == OTHER[first[1]]
    assert third[turns[1]] == first[1]


def third_fails(comparison: object, shown: object) -> Winner:
    """Two of three pairs are decided; the third goes to people."""
    return None if getattr(comparison, "ticket", 0) % 3 == 2 else "first"


@pytest.mark.parametrize("late", ["record", "requeue"])
def test_an_answer_to_a_pair_that_was_dropped(
    late: str, parts: Parts, tmp_path: Path
) -> None:
    """It was too old; requeued, it is trained on now that it has an answer."""
    settings = {
        **{"escalate_below": 0.5, "max_staleness": 0, "iters": 3, "late_labels": late},
        **parts,
    }
    script = Scripted(third_fails)
    work(tmp_path, Listener(stop_after=2), script, **settings)
    old = next(d.ticket for d in those(tmp_path, Dropped) if d.reason == "too old")
    drop(tmp_path / "labels", "late.jsonl", {"id": pairs(tmp_path)[old].pair} | ONE)
    work(tmp_path, Person(nothing), script)

    (vote,) = those(tmp_path, Vote)
    assert vote.ticket == old
    if late == "record":
        assert repeats(tmp_path) == {}
    else:
        assert trained_on(tmp_path)[2][repeats(tmp_path)[old]] == vote.value


ONE = {"choice": "1"}


def test_a_judges_label_can_be_corrected_late(parts: Parts, tmp_path: Path) -> None:
    """By a dropped line on a pair that only the judge had seen."""
    settings = {**parts, "escalate_below": 0.5, "late_labels": "requeue"}
    script = Scripted(third_fails)
    work(tmp_path, Listener(stop_after=1), script, **settings)
    first = pairs(tmp_path)[0]
    shown = sides(0, Ask(first.pair))
    other = "2" if shown == "first-second" else "1"
    drop(tmp_path / "labels", "late.jsonl", {"id": first.pair, "choice": other})
    work(tmp_path, Person(nothing), script)

    assert trained_on(tmp_path)[0][0] == "first"
    assert trained_on(tmp_path)[1][repeats(tmp_path)[0]] == "second"
