"""A run in which people judge: what they say is trained on, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from onlinedpo.engine.loop import run as train_whole
from onlinedpo.journal import codec
from onlinedpo.states.errors import WaitingForPeople
from onlinedpo.states.records import (
    Dropped,
    Escalated,
    Label,
    Sampled,
    Step,
    Vote,
    Withdrawn,
)
from tests.engine.runs import SMALL, Scripted, records, steps
from tests.people.kit import (
    Parts,
    Person,
    Stages,
    answer,
    by_visible_text,
    nothing,
    on,
    said,
    taste,
)
from tests.people.runs import names, pairs, those, trained_on, work

pytestmark = pytest.mark.usefixtures("hurry")


def kinds(folder: Path) -> list[str]:
    """The kinds of a journal's records, without repetitions."""
    found: list[str] = []
    for record in records(folder):
        kind = str(codec.as_map(record)["kind"])
        if found[-1:] != [kind]:
            found.append(kind)
    return found


def test_people_train_what_a_judge_of_their_taste_would(
    human: Parts, parts: Parts, tmp_path: Path
) -> None:
    """The same pairs, labels, losses and bytes as with a judge that thinks alike."""
    run = tmp_path / "people"
    by_people = work(run, **human)
    by_judge = work(tmp_path / "judge", None, Scripted(by_visible_text), **parts)

    assert by_people.state == by_judge.state
    losses = [step.loss for step in steps(run)]
    assert losses == [step.loss for step in steps(tmp_path / "judge")]
    assert len(losses) == 3
    found = pairs(run)
    assert trained_on(run) == [
        {ticket: taste(found[ticket]) for ticket in step.tickets} for step in steps(run)
    ]
    assert {label.source for label in those(run, Label)} == {"human"}


def test_the_order_is_sample_files_labels_step(human: Parts, tmp_path: Path) -> None:
    """Each step's pairs are sampled by the newest policy, asked about, and applied."""
    person = Person()
    train_whole(tmp_path, {**SMALL, **human}, person)

    step = ["sampled", "submitted", "escalated", "vote", "label", "step"]
    assert kinds(tmp_path) == ["run-opened", "process-started", *step, *step, *step]
    assert person.waits[0] == 3
    assert set(person.waits) <= {1, 2, 3}
    for pair in those(tmp_path, Sampled):
        assert pair.step == pair.ticket // 3
    assert {asked.slots for asked in those(tmp_path, Escalated)} == {1}


def test_the_journal_has_what_was_saved_byte_for_byte(
    human: Parts, tmp_path: Path
) -> None:
    """And done/ holds the same files; todo/ is empty in the end."""
    person = Person(annotator="Zoë", note="a note")
    work(tmp_path, person, **human)

    votes = those(tmp_path, Vote)
    assert {Path(v.path).name: v.raw for v in votes} == person.saved
    assert len(votes) == 9
    assert {(v.annotator, v.note, v.source) for v in votes} == {
        ("Zoë", "a note", "human")
    }
    for vote in votes:
        assert (tmp_path / "labels" / vote.kept_as).read_bytes() == vote.raw
    assert names(tmp_path / "labels" / "todo") == []


def test_only_one_steps_pairs_wait_unless_more_are_allowed(
    human: Parts, tmp_path: Path
) -> None:
    """With max_waiting 7 and three pairs a step six wait, since nine are too many."""

    def last_ones_first(labels: Path) -> None:
        for path in sorted((labels / "todo").glob("*.md"))[3:]:
            answer(path, said(path))

    strict, broad = tmp_path / "strict", tmp_path / "broad"
    with pytest.raises(WaitingForPeople):
        work(strict, **human, patient=False)
    person = Stages(last_ones_first)
    work(broad, person, **human, max_waiting=7)

    assert len(pairs(strict)) == len(names(strict / "labels" / "todo")) == 3
    assert person.waits[0] == 6
    # Three wait on while the next three are sampled, by the newer policy.
    assert [set(step) for step in trained_on(broad)] == [{3, 4, 5}]
    assert person.waits[-1] == 6
    assert pairs(broad)[6].step == 1


def test_without_waiting_nothing_is_lost(human: Parts, tmp_path: Path) -> None:
    """Leaving because people are awaited, and coming back, ends with the same bytes."""
    whole = work(tmp_path / "whole", **human)
    run = tmp_path / "run"
    for settings in (human, {}, {}):
        with pytest.raises(WaitingForPeople, match=r"3 label files wait in .*todo"):
            work(run, **settings, patient=False)
        Person().at_work(run / "labels" / "todo")
    # All was saved while no process ran: nobody has to be waited for.
    person = Person(nothing)
    ended = work(run, person, patient=False)

    assert WaitingForPeople.exit_code == 3
    assert person.waits == []
    assert ended.state == whole.state
    assert [s.loss for s in steps(run)] == [s.loss for s in steps(tmp_path / "whole")]


