"""Text and served letters as verdicts: read strictly, and again from what is stored."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from onlinedpo.states.verdicts.framing import FRAMES, defused, fence_for
from onlinedpo.states.verdicts.parsing import FITS, GENERATED, PARSERS, SERVED
from onlinedpo.states.verdicts.reading import MIN_MASS
from onlinedpo.states.verdicts.texts import as_told, chances_of, letter_chances


def written(content: Any, finish: Any = "stop", **more: Any) -> str:
    """What is stored of an answer."""
    return json.dumps({"content": content, "finish_reason": finish, **more})


def likely(*top: tuple[str, float]) -> str:
    """What is stored of an answer with its likeliest first tokens."""
    return written("A", top_logprobs=[list(pair) for pair in top])


def chances(top: list[tuple[str, float]]) -> tuple[float, float]:
    """Those of A and B, by a list that has one of them."""
    found = letter_chances(top)
    assert found is not None
    return found


# -- version 2: generated text -----------------------------------------------------


@pytest.mark.parametrize(
    ("text", "winner"),
    [
        ("Verdict: A", "first"),
        ("Both are fine.\n\nVerdict: B\n", "second"),
        ("Verdict: tie", "tie"),
        ("I say so.\n**Verdict: A**", "first"),
        ("**Verdict:** B.", "second"),
        ("verdict : TIE", "tie"),
        ("Verdict: A\nVerdict: B", "second"),
        ("<think>Verdict: A</think>Verdict: B", "second"),
        ("Verdict: A</think>\nI mean it.\nVerdict: B", "second"),
        ("[THINK]so[/THINK]Verdict: A", "first"),
    ],
)
def test_the_last_line_is_the_verdict(text: str, winner: str) -> None:
    """And nothing before it, whatever it was thinking."""
    assert PARSERS[GENERATED]((), "first-second", written(text)) == (winner, "")
    swapped = {"first": "second", "second": "first", "tie": "tie"}
    read = PARSERS[GENERATED]((), "second-first", written(text))
    assert read == (swapped[winner], "")


@pytest.mark.parametrize(
    "text",
    [
        "A",
        "Verdict: A or B",
        "Verdict: A|B|tie",
        "Verdict: C",
        "Verdict: a tie",
        "My verdict: A",
        "Verdict: A, because it is polite",
        "Verdict: A\nI hope this helps!",
        "Verdict: \u0410",
        "<think>Verdict: A",
        "<think>\nVerdict: A",
        "[THINK]hm[/THINK]\n[THINK]\nVerdict: A",
        "<think>hm</think><think>Verdict: B",
        "<think>Verdict: A</think>",
        "<|think:start|>Verdict: A",
    ],
)
def test_anything_else_is_a_failure(text: str) -> None:
    """Never a winner: what is not said is not guessed."""
    winner, failure = PARSERS[GENERATED]((), "first-second", written(text))

    assert winner is None and failure


def test_thinking_that_the_prompt_began_must_end() -> None:
    """Some templates open it for the model."""
    read = PARSERS[GENERATED]
    open_, closed = "so.\nVerdict: A", "so.</think>Verdict: A"
    assert read((), "first-second", written(open_, opened="<think>"))[0] is None
    assert read((), "first-second", written(closed, opened="<think>"))[0] == "first"


@pytest.mark.parametrize("version", [GENERATED, SERVED])
@pytest.mark.parametrize(
    "raw",
    [
        *("", "A", "[]", "null", "{}", '{"content": "A"}', "[" * 100_000),
        written("A", "length"),
        written("A", None),
        written("A", "content_filter"),
        written(""),
        written(None),
        written(" \n"),
        written(["A"]),
        json.dumps({"error": "its reply is no chat completion", "body": "<html>"}),
    ],
)
def test_what_did_not_come_whole_is_a_failure(version: int, raw: str) -> None:
    """Cut off, empty, or no answer at all: also where it ends with a letter."""
    winner, failure = PARSERS[version]((), "first-second", raw)

    assert winner is None and failure
    assert FITS[version]((), raw)


# -- version 3: letters of a server ----------------------------------------------


@pytest.mark.parametrize(
    ("text", "winner"), [("A", "first"), (" B\n", "second"), ("\u2003A", "first")]
)
def test_without_log_probabilities_the_whole_answer_is_a_letter(
    text: str, winner: str
) -> None:
    """With blanks around it, if any."""
    assert PARSERS[SERVED]((), "first-second", written(text)) == (winner, "")


@pytest.mark.parametrize(
    "text", ["A.", "**A**", "a", "Answer A", "A B", "A careful look", "AB", "\u0391"]
)
def test_more_than_a_letter_is_a_failure(text: str) -> None:
    """ "A" may be the first word of a sentence that ends with B."""
    winner, failure = PARSERS[SERVED]((), "first-second", written(text))

    assert winner is None and repr(text) in failure


@pytest.mark.parametrize("before", ["", " ", "\u0120", "\u2581"])
def test_letters_count_with_a_space_before_them(before: str) -> None:
    """As the tokenizers of servers write it; both spellings together."""
    a, b = chances([(f"{before}A", -0.5), ("B", -1.5)])
    assert (a, b) == (-0.5, -1.5)

    a, _ = chances([("A", -1.0), ("\u0120A", -1.0), ("B", -3.0)])
    assert a == pytest.approx(-1.0 + math.log(2))


@pytest.mark.parametrize(
    "token", ["a", "A.", "\nA", "**A", "AA", "\u0410", "  A", "\u0120\u0120A"]
)
def test_other_tokens_are_no_letters(token: str) -> None:
    """Look-alikes and beginnings of longer words."""
    assert letter_chances([(token, -0.1), ("The", -3.0)]) is None
    winner, failure = PARSERS[SERVED]((), "first-second", likely((token, -0.1)))
    assert winner is None and "neither letter is among its 1 likeliest" in failure


def test_a_letter_that_is_not_listed_is_as_likely_as_it_can_be() -> None:
    """Not above the least likely that is listed, nor above what all of them leave."""
    a, b = chances([("A", math.log(0.9)), ("The", math.log(0.05))])
    assert a == pytest.approx(math.log(0.9))
    assert b == pytest.approx(math.log(0.05))

    a, b = chances([("A", math.log(0.99))])
    assert b == pytest.approx(math.log(0.01))
    assert chances([("B", 0.0)]) == (-math.inf, 0.0)


@pytest.mark.parametrize(
    ("top", "shown", "winner"),
    [
        ([("A", -0.1), ("B", -3.0)], "first-second", "first"),
        ([("A", -0.1), ("B", -3.0)], "second-first", "second"),
        ([("The", -0.1), ("B", -3.0), ("A", -3.5)], "first-second", "second"),
        ([("A", -0.7), ("B", -0.7)], "first-second", "tie"),
        ([("A", math.log(MIN_MASS) - 1), ("x", -0.1)], "first-second", None),
    ],
)
def test_the_likelier_letter_wins(top: Any, shown: Any, winner: str | None) -> None:
    """Whatever the text says; and neither does where neither is likely."""
    raw = likely(*top)

    read, failure = PARSERS[SERVED](chances_of(raw), shown, raw)

    assert read == winner
    assert bool(failure) == (winner is None)
    assert FITS[SERVED](chances_of(raw), raw)


@pytest.mark.parametrize(
    "top",
    [
        [["A", math.nan]],
        [["A", 0.5]],
        [["A", None]],
        [["A", True]],
        [["A"]],
        [[1, -0.1]],
        ["A"],
        "A",
        7,
        [["A", -(10**400)]],
    ],
)
def test_a_list_that_is_none_is_a_failure(top: Any) -> None:
    """No server's list is stored like this."""
    winner, failure = PARSERS[SERVED](
        (), "first-second", written("A", top_logprobs=top)
    )

    assert winner is None and failure


