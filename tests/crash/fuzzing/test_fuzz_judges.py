"""Hostile judges: what a server sends and what is stored of it can always be read."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from onlinedpo.engine.judges import replies, wire
from onlinedpo.engine.judges.background import Background
from onlinedpo.engine.judges.server import LONGEST, Reply, Server, base_url
from onlinedpo.journal import codec
from onlinedpo.states.answers import ORDERS
from onlinedpo.states.errors import JudgeUnreachable, UsageError
from onlinedpo.states.verdicts import parsing, scores
from onlinedpo.states.verdicts.texts import as_told, chances_of
from tests.conftest import Count
from tests.crash.fuzzing.fuzz import Target, fuzz, tiers
from tests.crash.fuzzing.fuzz_changes import (
    MORE,
    as_json,
    of_bytes,
    of_trees,
    spoilt,
    ways,
)
from tests.engine.stub import Answer, Stub
from tests.states import facts

REPLIES = {"quick": 800, "full": 16_000}
STORED = {"quick": 600, "full": 8_000}
HEADERS = {"quick": 500, "full": 4_000}

TOKENS = [{"token": "A", "logprob": -0.1}, {"token": " B", "logprob": -2.5}]
COMPLETION: dict[str, Any] = {
    "id": "x",
    "model": "m",
    "system_fingerprint": "f",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "Verdict: A"},
            "logprobs": {
                "content": [
                    {"token": "\n", "logprob": 0.0, "top_logprobs": TOKENS},
                    {"token": "A", "logprob": -0.1, "top_logprobs": TOKENS},
                ]
            },
        }
    ],
    "usage": {"total_tokens": 5},
}
FINE = json.dumps(COMPLETION).encode()
REASONED: dict[str, Any] = {
    "choices": [
        {
            "finish_reason": "stop",
            "message": {
                "content": [{"type": "text", "text": "<think>a</think>\nVerdict: tie"}],
                "reasoning_content": "so",
            },
        }
    ]
}


def judged(raw: str) -> str:
    """Every version of the reading comes to a winner or says how it failed."""
    chances = chances_of(raw)
    assert all(isinstance(p, float) and not math.isnan(p) for p in chances)
    for version, parser in parsing.PARSERS.items():
        if version == parsing.LETTERS:
            continue
        first, second = (parser(chances, shown, raw) for shown in ORDERS)
        for winner, failure in (first, second):
            assert winner in ("first", "second", "tie", None)
            assert winner is None or not failure
        # Who is shown the other way round is read the other way round.
        other = {"first": "second", "second": "first"}
        assert other.get(str(first[0]), first[0]) == second[0]
        parsing.FITS[version](chances, raw)
    assert parsing.FITS[parsing.SERVED](chances, raw), "as an audit will ask"
    assert all(isinstance(text, str) for part in as_told(raw) for text in part)
    parsers = [*parsing.PARSERS.values()][1:]
    read = [parser(chances, ORDERS[0], raw) for parser in parsers]
    return "; ".join(f"{winner}{failure}" for winner, failure in read)


@tiers
@ways
def test_replies_of_a_server_changed_anyhow(way: str, tier: str, count: Count) -> None:
    """Whatever comes is kept as JSON that is read the same by an audit."""

    def read(data: bytes) -> str:
        text = data.decode(errors="replace")[:LONGEST]
        for reply in (Reply(text), Reply(text, "it is away")):
            raw = wire.kept(reply)
            assert isinstance(json.loads(raw), dict)
            judged(raw)  # Also what is kept of an error.
            wire.is_no_answer(reply)
        assert all(isinstance(name, str) for name in wire.models(Reply(text)))
        told = replies.message(text)
        assert told.isprintable() and len(told) <= 203
        return judged(wire.kept(Reply(text)))

    trees: list[Any] = [COMPLETION, REASONED, {"data": [{"id": "m"}]}]
    trees.append({"error": {"message": "no"}})

    target = spoilt(way, "replies", trees, as_json, read, ())
    fuzz(target, REPLIES[tier], count)


@tiers
def test_stored_outputs_changed_anyhow(tier: str, count: Count) -> None:
    """An audit reads again what a journal holds, whatever that is."""
    top = [[one["token"], one["logprob"]] for one in TOKENS]
    seeds = [
        {"content": "Verdict: B", "finish_reason": "stop", "opened": "<think>"},
        {"content": "A", "finish_reason": "stop", "top_logprobs": top},
        {"error": "it is away", "body": "x"},
        [0.25, -3],
        [None, 1],
        1,
    ]

    def change(chance: random.Random, tree: Any, pool: Sequence[Any]) -> Any:
        if isinstance(tree, dict | list):
            return of_trees(*MORE)(chance, tree, pool)
        return chance.choice((0, 1, -1, 2, True, 0.0, 1.0, None, "0", math.nan))

    def read(data: bytes) -> str:
        return judged(data.decode())

    target = Target(
        "stored outputs",
        seeds,
        change,
        read,
        (),
        written=as_json,
    )
    fuzz(target, STORED[tier], count)


@tiers
def test_headers_and_addresses_changed_anyhow(tier: str, count: Count) -> None:
    """When to ask again is a number of seconds; an address is one or is refused."""

    def read(data: bytes) -> None:
        text = data.decode("latin-1")
        assert replies.retry_after(text) >= 0.0
        assert replies.line(text).isprintable()
        url = base_url(text)
        assert base_url(url) == url and url.isprintable()

    seeds = [
        b"5",
        b"\xb2",
        b"Wed, 21 Oct 2099 07:28:00 GMT",
        b"http://localhost:8080",
        b"https://[::1]:1/v1/chat/completions",
        b"https://x.example/v1beta/",
    ]
    target = Target("headers", seeds, of_bytes, read, (UsageError,))
    fuzz(target, HEADERS[tier], count)


@pytest.mark.parametrize("depth", range(960, 1000, 2))
def test_a_value_that_is_as_deep_as_can_just_be_read_is_kept(depth: int) -> None:
    """It could not be written again by a program that reads to the last level."""
    deep = "[" * depth + "]" * depth
    body = json.dumps({**COMPLETION, "model": "HERE"}).replace('"HERE"', deep)
    assert json.loads(wire.kept(Reply(body)))
    assert replies.message(f'{{"error": {deep}}}')


def typed(charset: str) -> Answer:
    """A sound reply that names a charset."""
    kind = f"application/json; charset={charset}"
    return Answer(body=FINE, headers={"Content-Type": kind})


def packed(coding: str) -> Answer:
    """A reply that says how it is packed, and is not."""
    return Answer(body=FINE, headers={"Content-Encoding": coding})


ODD: dict[str, tuple[Answer, str]] = {
    "a codec that is no charset": (typed("zlib"), ""),
    "a codec that only fails": (typed("undefined"), ""),
    "a codec of letters": (typed("rot13"), ""),
    "a codec of names": (typed("idna"), ""),
    "an unknown charset": (typed("x" * 4000), ""),
    "packed in another way": (packed("br"), "its reply is packed: br"),
    "packed twice": (packed("gzip, gzip"), "its reply is packed: gzip, gzip"),
    "packed badly": (packed("gzip"), "its reply cannot be decoded"),
    "too long": (Answer(body=b"x" * (LONGEST + 1)), "longer than"),
    "no text": (Answer(body=b"\xff\xfe"), ""),
}


@pytest.mark.parametrize("name", ODD)
def test_a_reply_that_is_sent_in_an_odd_way_is_read_or_a_failure(name: str) -> None:
    """The server names codecs and packings; only what is plain is followed."""
    answer, error = ODD[name]
    with Stub(lambda call: answer).running() as stub:
        server = Server(stub.url, "", timeout=20.0, attempts=1, at_once=1)
        background = Background()
        reply = background.start(server.ask("/models")).result()
    assert error in reply.error and bool(error) == bool(reply.error)
    if answer.body == FINE and not error:
        assert json.loads(reply.text) == COMPLETION
    judged(wire.kept(reply))


@pytest.mark.parametrize("wait", ["\xb2", "-1", "1e9", "nan", "9" * 400, "\xbc"])
@pytest.mark.parametrize("coding", ["", "br"])
def test_a_server_that_is_busy_for_an_odd_time_is_busy(wait: str, coding: str) -> None:
    """Superscripts are digits to Python, and no number; and an error is no answer."""
    headers = {"Retry-After": wait, "Content-Encoding": coding}
    with Stub(lambda call: Answer(status=503, headers=headers)).running() as stub:
        server = Server(stub.url, "", timeout=20.0, attempts=1, at_once=1)
        background = Background()
        with pytest.raises(JudgeUnreachable, match="HTTP 503"):
            background.start(server.ask("/models")).result()


def test_chances_in_whole_numbers_of_any_size_can_be_journalled() -> None:
    """A server may write -1 or a number of 30 digits; scores may be as far apart."""
    top = [{"token": "A", "logprob": -1}, {"token": "B", "logprob": -(10**30)}]
    tokens = [{"token": "A", "logprob": -1, "top_logprobs": top}]
    choice = {**COMPLETION["choices"][0], "logprobs": {"content": tokens}}
    raw = wire.kept(Reply(json.dumps({"choices": [choice]})))
    chances = chances_of(raw)
    assert [type(chance) for chance in chances] == [float, float]
    verdict = replace(facts.verdict(0), logprobs=chances, raw=raw)
    assert codec.decode(codec.encode([verdict])) == [verdict]
    for far in (10**308, 1e308):
        assert scores.preference(far, -far) == (0.0, -math.inf)
