"""Runs whose judge is behind a server that dies, babbles and comes back.

Here the server answers as the tests want; in `test_http_judge_served` it is mlx_lm's.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from onlinedpo.engine.judges import server as servers
from onlinedpo.engine.loop import run as program
from onlinedpo.engine.loop import train
from onlinedpo.engine.models import policy as policies
from onlinedpo.engine.models.identity import identify
from onlinedpo.engine.rejudge.rejudging import rejudge
from onlinedpo.engine.rejudge.request import Request
from onlinedpo.engine.sampler import Request as Draw
from onlinedpo.engine.sampler import Sampler
from onlinedpo.journal.audit.auditing import audit
from onlinedpo.states import given
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import JudgeUnreachable, SettingsChanged, UsageError
from onlinedpo.states.records import Label, RunOpened, Sampled, Side, Verdict
from onlinedpo.states.rederive.judging import Verdicts
from onlinedpo.states.rederive.mismatch import Mismatch
from tests.engine.runs import Listener, opened, records, state
from tests.engine.stub import Answer, Call, Stub, by_text, hangs, refuses, says

KEY = "sk-not-for-the-journal"


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    """A server that prefers by the alphabet."""
    monkeypatch.setattr(servers, "_FIRST_DELAY", 0.0)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with Stub(by_text).running() as running:
        yield running


@pytest.fixture
def settings(toy: Path, data: Path, stub: Stub) -> dict[str, Any]:
    """A small run judged by it."""
    return {
        "model": str(toy),
        "data": str(data),
        "judge": stub.url,
        "judge_model": "m",
        "judge_key_env": "OPENAI_API_KEY",
        "judge_attempts": 2,
        "judge_concurrency": 2,
        "iters": 2,
    }


def go_on(folder: Path, watch: Listener | None = None, /, **wanted: Any) -> str:
    """Begin a run, or go on with it, to its end; digest of its state."""
    with opened(folder, watch, **wanted) as run:
        train(run)
        return state(run)


def labels(folder: Path) -> list[tuple[int, str | None]]:
    """What became of each pair."""
    return [(r.ticket, r.chosen) for r in records(folder) if isinstance(r, Label)]


def verdicts(folder: Path) -> list[Verdict]:
    """All verdicts of a run."""
    return [record for record in records(folder) if isinstance(record, Verdict)]


def test_a_server_judges_a_run(
    tmp_path: Path, stub: Stub, settings: dict[str, Any]
) -> None:
    """Every verdict can be read again, and the key stands nowhere."""
    run = tmp_path / "run"
    go_on(run, val_prompts=2, **settings)

    report = audit(run)
    assert report.checked["read_verdicts"] == len(verdicts(run)) == 12
    assert stub.calls[-1].headers["Authorization"] == f"Bearer {KEY}"
    files = [path for path in run.rglob("*") if path.is_file()]
    assert files and not any(KEY.encode() in path.read_bytes() for path in files)


def test_calls_are_in_flight_while_the_policy_samples(
    tmp_path: Path, stub: Stub, settings: dict[str, Any]
) -> None:
    """Before anything is to be judged, all that will be has been asked."""
    begun = 1

    class Watch(Listener):
        def doing(self, what: str, ledger: Any = None) -> None:
            if what.startswith("judging"):
                stub.wait_for(begun + 2 * 3)

    go_on(tmp_path / "run", Watch(), **{**settings, "iters": 1})
    assert len(stub.calls) == begun + 2 * 3


def test_a_pair_is_there_before_its_batch_is(toy: Path) -> None:
    """The sampler tells of each prompt's completions as soon as both have ended."""
    model, tokenizer = policies.load(identify(str(toy)))
    limits: dict[str, Any] = {"max_seq_length": 40, "max_completion_length": 30}
    sampler = Sampler(model, tokenizer, Settings(**limits))
    # The longer a prompt, the less room there is for completions.
    requests = [Draw([5] * length, [length, length + 1]) for length in (3, 38, 20)]
    told: list[tuple[int, Any]] = []

    drawn = sampler.sample(requests, lambda place, both: told.append((place, both)))

    assert [place for place, _ in told] == [1, 2, 0]
    assert all(both == drawn[place] for place, both in told)


@pytest.mark.parametrize("dies_after", [4, 7])
def test_a_server_that_dies_and_comes_back_changes_nothing(
    tmp_path: Path, stub: Stub, settings: dict[str, Any], dies_after: int
) -> None:
    """What came is kept, the rest is asked again, and the end is the same."""
    whole, run = tmp_path / "whole", tmp_path / "run"
    wanted = go_on(whole, **settings)
    begun = len(stub.calls)

    def dying(call: Call) -> Answer:
        alive = call.number - begun < 1 + dies_after
        return by_text(call) if alive else refuses(503, "gone")

    stub.script = dying
    with pytest.raises(JudgeUnreachable) as unreachable:
        go_on(run, **settings)
    assert unreachable.value.exit_code == 9
    before = verdicts(run)
    assert len(before) <= dies_after
    assert dies_after < 7 or before
    audit(run)

    stub.script = by_text
    assert go_on(run) == wanted
    assert labels(run) == labels(whole)
    assert verdicts(run)[: len(before)] == before
    asked = [(v.ticket, v.shown) for v in verdicts(run)]
    assert len(asked) == len(set(asked)) == len(verdicts(whole))
    audit(run)