def test_log_probabilities_that_do_not_follow_from_the_list_do_not_fit() -> None:
    """So an audit sees a verdict that was made surer, or given chances it never had."""
    raw = likely(("A", -0.1), ("B", -3.0))
    assert FITS[SERVED]((-0.1, -3.0), raw)
    assert not FITS[SERVED]((-0.1, -4.0), raw)
    assert not FITS[SERVED]((), raw)
    assert not FITS[SERVED]((-0.1, -3.0), written("A"))
    assert not FITS[GENERATED]((-0.1, -3.0), written("Verdict: A"))


def test_what_is_stored_can_be_told() -> None:
    """In parts, for people."""
    assert as_told(written("B", reasoning="hm")) == [
        ("reasoning", "hm"),
        ("content", "B"),
        ("ended", "finish_reason stop"),
    ]
    assert as_told("A") == [("said", "A")]


# -- what is shown -----------------------------------------------------------------


@pytest.mark.parametrize(
    "token",
    [
        *("<|im_end|>", "<|eot_id|>", "<\uff5cend\uff5c>", "</s>", "<end_of_turn>"),
        *("[/INST]", "<think>", "</think>", "[TOOL_CALLS]"),
    ],
)
def test_control_tokens_are_spelled_apart_for_a_server(token: str) -> None:
    """No completion can end the turn, or begin the judge's, at common servers."""
    for version in (3, 4):
        shown = FRAMES[version](fence_for("?"), "?", f"good{token}", "bad")
        assert token not in shown
        assert token in shown.replace("\u200b", "")


@pytest.mark.parametrize("text", ["a < b", "<div class='s'>", "x[0]", "[s]", "1 <2"])
def test_other_text_is_shown_as_it_is(text: str) -> None:
    """Code and markup are not touched."""
    assert defused(text) == text
