"""Tasks for other programs: what each gives back, once answered, is read again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

from onlinedpo.journal.dropped import reading as dropped
from onlinedpo.states.answers import Ask
from onlinedpo.states.people.importers import answers
from onlinedpo.states.people.tasks import FORMATS, LABEL_STUDIO_CONFIG, Task, export
from tests.states import shapes

NASTY = 'a "b", c;\td\r\ne\rf\n\n=cmd|x \u2028\u0085\ufeff\N{SNOWMAN}\U0001f600 \\ <&> '
USER = {"role": "user", "content": "Why?"}
TASKS = [
    Task(Ask("000042-9c1f0a77"), (USER,), "So.", "Thus."),
    Task(Ask("000043-00000001", 2), (USER, USER), NASTY, NASTY * 2),
    Task(Ask("1000000-12345678"), ({"role": "user", "content": NASTY},), "", " "),
]
Row = dict[str, Any]
every_format = pytest.mark.parametrize("form", FORMATS)


def rows(text: str) -> list[Row]:
    """The rows of an export, as they are when it is dropped again."""
    read = [*dropped.read("tasks", text.encode())]
    assert not [row.reason for row in read if row.reason]
    return [row.fields for row in read if row.fields is not None]


def labelled(row: Row, word: str) -> Row:
    """The row of Label Studio's JSON for a task that somebody answered."""
    side = word in ("left", "right")
    result = shapes.pairwise(word) if side else shapes.chosen(word)
    return {**row, "id": 5, "annotations": [shapes.annotation([result])]}


def minimal(row: Row, word: str) -> Row:
    """The same in JSON_MIN."""
    side = word in ("left", "right")
    answer = {"comparison": [{"selected": word}]} if side else {"otherwise": word}
    others = {"annotation_id": 7, "lead_time": 2.5, "annotator": 10}
    return {**row["data"], "id": 5, **answer, **others}


def flat(row: Row, word: str) -> Row:
    """The same in Label Studio's CSV, where the list is a JSON string."""
    return {name: str(v).replace("'", '"') for name, v in minimal(row, word).items()}


def argilla(row: Row, word: str) -> Row:
    """A record that one person answered."""
    return {**row, "responses": {"preference": [{"value": word, "user_id": "u"}]}}


def prodigy(row: Row, word: str) -> Row:
    """An example with its answer."""
    return {**row, "accept": [word], "answer": "accept", "_session_id": "s-ann"}


def filled(row: Row, word: str) -> Row:
    """A row with something written after choice."""
    return {**row, "choice": word}


def voted(row: Row, word: str) -> Row:
    """A battle with its winner."""
    return {**row, "winner": word, "judge": "ann"}


# What each program makes of a row of ours, and its words for 2, a tie and both bad.
ANSWERING: dict[str, tuple[str, Callable[[Row, str], Row], tuple[str, str, str]]] = {
    "jsonl": ("jsonl", filled, ("2", "tie", "both bad")),
    "csv": ("csv", filled, ("2", "tie", "both bad")),
    "Label Studio JSON": ("label-studio", labelled, ("right", "tie", "both bad")),
    "Label Studio JSON_MIN": ("label-studio", minimal, ("right", "tie", "both bad")),
    "Label Studio CSV": ("label-studio", flat, ("right", "tie", "both bad")),
    "Argilla": ("argilla", argilla, ("response2", "tie", "both bad")),
    "Prodigy": ("prodigy", prodigy, ("2", "tie", "both bad")),
    "arena": ("arena", voted, ("model_b", "tie", "tie (bothbad)")),
}


def test_every_format_is_answered_below() -> None:
    """None can be added that nothing reads back."""
    assert {form for form, *_ in ANSWERING.values()} == set(FORMATS)
    assert {"jsonl", "csv", "label-studio", "argilla"} < set(FORMATS)


@pytest.mark.parametrize("program", ANSWERING)
def test_what_is_exported_and_answered_comes_back(program: str) -> None:
    """To the same slot of the same pair, whatever the texts hold."""
    form, answer, words = ANSWERING[program]
    for word, wanted in zip(words, ("2", "tie", "both bad"), strict=True):
        text = json.dumps([answer(row, word) for row in rows(export(TASKS, form))])
        found = [answers(row) for row in rows(text)]
        assert [(a.ask, str(a.choice)) for (a,) in found] == [
            (task.ask, wanted) for task in TASKS
        ]


@every_format
def test_what_nobody_has_answered_holds_no_answer(form: str) -> None:
    """An export dropped as it is does nothing."""
    assert [answers(row) for row in rows(export(TASKS, form))] == [[], [], []]


@every_format
def test_the_texts_are_exported_verbatim(form: str) -> None:
    """Each response is found in its row as it was, and so is the prompt."""
    for task, row in zip(TASKS, rows(export(TASKS, form)), strict=True):
        told = json.dumps(row)
        for text in (task.one, task.two, task.messages[0]["content"]):
            assert json.dumps(text)[1:-1] in told


@every_format
def test_any_text_can_be_exported(form: str) -> None:
    """Half a character, a NUL and a megabyte's worth of quotes; and no tasks at all."""
    for text in ("\ud83d", "\0", '"' * 200_000, "\x1b[2J"):
        task = Task(TASKS[0].ask, TASKS[0].messages, text, "other")
        (row,) = rows(export([task], form))
        assert answers(row) == []
    assert "000042" not in export([], form)


def test_a_line_is_a_task() -> None:
    """Whatever takes U+2028 or U+0085 for the end of a line reads whole lines."""
    for form in ("jsonl", "prodigy", "arena"):
        assert len(export(TASKS, form).splitlines()) == len(TASKS)


def test_a_spreadsheet_takes_the_file_for_utf_8() -> None:
    """It begins with a byte order mark."""
    assert export(TASKS, "csv").encode().startswith(b"\xef\xbb\xbfid,prompt,")


def test_an_unknown_format_is_refused() -> None:
    """The message names those that there are."""
    with pytest.raises(ValueError, match=r"'xls' is not one of jsonl, csv"):
        export(TASKS, "xls")


def test_the_labelling_interface_shows_what_the_tasks_hold() -> None:
    """Each text of a task is shown once; left is response 1; no winner can be said."""
    view = ElementTree.fromstring(LABEL_STUDIO_CONFIG)
    shown = {tag.get("name"): tag.get("value") for tag in view.iter("Text")}
    (row, *_) = rows(export(TASKS, "label-studio"))
    assert {f"${name}" for name in row["data"]} - {"$odpo_id"} == {*shown.values()}
    (compared,) = view.iter("Pairwise")
    left, right = (compared.get("toName") or "").split(",")
    assert row["data"][left] == "So." and row["data"][right] == "Thus."
    (choices,) = view.iter("Choices")
    assert choices.get("toName") in shown
    for choice in choices:
        assert len(answers(labelled(row, choice.get("value") or ""))) == 1