@pytest.mark.parametrize(
    ("choice", "reason"),
    [("tie", "tie"), ("both bad", "both bad"), ("skip", "skipped")],
)
def test_neither_is_better_trains_nothing(
    choice: str, reason: str, human: Parts, tmp_path: Path
) -> None:
    """A pair without a winner is dropped with the next step; the others are trained."""
    work(tmp_path, Person(on({1: choice, 3: choice, 4: choice, 5: choice})), **human)

    assert {d.ticket: d.reason for d in those(tmp_path, Dropped)} == dict.fromkeys(
        (1, 3, 4, 5), reason
    )
    story = [r for r in records(tmp_path) if isinstance(r, Dropped | Step)]
    assert [type(r) for r in story[:2]] == [Dropped, Step]
    # Where none of a batch has a winner, the next batch is sampled.
    assert [set(step) for step in trained_on(tmp_path)] == [
        {0, 2},
        {6, 7, 8},
        {9, 10, 11},
    ]


@pytest.mark.parametrize("choice", ["tie", "both bad", "skip", "1"])
def test_a_mind_can_be_changed_until_the_step(
    choice: str, human: Parts, tmp_path: Path
) -> None:
    """The newest version in done/ is trained on, however often it changed."""

    def first(labels: Path) -> None:
        path = sorted((labels / "todo").glob("*.md"))[0]
        answer(path, choice)

    def change(wanted: str) -> Callable[[Path], None]:
        def do(labels: Path) -> None:
            (path,) = (labels / "done").glob("*.md")
            answer(path, wanted)

        return do

    def rest(labels: Path) -> None:
        for path in (labels / "todo").glob("*.md"):
            answer(path, said(path))

    person = Stages(first, change("1"), change("tie"), change("2"), rest)
    work(tmp_path, person, **human, iters=1)

    ours = [v for v in those(tmp_path, Vote) if v.ticket == 0]
    second = "second" if ours[0].shown == "first-second" else "first"
    assert [bytes(v.raw).count(b"choice: 2") for v in ours][-1] == 1
    assert ours[-1].value == second
    assert len(ours) == (3 if choice == "1" else 4)
    assert trained_on(tmp_path)[0][0] == second
    assert those(tmp_path, Dropped) == []


def test_an_undo_takes_a_label_back_and_the_pair_waits_again(
    human: Parts, tmp_path: Path
) -> None:
    """It gets a fresh file, and no step is taken until that is answered."""
    seen: list[list[str]] = []

    def first(labels: Path) -> None:
        path = sorted((labels / "todo").glob("*.md"))[0]
        answer(path, "1")

    def undo(labels: Path) -> None:
        seen.append(names(labels / "todo"))
        (path,) = (labels / "done").glob("*.md")
        answer(path, "undo")

    def others(labels: Path) -> None:
        seen.append(names(labels / "todo"))
        for path in sorted((labels / "todo").glob("*.md"))[1:]:
            answer(path, said(path))

    def again(labels: Path) -> None:
        seen.append(names(labels / "todo"))
        (path,) = (labels / "todo").glob("*.md")
        assert b"choice: \n" in path.read_bytes()
        answer(path, "2")

    person = Stages(first, undo, others, again)
    work(tmp_path, person, **human, iters=1)

    name = f"{pairs(tmp_path)[0].pair}.md"
    assert [name in todo for todo in seen] == [False, True, True]
    assert [len(todo) for todo in seen] == [2, 3, 1]
    assert [w.ticket for w in those(tmp_path, Withdrawn)] == [0]
    last = [v for v in those(tmp_path, Vote) if v.ticket == 0][-1]
    assert trained_on(tmp_path)[0][0] == last.value
    # Neither the file with the undo in it nor the new one took the other's name.
    assert len(names(tmp_path / "labels" / "done")) == 4
    assert last.kept_as != f"done/{name}"


def test_a_finished_run_takes_what_came_later_at_its_next_start(
    human: Parts, tmp_path: Path
) -> None:
    """A correction of what was trained on is kept; nothing is trained on anew."""
    ended = work(tmp_path, **human)
    path = sorted((tmp_path / "labels" / "done").glob("*.md"))[4]
    before = [v for v in those(tmp_path, Vote) if Path(v.kept_as).name == path.name]
    turned = {"1": "2", "2": "1"}[said(path)]
    raw = answer(path, turned)

    again = work(tmp_path, Person(nothing))

    assert again.state == ended.state
    assert again.ledger.late == 1
    votes = [v for v in those(tmp_path, Vote) if v.ticket == before[0].ticket]
    assert [v.raw for v in votes] == [before[0].raw, raw]
    assert {v.value for v in votes} == {"first", "second"}
    assert len(steps(tmp_path)) == 3
    assert path.read_bytes() == raw


def test_the_metrics_say_who_decided_and_how_many_wait(
    human: Parts, tmp_path: Path
) -> None:
    """In the journal, and in the file for plotting."""

    def last_ones_first(labels: Path) -> None:
        for path in sorted((labels / "todo").glob("*.md"))[3:]:
            answer(path, said(path))

    work(tmp_path, Stages(last_ones_first), **human, max_waiting=6)

    rows = [json.loads(row) for row in (tmp_path / "metrics.jsonl").open()]
    assert [row["label/human_frac"] for row in rows] == [1.0]
    assert [row["label/pending"] for row in rows] == [3]
    assert [row["label/age_steps_mean"] for row in rows] == [0.0]
    work(tmp_path)
    rows = [json.loads(row) for row in (tmp_path / "metrics.jsonl").open()]
    assert [row["label/pending"] for row in rows] == [
        step.metrics["label/pending"] for step in steps(tmp_path)
    ]
    # The pairs that waited are a step old now, and those of the second batch too.
    assert rows[1]["label/age_steps_mean"] == 1.0
