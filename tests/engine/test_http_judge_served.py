"""The real mlx_lm.server as judge: killed and restarted, it changes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from onlinedpo.engine import demo
from onlinedpo.engine.demo.pairs import draw_pair
from onlinedpo.engine.judges.comparison import Comparison
from onlinedpo.engine.judges.http import http_judge
from onlinedpo.engine.judges.model import ModelJudge
from onlinedpo.engine.loop import train
from onlinedpo.engine.models import policy as policies
from onlinedpo.engine.models.identity import identify
from onlinedpo.journal.audit.auditing import audit
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import JudgeUnreachable
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import Label, Verdict
from tests.engine.runs import Listener, opened, records, state
from tests.engine.served import Served
from tests.processes import final_bytes, onlinedpo, start


@pytest.fixture
def server(opinionated: Path) -> Iterator[Served]:
    """It has the toy model that answers A or B."""
    served = Served(opinionated)
    served.start()
    yield served
    served.kill()


def go_on(run: Path, watch: Listener | None = None, /, **wanted: Any) -> str:
    """Begin a run, or go on with it, to its end; digest of its state."""
    with opened(run, watch, **wanted) as it:
        train(it)
        return state(it)


def of_kind(run: Path, kind: type[Any]) -> list[Any]:
    """The facts of a kind in a run's journal."""
    return [record for record in records(run) if isinstance(record, kind)]


def chosen(run: Path) -> list[tuple[int, str | None]]:
    """The labels of a run."""
    return [(label.ticket, label.chosen) for label in of_kind(run, Label)]


def test_the_server_dies_during_a_run_and_comes_back(
    tmp_path: Path, server: Served, toy: Path, data: Path
) -> None:
    """The same labels and the same adapter as with a server that never died."""
    settings = {
        "model": str(toy),
        "data": str(data),
        "judge": server.url,
        "judge_model": "default_model",
        "judge_attempts": 1,
        # In both, what it says of noise depends on the order alone.
        "judge_orders": 1,
        "iters": 2,
    }
    wanted = go_on(tmp_path / "whole", **settings)

    class Killing(Listener):
        """Kills the server when the second batch is about to be judged."""

        def doing(self, what: str, ledger: Ledger | None = None) -> None:
            if what.startswith("judging") and ledger and ledger.steps == 1:
                server.kill()

    run = tmp_path / "run"
    with pytest.raises(JudgeUnreachable):
        go_on(run, Killing(), **settings)
    before = of_kind(run, Verdict)
    audit(run)
    server.start()

    assert go_on(run) == wanted
    assert chosen(run) == chosen(tmp_path / "whole") and chosen(run)
    assert of_kind(run, Verdict)[: len(before)] == before
    assert all(verdict.logprobs for verdict in of_kind(run, Verdict))
    audit(run)


@pytest.fixture(scope="module")
def demo_server() -> Iterator[Served]:
    """It has the model of the demo."""
    served = Served(demo.MODEL)
    served.start()
    yield served
    served.kill()


@pytest.mark.slow
def test_processes_and_servers_are_killed_and_the_end_is_the_same(
    tmp_path: Path, demo_server: Served
) -> None:
    """`onlinedpo run` leaves with code 9, and goes on to the same bytes."""
    flags = [
        *("--demo", "--judge", demo_server.url, "--judge-model", "default_model"),
        *("--judge-attempts", "2", "--iters", "6", "--batch-size", "4"),
        *("--val-prompts", "4", "--steps-per-eval", "3"),
    ]
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert onlinedpo("run", whole, *flags).code == 0

    process = start("run", run, *flags)
    metrics = run / "metrics.jsonl"
    while not metrics.exists() or '"step": 2' not in metrics.read_text():
        assert process.poll() is None
        time.sleep(0.02)
    demo_server.kill()
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 9
    assert f"the judge at {demo_server.url} cannot be reached" in output
    assert "Traceback" not in output
    assert onlinedpo("audit", run).code == 0
    again = onlinedpo("run", run)
    assert again.code == 9 and "it is tried again" in again.output

    demo_server.start()
    assert onlinedpo("run", run).code == 0
    assert final_bytes(run) == final_bytes(whole)
    assert chosen(run) == chosen(whole)
    assert onlinedpo("audit", run).code == 0


@pytest.mark.slow
def test_the_server_judges_as_the_model_does_here(demo_server: Served) -> None:
    """Its half precision and its tokenizer change next to nothing."""
    chance = Random(1)
    drawn = [draw_pair(chance, aim="polite") for _ in range(60)]
    asked = [
        Comparison(i, ({"role": "user", "content": p.question},), p.better, p.worse)
        for i, p in enumerate(drawn)
    ]
    rubric, url = demo.RUBRIC, demo_server.url
    settings = Settings(judge=url, judge_model="default_model", judge_system=rubric)
    model, tokenizer = policies.load(identify(str(demo.MODEL)))
    here = ModelJudge(
        model,
        tokenizer,
        identity=identify(str(demo.MODEL)).as_dict(),
        rubric=rubric,
        orders=2,
        seed=0,
    ).judge(asked)
    there = http_judge(settings, url).judge(asked)

    both = [
        (one.winner, other.winner)
        for of_one, of_other in zip(here, there, strict=True)
        for one, other in zip(of_one, of_other, strict=True)
    ]
    assert sum(one == other for one, other in both) >= 0.97 * len(both)
