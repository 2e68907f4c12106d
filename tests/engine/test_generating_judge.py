"""The model judge that reasons: all it writes is kept, and its last line counts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.engine.judges.comparison import Comparison
from onlinedpo.engine.judges.generating import GeneratingJudge
from onlinedpo.engine.loop import train
from onlinedpo.engine.models import policy as policies
from onlinedpo.engine.models.identity import identify
from onlinedpo.journal.audit.auditing import audit
from onlinedpo.states import given
from onlinedpo.states.records import Label, RunOpened, Sampled, Verdict
from onlinedpo.states.rederive.judging import Verdicts
from onlinedpo.states.rederive.mismatch import Mismatch
from tests.engine.kit import some_pairs
from tests.engine.reasoner import reasoner
from tests.engine.runs import Listener, opened, records, state

ASKED = [
    Comparison(i, ({"role": "user", "content": f"Question {i}?"},), "yes" * i, "no")
    for i in range(8)
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One that says A or B, one that also shrugs, and one that thinks first."""
    place = tmp_path_factory.mktemp("reasoners")
    return {
        "plain": reasoner(place / "plain"),
        "shrugs": reasoner(place / "shrugs", shrugs=10.5),
        "thinks": reasoner(place / "thinks", thinks=True),
    }


def judge_of(model: Path, **wanted: Any) -> GeneratingJudge:
    """A judge with weights of its own."""
    base, tokenizer = policies.load(identify(str(model)))
    plain: dict[str, Any] = {
        "identity": identify(str(model)).as_dict(),
        "rubric": "Be kind.",
        "orders": 2,
        "seed": 0,
        "max_tokens": 12,
        "temperature": 1.0,
        "retries": 2,
    }
    return GeneratingJudge(base, tokenizer, **{**plain, **wanted})


def flat(verdicts: list[list[Verdict]]) -> list[Verdict]:
    """All of them."""
    return [verdict for of_pair in verdicts for verdict in of_pair]


def said(verdict: Verdict) -> str:
    """What the judge wrote."""
    return str(json.loads(verdict.raw)["content"])


def test_what_it_wrote_is_kept_and_read_by_its_last_line(
    models: dict[str, Path],
) -> None:
    """In both orders, each verdict in the coordinates of the pair."""
    judge = judge_of(models["plain"])

    verdicts = flat(judge.judge(ASKED))

    winners = set()
    for verdict in (v for v in verdicts if v.winner):
        letter = (
            "A" if (verdict.winner == "first") == (verdict.shown[0] == "f") else "B"
        )
        assert said(verdict) == f"Verdict: {letter}"
        assert verdict.logprobs == ()
        winners.add(verdict.winner)
    assert winners == {"first", "second"}
    asked = verdicts[0]
    assert asked.judge["frame"] == asked.judge["parser"] == 2
    assert "one of these three:\nVerdict: A\nVerdict: B\nVerdict: tie" in asked.prompt
    assert judge._tokenizer.decode(list(asked.prompt_tokens)) == asked.prompt


def test_what_it_writes_depends_on_seed_pair_order_and_attempt_alone(
    models: dict[str, Path],
) -> None:
    """Not on batch mates, nor on what it was asked before."""
    judge = judge_of(models["shrugs"])

    together = judge.judge(ASKED)

    alone = [judge.judge([asked])[0] for asked in reversed(ASKED)][::-1]
    for one, other in zip(together, alone, strict=True):
        assert [said(v) for v in one] == [said(v) for v in other]
    another = flat(judge_of(models["shrugs"], seed=1).judge(ASKED))
    assert [said(v) for v in flat(together)] != [said(v) for v in another]


def test_it_is_asked_again_where_it_gave_no_verdict(models: dict[str, Path]) -> None:
    """Each attempt is a verdict; at temperature 0 only the first is not drawn."""
    judge = judge_of(models["shrugs"], temperature=0.0)

    verdicts = judge.judge(ASKED)
    assert any(verdict.winner for verdict in flat(verdicts))
    for of_pair in verdicts:
        for shown in ("first-second", "second-first"):
            attempts = [v for v in of_pair if v.shown == shown]
            assert [v.attempt for v in attempts] == [*range(1, len(attempts) + 1)]
            assert said(attempts[0]) == "Hm." and len(attempts) > 1
            assert all(v.failure and v.winner is None for v in attempts[:-1])
            assert attempts[-1].winner or len(attempts) == 3

    never = flat(judge_of(models["shrugs"], temperature=0.0, retries=0).judge(ASKED))
    assert all(v.winner is None and v.attempt == 1 for v in never)


