"""Broken rows: refused in one line with what was read, or read as what they say."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

import pytest

from onlinedpo.states.answers import Ask
from onlinedpo.states.people.choices import Choice
from onlinedpo.states.people.importers import Answered, Refused, answers
from tests.states import shapes
from tests.states.shapes import ASK, annotation, chosen, label_studio, own, pairwise


def refusal(row: dict[str, Any]) -> str:
    """Why a row is refused."""
    with pytest.raises(Refused) as refused:
        answers(row)
    told = str(refused.value)
    assert "\n" not in told and len(told) < 600
    return told


WRONG: tuple[Any, ...] = (
    *(None, 1, 0, -1.5, True, 10**5000, math.nan),
    *([], {}, "x", "", [[]], [{}], [None]),
)


def mutations(value: Any) -> Iterator[Any]:
    """The value with each thing in it replaced by each of some wrong ones, or gone."""
    yield from WRONG
    if isinstance(value, dict):
        for key in value:
            yield {k: v for k, v in value.items() if k != key}
            for inner in mutations(value[key]):
                yield {**value, key: inner}
    if isinstance(value, list):
        for at, item in enumerate(value):
            for inner in mutations(item):
                yield [*value[:at], inner, *value[at + 1 :]]


@pytest.mark.parametrize("shape", shapes.SECOND)
def test_a_wrong_value_anywhere_is_refused_or_read(shape: str) -> None:
    """Nothing but `Refused` is raised; what is read is an answer in all its parts."""
    _, row, _ = shapes.SECOND[shape]
    before, count = copy.deepcopy(row), 0
    for broken in mutations(row):
        if not isinstance(broken, dict):
            continue
        count += 1
        try:
            found = answers(broken)
        except Refused as refused:
            assert "\n" not in str(refused) and len(str(refused)) < 600
            continue
        for answer in found:
            assert isinstance(answer, Answered) and isinstance(answer.ask, Ask)
            assert isinstance(answer.choice, Choice)
            assert isinstance(answer.annotator, str) and isinstance(answer.note, str)
            assert answer.seconds is None or isinstance(answer.seconds, float)
    assert count > 40
    assert row == before


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "000042-9c1f0a77/../x",
        "000042-9c1f0a77.md",
        "000042-9c1f0a77.0",
        "000042-9c1f0a77.100",
        "000042-9C1F0A77",
        "42-9c1f0a77",
        "000042-9c1f0a7",
        "000042-9c1f0a77\x00",
        "\u0660\u0660\u0660\u0660\u0664\u0662-9c1f0a77",
        "9" * 5000 + "-9c1f0a77",
        "x" * 500_000,
        42,
        True,
        ["000042-9c1f0a77"],
        {"id": "000042-9c1f0a77"},
    ],
    ids=lambda name: repr(name)[:24],
)
def test_what_names_no_pair_is_refused(name: Any) -> None:
    """No path, no other spelling, no other type; the message shows the beginning."""
    told = refusal({"id": name, "choice": "1"})
    assert "names no pair" in told and "000042-9c1f0a77" in told
    assert "names no pair" in refusal({"id": ASK, "odpo_id": name, "choice": "1"})


def test_a_row_that_names_no_pair_or_two_is_refused() -> None:
    """Or one in JSON that does not parse."""
    assert "no pair is named" in refusal({"choice": "1"})
    assert "which pair" in refusal(own(question_id="000043-9c1f0a77"))
    assert "no whole JSON" in refusal({"metadata": '{"odpo_id', "choice": "1"})
    assert "no whole JSON" in refusal({"meta": '{"a":' * 99_999, "choice": "1"})


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (own("maybe"), "choice is 'maybe'; expected is one of: 1, 2"),
        (own("tie", strength=2), "has no strength"),
        (own("1", strength=3), "strength is 3"),
        (own("1", annotator="x" * 201), "shorter"),
        (label_studio(annotation([pairwise("left"), chosen("tie")])), "both 1 and tie"),
        (
            label_studio(annotation([{"type": "rating", "value": {"rating": 3}}])),
            "rating",
        ),
        ({**shapes.MINIMAL, "comparison": "[" * 100_000}, "no whole JSON"),
        ({**shapes.MINIMAL, "comparison": [[[[[[["left"]]]]]]]}, "too deeply"),
        (shapes.argilla(["response1", "response1"]), "response1 and response2"),
        (shapes.argilla(["response1", "response2", "response3"]), "3 names"),
        (
            {
                "id": ASK,
                "preference.responses": ["response1", "response2"],
                "preference.responses.users": ["u1"],
            },
            "different lengths",
        ),
        (shapes.argilla("response1", status="odd"), "status is 'odd'"),
        ({**shapes.argilla("1"), "responses": {"quality": []}}, "'quality'"),
        (shapes.prodigy(["A"], "reject"), "answer is 'reject'"),
        (shapes.prodigy([]), "accept with one option"),
        (shapes.prodigy([1], options=[{"id": 0}, {"id": 1}]), "option is 0"),
        (shapes.arena("model_c"), "winner is 'model_c'"),
        ({"prompt": "?", "chosen": "a", "rejected": "b"}, "no known program: 'prompt'"),
        ({}, "no known program: none"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_told_is_refused(row: Any, says: str) -> None:
    """A guess would be trained on; the message says what was read and expected."""
    assert says in refusal(row)


def test_a_message_shows_only_the_beginning_of_what_was_read() -> None:
    """80 characters at most, on one line, with nothing that moves a cursor."""
    told = refusal(own("\x1b[2J\n" * 100_000))
    assert "\x1b" not in told and "..." in told and len(told) < 200
