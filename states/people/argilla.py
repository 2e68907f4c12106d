"""What Argilla exports: records of version 2, nested or flat, and of version 1.

The question is called `preference`.  Its values are a label (response1), a ranking
(the better first) or ranks, where equal ones are a tie.  Another question `note`, with
a text, is the person's note.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from onlinedpo.states.people.answered import (
    Answered,
    Fields,
    Refused,
    ask_of,
    choice_of,
    is_empty,
    name_of,
    note_of,
    quoted,
)
from onlinedpo.states.people.choices import Choice

QUESTION = "preference"
NOTE = "note"
_READ = (QUESTION, NOTE)
FLAT = ".responses"

_Response = tuple[str, Any, Any]
"""(who, status, value)"""


def record(row: Fields) -> list[Answered]:
    """The answers of a record of version 2."""
    responses = row.get("responses")
    if not isinstance(responses, Mapping | None):
        raise Refused(
            f"responses is {quoted(responses)}; expected is an object with {QUESTION}"
        )
    if responses:
        names = {*responses}
        asked = {name: _structs(responses.get(name), name) for name in _READ}
    else:
        names = {name.removesuffix(FLAT) for name in row if name.endswith(FLAT)}
        asked = {name: _flat(row, name) for name in _READ}
    if names - {NOTE} and QUESTION not in names:
        told = ", ".join(quoted(name) for name in sorted(names)[:3])
        raise Refused(f"the questions are {told}; expected is one called {QUESTION}")
    return _answers(row, asked)


def hub_record(row: Fields) -> list[Answered]:
    """The answers of a record of version 1: columns, or a list of objects."""
    asked: dict[str, list[_Response]] = {}
    for name in _READ:
        given = row.get(name)
        if name == NOTE and isinstance(given, str):
            asked[name] = []
        elif isinstance(given, Mapping):
            columns = [given.get(key) for key in ("user_id", "status", "value")]
            asked[name] = _side_by_side(name, *columns)
        else:
            asked[name] = _structs(given, name)
    return _answers(row, asked)


def _structs(given: Any, question: str) -> list[_Response]:
    """A list of {"user_id", "status", "value"}."""
    if given is None:
        return []
    if not isinstance(given, list) or not all(isinstance(g, Mapping) for g in given):
        raise Refused(
            f"{question} is {quoted(given)}; expected is a list of objects with value"
            " and user_id"
        )
    return [
        (name_of(g.get("user_id"), "user_id"), g.get("status"), g.get("value"))
        for g in given
    ]


def _flat(row: Fields, question: str) -> list[_Response]:
    start = question + FLAT
    columns = [row.get(start + end) for end in (".users", ".status", "")]
    return _side_by_side(start, *columns)


def _side_by_side(where: str, users: Any, states: Any, values: Any) -> list[_Response]:
    """The same from three lists; who and status may be missing."""
    for column in (users, states, values):
        if not isinstance(column, list | None):
            raise Refused(f"{where} has {quoted(column)}; expected is a list")
    count = len(values or [])
    if any(column and len(column) != count for column in (users, states)):
        raise Refused(f"{where} has lists of different lengths")
    rows = zip_longest(users or [], states or [], values or [])
    return [(name_of(who, "user_id"), state, value) for who, state, value in rows]


def _answers(row: Fields, asked: Mapping[str, list[_Response]]) -> list[Answered]:
    notes = {
        who: note_of(value) for who, _, value in asked[NOTE] if not is_empty(value)
    }
    answered = []
    for who, status, value in asked[QUESTION]:
        choice = _submitted(status, value)
        if choice is not None:
            answered.append(
                Answered(ask_of(row), choice, who, notes.get(who, ""), None)
            )
    return answered


def _submitted(status: Any, value: Any) -> Choice | None:
    """The choice, a skip where it was discarded, or None where it is a draft."""
    if status == "discarded":
        return Choice("skip")
    if status in ("draft", "pending"):
        return None
    if status not in (None, "submitted"):
        raise Refused(
            f"status is {quoted(status)}; expected is submitted, discarded or draft"
        )
    return None if is_empty(value) else _preferred(value)


def _preferred(value: Any) -> Choice:
    """The choice that a label, a ranking or ranks mean."""
    if isinstance(value, Mapping):
        names, ranks = value.get("value"), value.get("rank")
        if not isinstance(names, list) or not isinstance(ranks, list):
            raise Refused("the value is an object; expected are lists rank and value")
        return _best(names, ranks)
    if not isinstance(value, list):
        return _response(value)
    if value and all(isinstance(item, Mapping) for item in value):
        return _best([i.get("value") for i in value], [i.get("rank") for i in value])
    if len(value) == 1:
        return _response(value[0])
    return _best(value, [*range(len(value))])


def _best(names: list[Any], ranks: list[Any]) -> Choice:
    """The response of the lower rank, or a tie."""
    words = [_response(name).word for name in names] if len(names) == 2 else []
    if sorted(words) != ["1", "2"] or len(ranks) != 2:
        raise Refused(
            f"the ranking is of {len(names)} names with {len(ranks)} ranks; expected"
            " are response1 and response2 with a rank each"
        )
    for rank in ranks:
        if isinstance(rank, bool) or not isinstance(rank, int | float):
            raise Refused(f"a rank is {quoted(rank)}; expected is a number")
    if ranks[0] == ranks[1]:
        return Choice("tie")
    return Choice(words[0] if ranks[0] < ranks[1] else words[1])


def _response(value: Any) -> Choice:
    # Version 1 calls responses replies.
    if isinstance(value, str) and len(value) == len("reply_1"):
        value = value.replace("reply", "response")
    return choice_of(value, QUESTION)
