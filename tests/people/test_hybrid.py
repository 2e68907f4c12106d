"""A judge with people behind it: who decides which pair, why, and what waits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from onlinedpo.engine.judges.comparison import Comparison
from onlinedpo.states.errors import NothingToLearn
from onlinedpo.states.records import Dropped, Escalated, Label, Shown, Verdict, Vote
from tests.engine.runs import Listener, Scripted, Winner, opened, prefers_first, steps
from tests.people.kit import Doubtful, Parts, Person, Stages, answer, nothing, taste
from tests.people.runs import drop, names, pairs, those, trained_on, work

pytestmark = pytest.mark.usefixtures("hurry")

SURE, UNSURE, FAILS, DIFFERS, TIES, SURE_TOO = range(6)
DOUBTS = {
    UNSURE: "judge unsure",
    FAILS: "judge failed",
    DIFFERS: "orders disagree",
    TIES: "tie",
}


def moody(comparison: Comparison, shown: Shown) -> Winner:
    """Of six pairs it decides three, and is in doubt of each kind about the others."""
    mood = comparison.ticket % 6
    if mood == FAILS:
        return None
    if mood == DIFFERS:
        return "first" if shown == "first-second" else "second"
    return "tie" if mood == TIES else "first"


def sureness(comparison: Comparison) -> float:
    """How sure it is of what it says."""
    return 0.65 if comparison.ticket % 6 == UNSURE else 0.9


def judge() -> Doubtful:
    """A judge of these moods."""
    return Doubtful(moody, sureness=sureness)


def why(folder: Path) -> dict[int, str]:
    """Why people were asked, by ticket."""
    return {asked.ticket: asked.why for asked in those(folder, Escalated)}


def sources(folder: Path) -> dict[int, str]:
    """Who decided each pair that was trained on."""
    used = {ticket for step in steps(folder) for ticket in step.tickets}
    return {r.ticket: r.source for r in those(folder, Label) if r.ticket in used}


def test_people_are_asked_where_the_judge_is_in_doubt(
    parts: Parts, tmp_path: Path
) -> None:
    """Unsure, failed, contradictory or tied: each with its reason, and no other pair.

    Every step's journal says which pairs a person decided, and the metrics how many.
    """
    work(tmp_path, Person(), judge(), **parts, escalate_below=0.7, iters=6)

    asked = why(tmp_path)
    seen = {v.ticket for v in those(tmp_path, Verdict)}
    assert asked == {t: DOUBTS[t % 6] for t in seen if t % 6 in DOUBTS}
    assert set(asked.values()) == set(DOUBTS.values())
    # The judge's evidence is kept beside.
    assert {len([v for v in those(tmp_path, Verdict) if v.ticket == t]) for t in seen}
    decided = sources(tmp_path)
    assert {t for t, source in decided.items() if source == "human"} == {
        t for t in decided if t % 6 in DOUBTS
    }
    assert set(decided.values()) == {"human", "judge"}
    found = pairs(tmp_path)
    for step, chosen in zip(steps(tmp_path), trained_on(tmp_path), strict=True):
        by_people = [t for t in step.tickets if decided[t] == "human"]
        assert step.metrics["label/human_frac"] == len(by_people) / len(step.tickets)
        assert all(chosen[t] == taste(found[t]) for t in by_people)
        assert all(chosen[t] == "first" for t in {*step.tickets} - {*by_people})
    assert those(tmp_path, Dropped) == []


@pytest.mark.parametrize(("below", "asked"), [(0.6, 0), (0.7, 1), (0.935, 4)])
def test_only_less_than_the_threshold_is_a_doubt(
    below: float, asked: int, parts: Parts, tmp_path: Path
) -> None:
    """Of the six pairs of two steps, those that are less sure than that."""
    script = Doubtful(
        prefers_first,
        sureness=lambda c: 0.65 if c.ticket == 1 else 0.9 + c.ticket % 9 / 100,
    )
    work(tmp_path, Person(), script, **parts, escalate_below=below, iters=2)

    assert len([t for t in why(tmp_path) if t < 6]) == asked


def test_the_run_goes_on_while_people_are_awaited(parts: Parts, tmp_path: Path) -> None:
    """Steps are taken on what the judge decides, until as many wait as may."""
    person = Stages()
    ended = work(tmp_path, person, judge(), **parts, escalate_below=0.7, iters=50)

    # Eight steps' pairs may wait: 24.  Four of six pairs wait.
    waiting = len(ended.ledger.waiting())
    assert waiting <= 24 < waiting + 3
    assert person.waits == [waiting]
    assert len(names(tmp_path / "labels" / "todo")) == waiting
    assert len(steps(tmp_path)) >= 3
    assert not {t for s in steps(tmp_path) for t in s.tickets if t % 6 in DOUBTS}
    assert [s.metrics["label/pending"] for s in steps(tmp_path)][-1] > 10


def test_what_people_answer_meanwhile_is_in_the_next_step(
    parts: Parts, tmp_path: Path
) -> None:
    """Of the policy of earlier steps: its age is in the metrics."""
    settings = {**parts, "escalate_below": 0.7, "iters": 4}
    work(tmp_path, Listener(stop_after=2), judge(), **settings)
    Person().at_work(tmp_path / "labels" / "todo")

    work(tmp_path, Person(nothing), judge())

    third = steps(tmp_path)[2]
    assert {sources(tmp_path)[t] for t in third.tickets} == {"human"}
    assert third.metrics["label/age_steps_mean"] > 0


def test_a_random_share_goes_to_people_as_well(parts: Parts, tmp_path: Path) -> None:
    """By lot, however sure the judge is; the judge's verdicts are kept to compare."""
    sure = Doubtful(prefers_first)
    half, whole = tmp_path / "half", tmp_path / "whole"
    work(half, Person(), sure, **parts, human_share=0.5, iters=5)
    work(whole, Person(), sure, **parts, human_share=1.0)

    assert set(why(half).values()) == {"random share"}
    assert 0.3 < len(why(half)) / len(pairs(half)) < 0.7
    assert set(why(whole)) == set(pairs(whole))
    assert {v.ticket for v in those(whole, Verdict)} == set(pairs(whole))
    for folder in (half, whole):
        human = {t for t, source in sources(folder).items() if source == "human"}
        assert human == set(why(folder)) & set(sources(folder))


