"""A function as judge: how it is found and called, and what may come back."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.states.errors import JudgeFailed, UsageError
from onlinedpo.states.verdicts.parsing import CHOICE, SCORES
from tests.engine.scorers import FUNCTIONS, compare, judge_of, module, verdicts_of

LONG, SHORT = "because it is so", "so"
PAIRS = (compare(0, LONG, SHORT), compare(1, SHORT, LONG))


@pytest.fixture(autouse=True)
def here(tmp_path: Path) -> Iterator[Path]:
    """A module `prefer` in the working directory."""
    with module(tmp_path / "here"):
        yield tmp_path / "here"


def asked_by() -> list[Any]:
    """What the functions were given."""
    import prefer  # type: ignore[import-not-found]

    found: list[Any] = prefer.ASKED
    return found


@pytest.mark.parametrize("name", ["shorter", "Shorter", "READY"])
def test_a_pairwise_function_is_asked_in_both_orders(name: str) -> None:
    """A function, an object of TRL's kind, or its class; the swap is undone."""
    judge = judge_of(f"python:prefer:{name}")

    first, second = verdicts_of(judge, *PAIRS)
    assert [v.winner for v in first] == ["second", "second"]
    assert [v.winner for v in second] == ["first", "first"]
    assert [v.shown for v in first] == ["first-second", "second-first"]
    assert [v.raw for v in first] == ["1", "0"]
    assert {v.logprobs for v in (*first, *second)} == {()}
    ((prompts, completions),) = asked_by()
    assert prompts == ["Why?"] * 4
    assert completions[:2] == [[LONG, SHORT], [SHORT, LONG]]


def test_with_one_order_it_is_asked_once() -> None:
    """In an order that the seed draws."""
    judge = judge_of("python:prefer:left", judge_orders=1)
    said = [
        v for (v,) in verdicts_of(judge, *(compare(n, "a", "b") for n in range(20)))
    ]

    assert {v.shown for v in said} == {"first-second", "second-first"}
    assert all((v.winner == "first") == (v.shown == "first-second") for v in said)


def test_a_reward_function_scores_each_completion_once() -> None:
    """The higher score wins; how surely is the sigmoid of the difference."""
    judge = judge_of("python:prefer:length")

    ((first,), (second,)) = verdicts_of(judge, *PAIRS)
    assert (first.winner, second.winner) == ("first", "second")
    assert json.loads(first.raw) == [16.0, 2.0]
    assert first.probability_first() == pytest.approx(1 / (1 + math.exp(-14)))
    assert asked_by() == [(["Why?"] * 4, [LONG, SHORT, SHORT, LONG])]


def test_equal_scores_are_a_tie() -> None:
    """And no slot wins."""
    ((verdict,),) = verdicts_of(judge_of("python:prefer:alike"), PAIRS[0])

    assert (verdict.winner, verdict.probability_first()) == ("tie", 0.5)


def test_messages_are_given_where_they_are_asked_for() -> None:
    """As TRL gives them for conversational data: lists of role and content."""
    judge = judge_of("python:prefer:shorter", judge_format="messages", judge_orders=1)
    verdicts_of(judge, compare(0, "a", "b"))

    ((prompts, ((one, _),)),) = asked_by()
    assert prompts == [[{"role": "user", "content": "Why?"}]]
    assert one[0]["role"] == "assistant"


def test_one_that_takes_messages_is_told_of_the_setting() -> None:
    """TRL's own reward functions are of this kind."""
    with pytest.raises(JudgeFailed) as found:
        verdicts_of(judge_of("python:prefer:talks"), *PAIRS)

    assert "--judge-format messages" in found.value.hint
    said = verdicts_of(judge_of("python:prefer:talks", judge_format="messages"), *PAIRS)
    assert [v.winner for (v,) in said] == ["first", "second"]


def test_what_is_no_verdict_is_a_failure() -> None:
    """-1 and None of a pairwise function; None, NaN and infinity of a reward."""
    texts = [f"{chr(97 + n)}{n}" for n in range(16)]
    pairs = [compare(n, text, text[::-1]) for n, text in enumerate(texts)]
    for name in ("unsure", "patchy"):
        said = [
            v
            for each in verdicts_of(judge_of(f"python:prefer:{name}"), *pairs)
            for v in each
        ]
        failed = [v for v in said if v.winner is None]
        assert failed and len(failed) < len(said)
        assert all(v.failure for v in failed)
        assert all(not v.logprobs for v in failed)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("raises", r"raised TypeError: .* \(prefer.py, line \d+, in raises\)"),
        ("short_of_one", "returned 3 results for 4"),
        ("second_best", "returned 2 for pair 1, and not 0, 1, -1 or None"),
        ("wordy", "returned 'first' for pair 1"),
        ("text", "returned '1.0' for completion 1, which is no number"),
    ],
)
def test_a_mistake_in_it_is_told_and_nothing_is_labelled(name: str, says: str) -> None:
    """With the module, the function and the line of the user's own code."""
    with pytest.raises(JudgeFailed, match=says) as found:
        verdicts_of(judge_of(f"python:prefer:{name}"), *PAIRS)

    assert f"python:prefer:{name}" in str(found.value)
    assert "nothing was labelled" in str(found.value)
    assert found.value.exit_code == 10


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("python:nowhere:f", "there is no module 'nowhere'"),
        ("python:prefer:shortr", "'prefer' has no 'shortr'"),
        ("python:prefer", "does not name a function"),
        ("python:prefer:NOT_A_FUNCTION", "is no function, but of type int"),
        ("python:prefer:in_future", "is asynchronous"),
        ("python:prefer:with_truth", "cannot be called with .*'truth'"),
    ],
)
def test_what_cannot_be_a_judge_is_refused_at_the_start(name: str, says: str) -> None:
    """Before any model is loaded, with what to do."""
    with pytest.raises(UsageError, match=says) as found:
        judge_of(name)

    assert found.value.hint


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import nothing_like_it", "No module named 'nothing_like_it'"),
        ("def f(:", r"SyntaxError.*broken.py, line 1"),
        ("\n\nraise ValueError('x')", r"ValueError: x \(broken.py, line 3\)"),
        ("raise SystemExit(0)", "SystemExit"),
    ],
)
def test_a_module_that_cannot_be_imported_is_named(
    source: str, says: str, tmp_path: Path
) -> None:
    """With the line, and without a traceback."""
    there = module(tmp_path / "there", source, "broken")
    with there, pytest.raises(UsageError, match=says):
        judge_of("python:broken:f")


def test_it_is_known_by_its_source(tmp_path: Path) -> None:
    """Another file of the same words is the same judge; changed words are another."""
    before = judge_of("python:prefer:shorter").identity
    with module(tmp_path / "moved"):
        assert judge_of("python:prefer:shorter").identity == before
    with module(tmp_path / "changed", FUNCTIONS + "\n# Better.\n"):
        after = judge_of("python:prefer:shorter").identity
    other = judge_of("python:prefer:left").identity

    assert (before["kind"], before["parser"]) == ("python", CHOICE)
    assert judge_of("python:prefer:length").identity["parser"] == SCORES
    assert after["source"] != before["source"]
    assert other["function"] != before["function"]