def test_what_cannot_be_read_is_never_trained_on(
    tmp_path: Path, stub: Stub, settings: dict[str, Any]
) -> None:
    """A judge that mostly babbles: each label stands on two readable answers."""

    def script(call: Call) -> Answer:
        kind = crc32(call.question.encode()) % 5
        babble = [says("Both!"), Answer(body=b"<html>"), says("A", finish="length")]
        return babble[kind] if kind < 3 and "seed" not in call.body else by_text(call)

    stub.script = script
    run = tmp_path / "run"
    go_on(run, **settings)

    by_pair: dict[int, list[Verdict]] = {}
    for verdict in verdicts(run):
        by_pair.setdefault(verdict.ticket, []).append(verdict)
    assert any(v.failure for v in verdicts(run))
    for ticket, chosen in labels(run):
        last = {v.shown: v.winner for v in by_pair[ticket]}
        assert set(last.values()) == {chosen}
    audit(run)


def test_ctrl_c_leaves_at_once_and_keeps_what_came(
    tmp_path: Path, stub: Stub, settings: dict[str, Any]
) -> None:
    """The run ends without an error, and goes on where it was."""
    free = threading.Event()

    class Leaving(Listener):
        judging = False

        def doing(self, what: str, ledger: Any = None) -> None:
            self.judging = what.startswith("judging")

        def asked_to_stop(self) -> bool:
            return self.judging and len(stub.calls) > 4

    stub.script = lambda call: by_text(call) if call.number < 4 else hangs(free)
    run = tmp_path / "run"
    plain = {"iters": 2, "val_prompts": 0, "max_completion_length": 6, "batch_size": 3}
    try:
        ledger = program(run, {**settings, **plain, "judge_concurrency": 1}, Leaving())
    finally:
        free.set()

    assert ledger.steps == 0
    assert len(verdicts(run)) == 2
    stub.script = by_text
    assert program(run, {}, Listener()).steps == 2
    audit(run)


def test_a_run_goes_on_at_another_address_with_the_same_model(
    tmp_path: Path, stub: Stub, settings: dict[str, Any]
) -> None:
    """The address may change and the model may not."""
    run = tmp_path / "run"
    go_on(run, Listener(stop_after=1), **settings)
    with pytest.raises(SettingsChanged, match=r"the judge changed.*model"):
        go_on(run, judge_model="another")
    with Stub(by_text).running() as other:
        go_on(run, judge=other.url, judge_attempts=1)
        assert {v.judge["id"] for v in verdicts(run)} == {stub.url, other.url}
    audit(run)


def test_nothing_is_made_where_the_server_cannot_be_asked(
    tmp_path: Path, stub: Stub, settings: dict[str, Any]
) -> None:
    """A new run tries it first."""
    stub.script = lambda call: refuses(401, "bad key")
    with pytest.raises(Exception, match="HTTP 401 bad key"):
        go_on(tmp_path / "run", **settings)
    with pytest.raises(UsageError, match="holds more than scheme"):
        go_on(tmp_path / "run", **settings | {"judge": "http://me:pw@localhost"})
    assert not (tmp_path / "run").exists()


def test_a_forged_verdict_of_a_server_is_named(
    tmp_path: Path, stub: Stub, settings: dict[str, Any]
) -> None:
    """By whatever of it does not follow from what came."""
    run = tmp_path / "run"
    go_on(run, **settings)
    facts = records(run)
    pairs = {r.ticket: r for r in facts if isinstance(r, Sampled)}
    first, *rest = verdicts(run)
    [begun] = [r for r in facts if isinstance(r, RunOpened)]

    def read(*said: Verdict) -> None:
        reader, in_force = Verdicts(), given.in_force(begun.settings)
        reader.judged_by(begun, in_force)
        asked = {t: p for t, p in pairs.items() if t in {v.ticket for v in said}}
        reader.check(said, asked, in_force, None)

    read(first, *rest)
    other: Side = "second" if first.winner == "first" else "first"
    surer = (first.logprobs[0] + 1.0, first.logprobs[1])
    for forged, field in (
        (replace(first, winner=other), "winner"),
        (replace(first, logprobs=surer), "raw"),
        (replace(first, raw='{"content": "A"}'), "winner"),
        (replace(first, prompt=first.prompt.replace("Answer A", "Best")), "prompt"),
        (replace(first, attempt=2), "attempt"),
        (replace(first, judge={**first.judge, "model": "x"}), "judge.model"),
    ):
        with pytest.raises(Mismatch, match=field):
            read(forged, *rest)
    with pytest.raises(Mismatch):
        read(first, first, *rest)


def test_the_pairs_of_a_run_can_be_judged_again_by_a_server(
    tmp_path: Path, stub: Stub, settings: dict[str, Any]
) -> None:
    """As far as it goes before it dies, and from there on when it is back."""
    run = tmp_path / "run"
    go_on(run, **settings)

    class Watch(Listener):
        def judged(self, done: int, of: int) -> None:
            """Pass."""

    begun = len(stub.calls)
    stub.script = lambda call: (
        by_text(call) if call.number - begun < 6 else refuses(500)
    )
    request = Request(rubric="Prefer what is longer.", into=tmp_path / "again")
    # The first call is the trial.
    with pytest.raises(JudgeUnreachable):
        rejudge(run, request, Watch())
    came = verdicts(tmp_path / "again")
    assert len(came) == 4

    stub.script = by_text
    outcome = rejudge(run, request, Watch())
    assert outcome.done == outcome.wanted
    assert verdicts(tmp_path / "again")[:4] == came
    assert all("longer" in v.prompt for v in verdicts(tmp_path / "again"))
    audit(tmp_path / "again")