def test_an_answer_that_was_cut_off_is_none(models: dict[str, Path]) -> None:
    """Even where the last thing that it said is a verdict."""
    for verdict in flat(
        judge_of(models["plain"], max_tokens=1, retries=0).judge(ASKED)
    ):
        assert verdict.winner is None and "cut off" in verdict.failure


def test_thinking_is_turned_on_and_kept_and_does_not_count(
    models: dict[str, Path],
) -> None:
    """By templates that have it; the prompt begins it, and the answer ends it."""
    verdicts = flat(judge_of(models["thinks"]).judge(ASKED))

    assert all(verdict.prompt.endswith("assistant\n<think>") for verdict in verdicts)
    decided = [verdict for verdict in verdicts if verdict.winner]
    assert decided
    for verdict in decided:
        assert said(verdict).startswith("</think>Verdict: ")
        assert json.loads(verdict.raw)["opened"] == "<think>"


def go_on(folder: Path, watch: Listener | None = None, /, **wanted: Any) -> str:
    """Begin a run, or go on with it, to its end; digest of its state."""
    with opened(folder, watch, **wanted) as run:
        train(run)
        return state(run)


@pytest.fixture
def settings(models: dict[str, Path], data: Path) -> dict[str, Any]:
    """A small run of which the policy's own base is the judge."""
    return {
        "model": str(models["shrugs"]),
        "judge": str(models["shrugs"]),
        "data": str(data),
        "judge_mode": "generate",
        "judge_max_tokens": 12,
        "judge_temperature": 1.0,
        "judge_orders": 1,
        "iters": 2,
    }


def test_a_run_judged_by_reasons_resumes_and_passes_its_audit(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    """Interrupted or not it ends the same, and each label has a readable answer."""
    whole, run = tmp_path / "whole", tmp_path / "run"
    wanted = go_on(whole, **settings)
    go_on(run, Listener(stop_after=1), **settings)

    assert go_on(run) == wanted
    report = audit(run)
    facts = records(run)
    verdicts = [record for record in facts if isinstance(record, Verdict)]
    assert report.checked["read_verdicts"] == len(verdicts)
    assert any(verdict.attempt > 1 for verdict in verdicts)
    last = {verdict.ticket: verdict.winner for verdict in verdicts}
    for label in (record for record in facts if isinstance(record, Label)):
        assert last[label.ticket] == label.chosen

    pairs = {r.ticket: r for r in facts if isinstance(r, Sampled)}
    [begun] = [r for r in facts if isinstance(r, RunOpened)]
    mine = [v for v in verdicts if v.ticket == verdicts[0].ticket]
    ended = mine[-1]
    for forged in (
        replace(ended, raw='{"content": "Verdict: tie", "finish_reason": "stop"}'),
        replace(ended, logprobs=(-0.1, -2.0)),
        replace(ended, prompt=ended.prompt.replace("Think about it", "Guess")),
        replace(ended, attempt=ended.attempt + 1),
    ):
        reader, in_force = Verdicts(), given.in_force(begun.settings)
        reader.judged_by(begun, in_force)
        with pytest.raises(Mismatch):
            one = {ended.ticket: pairs[ended.ticket]}
            reader.check([*mine[:-1], forged], one, in_force, None)


def test_the_judge_does_not_learn_with_the_policy(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    """Sharing its base, it reasons with the adapters off: after training as before."""
    with opened(tmp_path / "run", **settings) as run:
        assert run.judge is not None
        before = run.judge.judge(ASKED)
        for index in (1, 2, 3):
            run.learner.step(some_pairs(4, seed=index), index)
        after = run.judge.judge(ASKED)

    assert [v.raw for v in flat(before)] == [v.raw for v in flat(after)]
