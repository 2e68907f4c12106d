"""A failure never becomes a label, whoever judges.

On some third of the pairs each judge here puts out garbage: those in which a completion
has one of some characters, which stand nowhere else.  A toy writes them by chance.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from onlinedpo.engine.judges import server as servers
from onlinedpo.engine.loop import train
from onlinedpo.journal.audit.auditing import audit
from onlinedpo.states.records import Reason, Sampled, Verdict
from tests.engine.runs import Listener, opened, records, sampled, state, steps
from tests.engine.scorers import module, reweighed, toy_reward, weights_of
from tests.engine.stub import Answer, Call, Stub, by_text, says
from tests.toys import SPECIALS, toy_model

GARBAGE = "!\"#$%&'()*+"
KINDS = (
    *("model", "reward", "pairwise", "reward function"),
    *("http", "http that reasons", "panel"),
)
FUNCTIONS = f'''
GARBAGE = {GARBAGE!r}


def garbled(*texts):
    """Whether it has no idea."""
    return any(letter in text for text in texts for letter in GARBAGE)


def later(prompts, completions):
    """Pairwise: what comes later in the alphabet."""
    return [-1 if garbled(a, b) else int(b > a) for a, b in completions]


def longer(prompts, completions, **kwargs):
    """Reward: a point for each character."""
    return [float("nan") if garbled(c) else float(len(c)) for c in completions]
'''


def garbled(pair: Sampled) -> bool:
    """Whether a judge can have no idea of a pair."""
    return any(letter in pair.first.text + pair.second.text for letter in GARBAGE)


def spoilt(folder: Path) -> str:
    """A model that makes nothing of some characters: their embeddings are NaN."""
    weights = weights_of(folder)
    tokens = mx.arange(260)[:, None]
    # The alphabet's first letters, in this order, follow the special tokens.
    first = len(SPECIALS)
    bad = (tokens >= first) & (tokens < first + len(GARBAGE))
    name = "model.embed_tokens.weight"
    weights[name] = mx.where(bad, float("nan"), weights[name])
    reweighed(folder, weights)
    return str(folder)


def answers(call: Call) -> Answer:
    """What a server says in letters."""
    if any(letter in text for text in call.shown for letter in GARBAGE):
        return says("Both have their merits.", top=[("Both", -0.1), ("They", -3.0)])
    return by_text(call)


def reasons(call: Call) -> Answer:
    """What a server says that reasons first."""
    if any(letter in text for text in call.shown for letter in GARBAGE):
        return says("A is good. B is good. I cannot say.")
    a, b = call.shown
    return says(f"I have thought.\n\nVerdict: {'A' if a > b else 'B'}")


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    """A server."""
    monkeypatch.setattr(servers, "_FIRST_DELAY", 0.0)
    with Stub(answers).running() as running:
        yield running


@pytest.fixture(params=KINDS)
def judge(
    request: pytest.FixtureRequest, tmp_path: Path, stub: Stub
) -> Iterator[dict[str, Any]]:
    """The settings of a judge of each kind."""
    functions = ["python:faulty:later", "python:faulty:longer"]
    served: dict[str, Any] = {"judge": stub.url, "judge_model": "m", "judge_retries": 1}
    match request.param:
        case "model":
            folder = toy_model(tmp_path / "judge", seed=5, opinionated=True)
            # With both orders, this toy contradicts itself on all others.
            wanted: dict[str, Any] = {"judge": spoilt(folder), "judge_orders": 1}
        case "reward":
            wanted = {"judge": f"reward:{spoilt(toy_reward(tmp_path / 'judge'))}"}
        case "pairwise":
            wanted = {"judge": functions[0]}
        case "reward function":
            wanted = {"judge": functions[1]}
        case "http":
            wanted = served
        case "http that reasons":
            stub.script = reasons
            wanted = served | {"judge_mode": "generate"}
        case _:
            wanted = served | {"judge_panel": functions}
    with module(tmp_path / "here", FUNCTIONS, "faulty"):
        yield wanted


def test_no_failure_reaches_a_step_and_the_run_resumes_exactly(
    judge: dict[str, Any], toy: Path, data: Path, tmp_path: Path
) -> None:
    """Not a garbled pair is trained on; each is dropped as one that failed."""
    settings = {"model": str(toy), "data": str(data), "iters": 2, **judge}
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    with opened(whole, **settings) as run:
        train(run)
        ended = state(run)
    for watch in (Listener(stop_after=1), Listener()):
        with opened(halves, watch, **settings) as run:
            train(run)
            resumed = state(run)

    assert resumed == ended
    pairs = {pair.ticket: pair for pair in sampled(whole)}
    trained = {ticket for step in steps(whole) for ticket in step.tickets}
    without = {n for n, pair in pairs.items() if garbled(pair)}
    assert without and trained and not without & trained
    failed = {verdict.ticket for verdict in said(whole) if verdict.winner is None}
    assert without <= failed
    assert audit(whole).checked["read_verdicts"] == len(said(whole))


def said(folder: Path) -> list[Verdict]:
    """All verdicts of a run."""
    return [record for record in records(folder) if isinstance(record, Verdict)]


def test_what_failed_is_told_as_such(toy: Path, data: Path, tmp_path: Path) -> None:
    """In the drop, and in the verdict with what came back."""
    with (
        module(tmp_path / "here", FUNCTIONS, "faulty"),
        opened(
            tmp_path / "run",
            model=str(toy),
            data=str(data),
            judge="python:faulty:longer",
        ) as run,
    ):
        train(run)

    reasons_of = run.ledger.dropped
    assert reasons_of[Reason.FAILED] > 0
    one = next(v for v in said(tmp_path / "run") if v.winner is None)
    assert "completion is NaN" in one.failure
    assert any(score != score for score in json.loads(one.raw))
