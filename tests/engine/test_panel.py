"""Several judges as one: who is asked, what they come to, and who is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.engine.judges.model import ModelJudge
from onlinedpo.engine.loop import train
from onlinedpo.journal.audit.auditing import audit
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError
from onlinedpo.states.records import Dropped, Label, Reason, RunOpened, Verdict
from onlinedpo.states.verdicts.deciding import decide
from tests.engine.runs import Listener, opened, records, state, steps
from tests.engine.scorers import compare, judge_of, module, toy_reward, verdicts_of

PAIR = compare(0, "because it is so", "so")


@pytest.fixture(autouse=True)
def here(tmp_path: Path) -> Iterator[Path]:
    """A module `prefer` in the working directory."""
    with module(tmp_path / "here"):
        yield tmp_path


def panel(first: str, *others: str, **wanted: Any) -> Any:
    """A panel of functions in `prefer`."""
    names = [f"python:prefer:{name}" for name in (first, *others)]
    return judge_of(names[0], judge_panel=names[1:], **wanted)


def test_every_judge_is_asked_and_answers_for_itself() -> None:
    """Judge by judge, in the order of the settings, each under its own identity."""
    judge = panel("shorter", "length", "left")
    (said,) = verdicts_of(judge, PAIR)

    ids = [v.judge["id"].rpartition(":")[2] for v in said]
    assert ids == ["shorter", "shorter", "length", "left", "left"]
    assert [v.winner for v in said] == ["second", "second", "first", "first", "second"]
    assert judge.identity["kind"] == "panel"
    assert [one["function"] for one in judge.identity["judges"]] == [
        *("shorter", "length", "left")
    ]


def test_the_majority_decides() -> None:
    """Two of three; where one prefers the other and one contradicts itself, nobody."""
    two = decide(verdicts_of(panel("shorter", "Shorter", "length"), PAIR)[0], 0.0)
    none = decide(verdicts_of(panel("shorter", "length", "left"), PAIR)[0], 0.0)

    assert isinstance(two, Label) and two.chosen == "second"
    assert isinstance(none, Dropped) and none.reason == Reason.NO_MAJORITY
    assert none.detail == f"second; first; {Reason.DISAGREED}"


@pytest.mark.parametrize(
    ("panel_of", "says"),
    [
        (["python:prefer:shorter"], "is in the panel more than once"),
        (["human"], "people .human. cannot be among"),
        (["python:prefer:length", "python:prefer:length"], "more than once"),
    ],
)
def test_nobody_judges_twice_and_people_are_asked_apart(
    panel_of: list[str], says: str
) -> None:
    """Each is refused before anything is loaded."""
    with pytest.raises(UsageError, match=says):
        Settings(judge="python:prefer:shorter", judge_panel=panel_of)
    with pytest.raises(UsageError, match="people"):
        Settings(judge="human", judge_panel=["python:prefer:shorter"])


def test_one_model_under_two_names_is_one_judge(toy: Path, here: Path) -> None:
    """Its weights tell."""
    link = here / "link"
    link.symlink_to(toy)

    with pytest.raises(UsageError, match="the panel has one judge twice"):
        judge_of(str(toy), judge_panel=[str(link)])


def parts(toy: Path, data: Path, place: Path) -> dict[str, Any]:
    """A run that is judged by its own base, a reward model and a function."""
    reward = toy_reward(place / "reward")
    return {
        "model": str(toy),
        "data": str(data),
        "judge": str(toy),
        "judge_panel": [f"reward:{reward}", "python:prefer:shorter"],
        "escalate_below": None,
    }


def test_a_panel_judges_a_run_which_resumes_exactly(
    opinionated: Path, data: Path, here: Path
) -> None:
    """One of it shares the policy's base; the journal says who judged, and passes."""
    settings = parts(opinionated, data, here)
    whole, halves = here / "whole", here / "halves"
    with opened(whole, **settings) as run:
        base: Any = run.judge
        shared = next(m for m in base._members if isinstance(m, ModelJudge))
        assert shared._scorer.model is run.policy.model
        train(run)
        ended = state(run)
    for watch in (Listener(stop_after=1), Listener()):
        with opened(halves, watch, **settings) as run:
            train(run)
            resumed = state(run)

    assert resumed == ended
    opening = next(r for r in records(whole) if isinstance(r, RunOpened))
    kinds = [one["kind"] for one in opening.judge["judges"]]
    assert kinds == ["model", "reward", "python"]
    said = [r.judge["kind"] for r in records(whole) if isinstance(r, Verdict)]
    assert said[:5] == ["model", "model", "reward", "python", "python"]
    for folder in (whole, halves):
        assert audit(folder).checked["read_verdicts"] == len(said)


def test_how_often_a_panel_is_divided_is_measured(
    opinionated: Path, data: Path, here: Path
) -> None:
    """Of each step, and the audit takes it again."""
    names = [f"python:prefer:{name}" for name in ("shorter", "length", "later")]
    wanted = {"judge": names[0], "judge_panel": names[1:], "judge_orders": 2}
    with opened(
        here / "run", model=str(opinionated), data=str(data), iters=2, **wanted
    ) as run:
        train(run)
        metrics = [step.metrics for step in steps(here / "run")]
        dropped = run.ledger.dropped[Reason.NO_MAJORITY]

    assert dropped and any(m.get("judge/no_majority_rate") for m in metrics)
    audit(here / "run")


def test_a_panel_that_is_unsure_asks_people(
    opinionated: Path, data: Path, here: Path
) -> None:
    """Its sureness is its judges' mean; without a majority there is no sureness."""
    settings = parts(opinionated, data, here) | {"escalate_below": 0.9, "iters": 1}
    with opened(here / "run", Listener(), **settings, max_waiting=3) as run:
        run.patient = False
        with pytest.raises(Exception, match="wait"):
            train(run)
        asked = run.ledger.asked

    assert asked > 0
    audit(here / "run")
