"""Pairs that wait for an answer, as other programs load them.

Each task names its ask where the program keeps it and gives it back on export, so that
`importers` finds it again.  Nothing tells which completion is whose.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from onlinedpo.states.answers import Ask
from onlinedpo.states.people.label_file import text_of
from onlinedpo.states.records import Messages
from onlinedpo.states.visible import json_line, storable

LABEL_STUDIO_CONFIG = """\
<View>
  <Header value="Which answer is better?"/>
  <Text name="prompt" value="$prompt"/>
  <Pairwise name="comparison" toName="answer1,answer2"/>
  <View style="display: grid; grid-template-columns: 1fr 1fr; column-gap: 1em">
    <Text name="answer1" value="$answer1"/>
    <Text name="answer2" value="$answer2"/>
  </View>
  <Header size="5" value="If neither is better: select none above, and choose here."/>
  <Choices name="otherwise" toName="prompt" choice="single" showInline="true">
    <Choice value="tie"/>
    <Choice value="both bad"/>
  </Choices>
  <TextArea name="note" toName="prompt" rows="2" maxSubmissions="1"
            placeholder="A note, if you like"/>
</View>
"""
"""The labelling interface to set up in Label Studio before the tasks are loaded."""


@dataclass(frozen=True, slots=True)
class Task:
    """One answer that is wanted; `one` and `two` are responses 1 and 2 as shown."""

    ask: Ask
    messages: Messages
    one: str
    two: str


def export(tasks: Sequence[Task], format: str) -> str:
    """The tasks as a file of one of `FORMATS`, to be written as UTF-8.

    - `jsonl`, `csv`: answer in the field `choice`, and perhaps `annotator` and `note`;
      in CSV, a text that spreadsheets would take for a formula begins with a `'`
    - `label-studio`: import into a project with `LABEL_STUDIO_CONFIG`
    - `argilla`: `dataset.records.from_json`; text fields `prompt`, `response1` and
      `response2`, a label question `preference` of `response1`, `response2`, `tie` and
      `both bad`, and perhaps a text question `note`
    - `prodigy`: the `choice` interface
    - `arena`: fill in `winner` and `judge`
    """
    if format not in _WRITERS:
        raise ValueError(f"the format {format!r} is not one of {', '.join(FORMATS)}")
    return storable(_WRITERS[format](tasks))


def _lines(row: Callable[[Task], dict[str, Any]]) -> Callable[[Iterable[Task]], str]:
    return lambda tasks: "".join(f"{json_line(row(task))}\n" for task in tasks)


def _list(row: Callable[[Task], dict[str, Any]]) -> Callable[[Iterable[Task]], str]:
    def write(tasks: Iterable[Task]) -> str:
        return "[\n" + ",\n".join(json_line(row(task)) for task in tasks) + "\n]\n"

    return write


class _Parts(list[str]):
    write = list.append


def _csv(tasks: Iterable[Task]) -> str:
    # Without the mark, spreadsheets take UTF-8 for something else.
    parts = _Parts(["\ufeff"])
    writer = csv.writer(parts)
    writer.writerow(_COLUMNS)
    for task in tasks:
        # A file with a NUL is not text to most programs, ours included.
        cells = [str(cell).replace("\0", "\\x00") for cell in _own(task).values()]
        writer.writerow([f"'{c}" if c.startswith(_FORMULA) else c for c in cells])
    return "".join(parts)


_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a cell begins with that spreadsheets compute: it could run a program there."""

_COLUMNS = ("id", "prompt", "response_1", "response_2", "choice", "annotator", "note")


def _own(task: Task) -> dict[str, Any]:
    shown = (str(task.ask), text_of(task.messages), task.one, task.two)
    return dict(zip(_COLUMNS, (*shown, "", "", ""), strict=True))


def _label_studio(task: Task) -> dict[str, Any]:
    return {
        "data": {
            "odpo_id": str(task.ask),
            "prompt": text_of(task.messages),
            "answer1": task.one,
            "answer2": task.two,
        }
    }


def _argilla(task: Task) -> dict[str, Any]:
    # Argilla refuses metadata that its settings do not name: the id is enough.
    return {
        "id": str(task.ask),
        "fields": {
            "prompt": text_of(task.messages),
            "response1": task.one,
            "response2": task.two,
        },
        "metadata": {},
        "suggestions": {},
        "responses": {},
        "vectors": {},
    }


def _prodigy(task: Task) -> dict[str, Any]:
    return {
        "text": text_of(task.messages),
        "options": [
            {"id": "1", "text": task.one},
            {"id": "2", "text": task.two},
            {"id": "tie", "text": "Both are equally good"},
            {"id": "both bad", "text": "Both are bad"},
        ],
        "meta": {"odpo_id": str(task.ask)},
    }


def _arena(task: Task) -> dict[str, Any]:
    def conversation(response: str) -> list[dict[str, str]]:
        return [*task.messages, {"role": "assistant", "content": response}]

    return {
        "question_id": str(task.ask),
        "model_a": "response 1",
        "model_b": "response 2",
        "winner": "",
        "judge": "",
        "conversation_a": conversation(task.one),
        "conversation_b": conversation(task.two),
    }


_WRITERS: dict[str, Callable[[Iterable[Task]], str]] = {
    "jsonl": _lines(_own),
    "csv": _csv,
    "label-studio": _list(_label_studio),
    "argilla": _list(_argilla),
    "prodigy": _lines(_prodigy),
    "arena": _lines(_arena),
}
FORMATS = tuple(_WRITERS)
