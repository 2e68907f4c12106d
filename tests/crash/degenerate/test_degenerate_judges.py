"""A judge's server that is away for an hour, or says nothing of use, as a table.

The real command line asks a real server.  A server that is away ends a run with code 9,
after a bounded number of calls, and the same command goes on where it was.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from onlinedpo.engine.fruitless import MOST
from onlinedpo.engine.judges import server as servers
from onlinedpo.states.records import Label
from tests.conftest import Count
from tests.crash.degenerate.degenerate import Parts, begun
from tests.crash.degenerate.degenerate_cases import given
from tests.engine.runs import records, steps
from tests.engine.stub import (
    Answer,
    Call,
    Stub,
    as_json,
    breaks_off,
    by_text,
    drips,
    hangs,
    refuses,
    says,
)

ATTEMPTS, RETRIES, BATCH = 2, 1, 1
AWAY = ATTEMPTS * 2 * BATCH
"""Calls at most for a batch whose pairs are asked about in both orders."""
BATCHES = MOST + 1
"""One was under way."""
BABBLE = (1 + RETRIES) * 2 * BATCH * BATCHES
SILENT = "no answer within 0.2 s"


@dataclass(frozen=True)
class Trouble:
    """What a server says, and what a run makes of it."""

    name: str
    answer: Callable[[Call, threading.Event], Answer]
    code: int
    says: str
    calls: int
    """How many at most in one process."""


def always(answer: Answer) -> Callable[[Call, threading.Event], Answer]:
    """The same answer to every call."""
    return lambda call, free: answer


def away(name: str, says: str, answer: Callable[..., Answer]) -> Trouble:
    """It cannot be reached, for an hour."""
    return Trouble(name, answer, 9, f"cannot be reached: {says}", AWAY)


def babbles(name: str, answer: Answer) -> Trouble:
    """It answers every call with nothing that could be read."""
    says = r"^20 batches in a row gave no label \(judge failed: \d+"
    return Trouble(name, always(answer), 8, says, BABBLE)


def chances(a: str, b: str) -> Answer:
    """Log-probabilities as some servers write them, which JSON does not have."""
    top = says("", top=[("A", -0.25), ("B", -0.75)]).body.decode()
    return Answer(body=top.replace("-0.25", a).replace("-0.75", b).encode())


def slow(**header: str) -> Callable[[Call, threading.Event], Answer]:
    """Too many requests: it says when to come again."""
    return always(refuses(429, "slow down", **header))


TROUBLES = [
    away("an error within", "HTTP 500 boom", always(refuses(500, "boom"))),
    away("overloaded", "HTTP 429 slow down$", slow()),
    away(
        *("back in an hour", "HTTP 429 slow down; it asks to wait 3600 s$"),
        slow(Retry_After="3600"),
    ),
    away("back in no time", "HTTP 429", slow(Retry_After="0")),
    away("back at no time", "HTTP 429 slow down$", slow(Retry_After="nan")),
    away("back at an odd time", "HTTP 429 slow down$", slow(Retry_After="\u00b2")),
    away(
        "back never",
        "HTTP 429 slow down; it asks to wait inf s$",
        slow(Retry_After="9" * 400),
    ),
    away("hangs", SILENT, lambda call, free: hangs(free)),
    away("drips", SILENT, lambda call, free: drips(free, by_text(call))),
    away("breaks off", "", lambda call, free: breaks_off()),
    Trouble("is gone", always(refuses(404, "gone")), 2, "refuses: HTTP 404", AWAY),
    babbles("a page", Answer(body=b"<html>Welcome</html>")),
    babbles("chances of NaN", chances("NaN", "NaN")),
    Trouble(
        *("always the first", always(says("A")), 8),
        *(r"\(orders disagree: \d+", 2 * BATCH * BATCHES),
    ),
]
MORE = [
    babbles("nothing", Answer(body=b"")),
    babbles("a number that is none", Answer(body=b"NaN")),
    babbles("no choices", as_json({"choices": []})),
    babbles("an empty answer", says("")),
    babbles("no letter", says("Both have their merits.")),
    babbles("chances without measure", chances("Infinity", "-Infinity")),
    babbles("no chance at all", chances("-Infinity", "-Infinity")),
    babbles("numbers beyond floats", chances("-1e999", "1e999")),
    babbles("a number of 400 digits", chances("-" + "9" * 400, "-1")),
]


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    """A server, tried again without a pause."""
    monkeypatch.setattr(servers, "_FIRST_DELAY", 0.0)
    monkeypatch.setattr(servers, "_LONGEST_DELAY", 0.0)
    with Stub(by_text).running() as running:
        yield running


@pytest.mark.parametrize(
    "trouble",
    [*TROUBLES, *(pytest.param(t, marks=pytest.mark.slow) for t in MORE)],
    ids=lambda trouble: trouble.name,
)
def test_a_server_of_no_use_labels_nothing_and_is_not_asked_for_ever(
    trouble: Trouble, parts: Parts, stub: Stub, tmp_path: Path, count: Count
) -> None:
    """One message, a code, and the same again; what is back is gone on with."""
    settings = {
        **{"judge": stub.url, "judge_model": "m", "batch_size": BATCH},
        **{"judge_attempts": ATTEMPTS, "judge_retries": RETRIES},
        # Pairs that read the same are not asked about.
        "max_completion_length": 6,
    }
    run, file = tmp_path / "run", tmp_path / "settings.json"
    file.write_text(json.dumps(given(settings, parts)))
    # Only what is never answered in time is given little of it.
    hurry = ["--judge-timeout", "0.2"] if SILENT in trouble.says else []
    free = threading.Event()
    try:
        # It answers when it is tried, before the run begins, and then is away.
        stub.script = lambda call: by_text(call) if not call.number else refuses(503)
        assert begun(run, "-c", file).code == 9
        stub.script = lambda call: trouble.answer(call, free)
        for times in (1, 2):
            ended = begun(run, *hurry)
            assert ended.code == trouble.code, ended
            assert re.search(trouble.says, ended.message), ended
            # In all: calls that one command left in the air may arrive in the next.
            assert len(stub.calls) <= 1 + AWAY + times * trouble.calls
            assert not [r for r in records(run) if isinstance(r, Label)]
    finally:
        free.set()
    stub.script = by_text
    back = begun(run, "--judge-timeout", "60")
    assert back.code == 0, back
    assert len(steps(run)) == 2
    count("degenerate runs", 1)