def test_never_more_is_asked_than_the_budget_allows(
    parts: Parts, tmp_path: Path
) -> None:
    """When it is spent, the judge's own decision stands, be it a label or a drop."""
    settings: dict[str, Any] = {"escalate_below": 0.7, "label_budget": 1, "iters": 4}
    ended = work(tmp_path, Person(), judge(), **parts, **settings)

    assert ended.ledger.asked == 1
    assert list(why(tmp_path)) == [UNSURE]
    assert sources(tmp_path)[6 + UNSURE] == "judge"
    drops = {d.ticket: d.reason for d in those(tmp_path, Dropped)}
    assert drops[FAILS] == "judge failed"
    assert drops[DIFFERS] == "orders disagree"
    assert drops[TIES] == "tie"
    assert drops[6 + FAILS] == "judge failed"
    assert len(steps(tmp_path)) == 4

    work(tmp_path, Person(), judge(), label_budget=4, iters=8)
    assert len(why(tmp_path)) == 4


def test_a_run_of_people_ends_with_its_budget(human: Parts, tmp_path: Path) -> None:
    """In one line, after the last step that could be taken; more budget goes on."""
    with pytest.raises(NothingToLearn, match=r"^the label budget of 5 is spent") as end:
        work(tmp_path, Person(), **human, label_budget=5)

    assert "after step 2" in str(end.value)
    assert "--label-budget" in end.value.hint
    assert [len(step.tickets) for step in steps(tmp_path)] == [3, 2]
    assert [d.reason for d in those(tmp_path, Dropped)] == ["label budget spent"]
    assert len(those(tmp_path, Vote)) == 5
    assert len(pairs(tmp_path)) == 6

    assert work(tmp_path, label_budget=8).ledger.steps == 3


def test_a_run_that_asks_nobody_has_nothing_of_it(parts: Parts, tmp_path: Path) -> None:
    """No folder, no desk, and a judge's doubts are drops."""
    settings: dict[str, Any] = {"overlap": 1.0, "max_staleness": 0, "label_budget": 9}
    with opened(tmp_path, **parts, judge=parts["model"], **settings) as run:
        assert run.desk is None
    work(tmp_path, Person(), judge())

    assert those(tmp_path, Escalated) == []
    assert not (tmp_path / "labels").exists()
    assert {d.reason for d in those(tmp_path, Dropped)} == {
        *("judge failed", "orders disagree", "tie")
    }
    assert {step.metrics["label/human_frac"] for step in steps(tmp_path)} == {0.0}
    assert {step.metrics["label/pending"] for step in steps(tmp_path)} == {0}


def by_judge_and_waiting(comparison: Comparison, shown: Shown) -> Winner:
    """All but the last pair of a step is decided."""
    return None if comparison.ticket % 3 == 2 else "first"


def test_a_person_outranks_the_judge_until_the_step(
    parts: Parts, tmp_path: Path
) -> None:
    """By a dropped line on a pair that nobody was asked about."""

    def overrule(labels: Path) -> None:
        found = pairs(tmp_path)
        drop(labels, "mine.jsonl", {"id": found[0].pair, "choice": "1"})
        drop(labels, "more.jsonl", {"id": found[1].pair, "choice": "tie"})

    def retract(labels: Path) -> None:
        drop(labels, "undo.jsonl", {"id": pairs(tmp_path)[1].pair, "choice": "undo"})

    def rest(labels: Path) -> None:
        (path,) = (labels / "todo").glob("*.md")
        answer(path, "1")

    script = Scripted(by_judge_and_waiting)
    work(
        tmp_path,
        Stages(overrule, retract, rest),
        script,
        **parts,
        escalate_below=0.5,
        max_waiting=1,
        iters=1,
    )

    votes = {v.ticket: v for v in those(tmp_path, Vote) if v.value != "undo"}
    labels = [(r.ticket, r.source) for r in those(tmp_path, Label)]
    assert labels == [
        *((0, "judge"), (1, "judge"), (0, "file"), (1, "file")),
        # Taken back, the judge's decision stands again.
        *((1, "judge"), (2, "human")),
    ]
    (chosen,) = trained_on(tmp_path)
    assert chosen[0] == votes[0].value
    assert chosen[1] == "first"
    assert len(script.asked) == 3


def test_an_undo_of_nothing_changes_nothing(parts: Parts, tmp_path: Path) -> None:
    """The judge's label was nobody's answer: it stands, and is not said again."""

    def undo(labels: Path) -> None:
        drop(labels, "undo.jsonl", {"id": pairs(tmp_path)[0].pair, "choice": "undo"})

    settings = {**parts, "escalate_below": 0.5, "max_waiting": 1, "iters": 1}
    work(tmp_path, Stages(undo), Scripted(by_judge_and_waiting), **settings)
    before = [(r.ticket, r.source) for r in those(tmp_path, Label)]
    work(tmp_path, Person(), Scripted(by_judge_and_waiting))

    assert len(those(tmp_path, Vote)) == 2
    assert before == [(0, "judge"), (1, "judge")]
    labels = [(r.ticket, r.source) for r in those(tmp_path, Label)]
    assert labels == [*before, (2, "human")]
