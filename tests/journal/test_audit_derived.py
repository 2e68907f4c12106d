"""Lies in a fork, and in another judge's verdicts: each is caught, and named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.engine.observer import Silent
from onlinedpo.engine.rejudge.folder import prepare
from onlinedpo.engine.rejudge.rejudging import judge_rest
from onlinedpo.engine.rejudge.request import Request
from onlinedpo.journal.audit.auditing import audit
from onlinedpo.states.errors import AuditFailed
from onlinedpo.states.records import (
    Derived,
    Dropped,
    Escalated,
    Label,
    Reason,
    Restored,
    Rewound,
    Sampled,
    Submitted,
    Verdict,
    Vote,
)
from tests.engine.forks import Judging, fork, rejudge
from tests.engine.runs import Scripted, by_text
from tests.golden.runs import Moody
from tests.journal.forging import Forger
from tests.states import facts

GOLDEN = Path(__file__).parents[1] / "golden" / "0.1.0"
OTHER = {"first": "second", "second": "first"}

Lie = Callable[[Forger], int]


def must_be_caught(run: Path, plant: Lie, named: str) -> None:
    """Plant a lie in a run, and have the audit name it."""
    audit(run)
    forger = Forger(run)
    frame = plant(forger)
    forger.write()
    with pytest.raises(AuditFailed, match=named) as failed:
        audit(run)
    assert failed.value.facts["frame"] == frame, str(failed.value)


def changed(
    kind: type[Any], nth: int = 0, which: Any = lambda _: True, **fields: Any
) -> Lie:
    """A record with other fields."""
    return lambda forger: forger.change(kind, nth, which, **fields)


def a_drop_less(forger: Forger) -> int:
    """A pair stays labelled, as if it were to be trained on."""
    number, batch, place = forger.find(Dropped, which=_rejudged)
    del batch[place]
    return number


def _rejudged(drop: Dropped) -> bool:
    return drop.reason == Reason.REJUDGED


# -- another judge's verdicts ------------------------------------------------------


@pytest.mark.parametrize(
    ("plant", "named"),
    [
        (
            changed(Verdict, winner="tie"),
            "verdict of pair .*: winner: 'tie' is recorded",
        ),
        (changed(Verdict, prompt="?"), "verdict of pair .*: prompt: "),
        (
            changed(Dropped, -1, detail="?"),
            "dropped of .*: detail: '\\?' is recorded",
        ),
        (changed(Submitted, tickets=(0,)), r"submitted: tickets: \(0,\) is recorded"),
    ],
    ids=["winner", "prompt", "decision", "submitted"],
)
def test_a_lie_about_another_judge(plant: Lie, named: str, tmp_path: Path) -> None:
    """Its verdicts are read again, and what they come to is decided again."""
    shutil.copytree(GOLDEN / "rejudged", tmp_path / "journal")
    must_be_caught(tmp_path, plant, named)


def test_a_pair_that_is_judged_again_ends_there(judged: Path, tmp_path: Path) -> None:
    """With a label, and then without training: each decided pair is dropped."""
    into, model = tmp_path / "verdicts", str(judged.parent / "model")
    rejudge(judged, Scripted(by_text), model, into=into)

    assert audit(into).checked["unread_verdicts"] > 0
    must_be_caught(into, a_drop_less, "label of pair .*: 'label' is rec.*, 'dropped'")


def test_the_words_of_facts_that_follow_from_nothing(tmp_path: Path) -> None:
    """Where nothing was judged, nothing is decided."""
    shutil.copytree(GOLDEN / "rejudged", tmp_path / "journal")

    def plant(forger: Forger) -> int:
        number, batch, _ = forger.find(Sampled)
        batch[:] = [record for record in batch if isinstance(record, Dropped)]
        batch.append(facts.submitted())
        return number

    must_be_caught(tmp_path, plant, "submitted: 'submitted' is recorded, nothing")


# -- forks -------------------------------------------------------------------------


def settings_fixed_by_copy(forger: Forger) -> int:
    """The seed of a fork is that of the pairs that it was given."""
    return forger.change(Derived, changed=lambda old: {**old, "seed": 7})


def settings_that_do_not_fit(forger: Forger) -> int:
    """No run can have them."""
    return forger.change(Derived, changed=lambda old: {**old, "batch_size": -1})


@pytest.mark.parametrize(
    ("plant", "named"),
    [
        (settings_fixed_by_copy, "derived: changed.seed: 7 is recorded, nothing is"),
        (settings_that_do_not_fit, "derived: settings: .*batch_size"),
        (changed(Label, chosen=OTHER.__getitem__), "label of pair .*: chosen: "),
    ],
    ids=["seed", "impossible", "label"],
)
def test_a_lie_in_a_fork(plant: Lie, named: str, tmp_path: Path) -> None:
    """Also in the facts that were copied."""
    shutil.copytree(GOLDEN / "forked", tmp_path / "journal")
    must_be_caught(tmp_path, plant, named)


def test_label_files_of_a_fork_name_the_run_that_it_is_from(
    answered: Path, tmp_path: Path
) -> None:
    """They were saved there: another origin does not fit them."""
    fork(answered, tmp_path / "new", at=3)
    first = changed(Derived, source="ab" * 16)

    def plant(forger: Forger) -> int:
        first(forger)
        return forger.find(Vote)[0]

    must_be_caught(
        tmp_path / "new",
        plant,
        r"vote of pair 000000-\w+: raw.run: '\w{8}' is recorded, 'abababab' is derived",
    )


def restored(**fields: Any) -> Lie:
    """A pair that is put back otherwise: told where the steps are undone."""

    def plant(forger: Forger) -> int:
        forger.change(Restored, -1, **fields)
        return forger.find(Rewound, -1)[0]

    return plant


@pytest.mark.parametrize(
    ("plant", "named"),
    [
        (
            restored(label=lambda old: replace(old, chosen=OTHER[old.chosen])),
            "restored of pair .*: label.chosen: ",
        ),
        (restored(votes=()), "restored of pair .*: votes: "),
        (restored(was="tie"), "restored of pair .*: was: 'tie' is recorded, ''"),
    ],
    ids=["label", "answers", "was"],
)
def test_a_lie_in_a_fork_under_peoples_labels(
    plant: Lie, named: str, answered: Path, tmp_path: Path
) -> None:
    """What people say of each pair is taken from the facts before the fork."""
    fork(answered, tmp_path / "new", labels="human")
    must_be_caught(tmp_path / "new", plant, named)


@pytest.mark.parametrize(
    ("plant", "named"),
    [
        (
            restored(label=lambda old: replace(old, chosen=OTHER[old.chosen])),
            "restored of pair .*: label.chosen: ",
        ),
        (
            restored(label=lambda old: replace(old, confidence=0.125)),
            "restored of pair .*: label.confidence: 0.125 is recorded",
        ),
        (restored(slots=2), "restored of pair .*: slots: 2 is recorded, 0 is derived"),
        (
            restored(verdicts=lambda old: (replace(old[0], winner="tie"), *old[1:])),
            "restored of pair .*: label.chosen: '.*' is recorded, None is",
        ),
        (
            restored(sampled=lambda old: replace(old, step=9)),
            "restored of pair .*: sampled: ",
        ),
    ],
    ids=["label", "confidence", "slots", "verdicts", "pair"],
)
def test_a_lie_in_a_fork_under_another_judges_labels(
    plant: Lie, named: str, judged: Path, tmp_path: Path
) -> None:
    """The verdicts are from elsewhere; the labels follow from them."""
    run = tmp_path / "run"
    shutil.copytree(judged, run)
    into = rejudge(run, Scripted(by_text), str(judged.parent / "model"))
    fork(run, tmp_path / "new", labels="rejudged", rejudged=into)
    must_be_caught(tmp_path / "new", plant, named)


def not_put_back(forger: Forger) -> int:
    """A pair that was trained on does not come again."""
    number, batch, place = forger.find(Restored)
    gone = batch.pop(place)
    assert isinstance(gone, Restored)
    number = forger.find(Rewound)[0]
    without = gone.sampled.ticket

    def others(tickets: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(ticket for ticket in tickets if ticket != without)

    forger.change(Rewound, tickets=others)
    forger.change(Rewound, batches=lambda old: tuple(map(others, old)))
    return number


def test_verdicts_that_came_with_a_fork_are_read_again(
    judged: Path, tmp_path: Path
) -> None:
    """As its judge put them out: by their letters, and what it was shown."""
    run, into = tmp_path / "run", tmp_path / "verdicts"
    shutil.copytree(judged, run)
    model, rubric = str(judged.parent / "model"), "Be long."
    prepared = prepare(run, Request(judge=model, rubric=rubric, into=into), Silent())
    judge = Moody(prepared.judge.load())
    with prepared.journal(Silent()) as journal:
        judge_rest(journal, judge, prepared.pairs, prepared.settings, Judging())
    fork(run, tmp_path / "new", labels="rejudged", rejudged=into)

    assert audit(tmp_path / "new").checked["read_verdicts"] > 30
    must_be_caught(
        tmp_path / "new",
        restored(verdicts=lambda old: (replace(old[0], raw="B"), *old[1:])),
        "verdict of pair .*: raw: 'B' is recorded",
    )
    shutil.rmtree(tmp_path / "new")
    fork(run, tmp_path / "new", labels="rejudged", rejudged=into)
    must_be_caught(tmp_path / "new", not_put_back, "rewound: tickets: ")


def stopped(run: Path, into: Path, kind: type[Any]) -> Path:
    """A copy of a run that stopped after its last frame with a record of a kind."""
    shutil.copytree(run, into)
    forger = Forger(into)
    number = forger.find(kind, -1)[0]
    while len(list(forger.frames)) > number:
        forger.drop(number + 1)
    return forger.write()


def test_people_are_asked_what_a_judge_was_to_be_asked(
    mixed: Path, tmp_path: Path
) -> None:
    """In a fork that they judge: of exactly these pairs, and for that reason."""
    run = stopped(mixed, tmp_path / "run", Submitted)
    asked = audit(run).kinds[Escalated]
    fork(run, tmp_path / "new", labels="human", label_budget=None)

    assert audit(tmp_path / "new").kinds[Escalated] == asked + 3
    must_be_caught(
        tmp_path / "new",
        changed(Escalated, -1, slots=2),
        "escalated of pair .*: slots: 2 is recorded, 1 is derived",
    )


def test_a_judges_labels_in_flight_are_left_out(mixed: Path, tmp_path: Path) -> None:
    """In a fork that people judge: these, and no others."""
    run = stopped(mixed, tmp_path / "run", Verdict)
    fork(run, tmp_path / "new", labels="human", label_budget=None)

    def plant(forger: Forger) -> int:
        number, batch, place = forger.find(
            Dropped, which=lambda drop: drop.reason == Reason.LEFT_OUT
        )
        del batch[place]
        return number

    must_be_caught(tmp_path / "new", plant, "dropped of pair .*: nothing is recorded")
