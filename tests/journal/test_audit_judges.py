"""Lies about what judges said, of every kind that is no model: each is caught."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.engine.loop import train
from onlinedpo.journal.audit.auditing import audit
from onlinedpo.states.errors import AuditFailed
from onlinedpo.states.records import RunOpened, Sampled, Verdict
from tests.engine.runs import opened
from tests.engine.scorers import module, toy_reward
from tests.journal.forging import Forger
from tests.toys import prompts_file, toy_model

Lie = Callable[[Forger], int]


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs by the kind of their judge; nothing writes to them."""
    place = tmp_path_factory.mktemp("honest")
    model = str(toy_model(place / "model"))
    data = str(prompts_file(place / "data", 9))
    reward = f"reward:{toy_reward(place / 'scorer')}"
    kinds: dict[str, dict[str, Any]] = {
        "pairwise": {"judge": "python:prefer:unsure"},
        "scores": {"judge": "python:prefer:patchy"},
        "reward": {"judge": reward},
        "panel": {
            "judge": "python:prefer:shorter",
            "judge_panel": ["python:prefer:length", reward],
        },
    }
    with module(place / "here"):
        for name, judge in kinds.items():
            wanted = {"model": model, "data": data, "iters": 2, **judge}
            with opened(place / name, **wanted) as run:
                train(run)
    return place


@pytest.fixture
def forger(
    request: pytest.FixtureRequest, honest: Path, tmp_path: Path
) -> Iterator[Forger]:
    """A copy of the run that the test names."""
    shutil.copytree(honest / request.param, tmp_path / "run")
    yield Forger(tmp_path / "run")


def won(verdict: Verdict) -> bool:
    """Whether it names a winner."""
    return verdict.winner in ("first", "second")


def failed(verdict: Verdict) -> bool:
    """Whether it names none."""
    return verdict.winner is None


def by(kind: str) -> Callable[[Verdict], bool]:
    """Whether a verdict is a judge's of a kind."""
    return lambda verdict: verdict.judge["kind"] == kind


def changed(which: Callable[[Verdict], bool] = won, **fields: Any) -> Lie:
    """A verdict with other fields."""
    return lambda forger: forger.change(Verdict, 0, which, **fields)


def other(winner: str) -> str:
    """The other side."""
    return {"first": "second", "second": "first"}[winner]


def reversed_scores(raw: str) -> str:
    """The scores, swapped."""
    return json.dumps(json.loads(raw)[::-1])


def without(which: Callable[[Verdict], bool]) -> Lie:
    """A verdict that is left out."""

    def lie(forger: Forger) -> int:
        number, batch, place = forger.find(Verdict, 0, which)
        del batch[place]
        return number

    return lie


def twice(which: Callable[[Verdict], bool], **fields: Any) -> Lie:
    """A verdict that is there again."""

    def lie(forger: Forger) -> int:
        number, batch, place = forger.find(Verdict, 0, which)
        said = batch[place]
        assert isinstance(said, Verdict)
        batch.insert(place + 1, replace(said, **fields))
        return number

    return lie


def reworded(forger: Forger) -> int:
    """A completion that reads otherwise than the reward model was shown."""

    def changed(completion: Any) -> Any:
        return replace(completion, text=completion.text + "!")

    forger.change(Sampled, 0, first=changed)
    return forger.find(Verdict)[0]


def renamed(key: str, value: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Who a judge is, but for one thing."""
    return lambda judge: {**judge, key: value}


LIES: list[tuple[str, str, Lie, str]] = [
    ("pairwise", "winner", changed(winner=other), "winner"),
    (
        "pairwise",
        "choice",
        changed(raw=lambda raw: "10"["10".index(raw) - 1]),
        "winner",
    ),
    ("pairwise", "invented", changed(failed, winner="first", failure=""), "winner"),
    ("pairwise", "raw", changed(failed, raw="0"), "winner"),
    ("pairwise", "failure", changed(failed, failure="it slept"), "failure"),
    ("pairwise", "chances", changed(logprobs=(-0.1, -2.4)), "raw"),
    ("pairwise", "prompt", changed(prompt="Prefer the first."), "prompt"),
    ("pairwise", "source", changed(judge=renamed("source", "ab" * 32)), "judge.source"),
    ("pairwise", "function", changed(judge=renamed("id", "python:a:b")), "judge.id"),
    ("pairwise", "parser", changed(judge=renamed("parser", 4)), "judge.parser"),
    ("pairwise", "attempt", changed(attempt=2), "attempt"),
    ("pairwise", "again", twice(failed, attempt=2), ""),
    ("pairwise", "one order", without(won), ""),
    ("scores", "winner", changed(winner=other), "winner"),
    ("scores", "scores", changed(raw=reversed_scores), "winner"),
    ("scores", "chances", changed(logprobs=lambda old: (old[0] / 2, old[1])), "raw"),
    ("scores", "invented", changed(failed, raw="[2.0, 1.0]"), "winner"),
    ("scores", "tie", changed(winner="tie"), "winner"),
    ("scores", "order", changed(shown="second-first"), "shown"),
    ("scores", "both orders", twice(won, shown="second-first"), ""),
    ("reward", "winner", changed(winner=other), "winner"),
    ("reward", "scores", changed(raw=reversed_scores), "winner"),
    ("reward", "chances", changed(logprobs=()), "raw"),
    ("reward", "weights", changed(judge=renamed("weights", "ab")), "judge.weights"),
    ("reward", "words", reworded, "prompt"),
    ("reward", "prompt", changed(prompt=lambda old: old[1:]), "prompt"),
    ("reward", "none", without(won), ""),
    ("panel", "winner", changed(by("reward"), winner=other), "winner"),
    ("panel", "missing judge", without(by("reward")), ""),
    ("panel", "twice", twice(by("reward")), ""),
    ("panel", "impostor", changed(judge=renamed("id", "python:x:y")), "judge.id"),
]


@pytest.mark.parametrize(
    ("forger", "lie", "field"),
    [
        pytest.param(kind, lie, field, id=f"{kind}: {name}")
        for kind, name, lie, field in LIES
    ],
    indirect=["forger"],
)
def test_a_lie_is_named_with_its_field(forger: Forger, lie: Lie, field: str) -> None:
    """By frame, and by what is not as it follows."""
    number = lie(forger)
    forger.write()

    with pytest.raises(AuditFailed, match=f"frame {number}\\b") as found:
        audit(forger.run)
    assert found.value.facts["kind"] == "verdict"
    if field:
        assert found.value.facts["field"] == field


@pytest.mark.parametrize("kind", ["pairwise", "scores", "reward", "panel"])
def test_an_honest_run_passes(kind: str, honest: Path) -> None:
    """Every verdict was read again."""
    found = audit(honest / kind)

    assert found.checked["read_verdicts"] == found.kinds[Verdict] > 0
    assert not found.checked["unread_verdicts"]


@pytest.mark.parametrize("forger", ["panel"], indirect=True)
def test_judges_of_a_panel_come_in_their_order(forger: Forger) -> None:
    """As the run's opening has them."""
    forger.change(
        RunOpened,
        judge=lambda old: {**old, "judges": [*old["judges"]][::-1]},
    )
    forger.write()

    with pytest.raises(AuditFailed, match="judge"):
        audit(forger.run)
