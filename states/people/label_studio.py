"""What Label Studio exports: JSON with all annotations, or one a row (JSON_MIN, CSV).

In JSON, several annotations are several people's, and a person's newest counts.  A
cancelled one is a skip; JSON_MIN and CSV leave those out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
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
    parsed,
    quoted,
    seconds_of,
)
from onlinedpo.states.people.choices import Choice

COMPARISON = "comparison"
"""The control of our labelling config that asks for left or right."""
OTHERWISE = "otherwise"
"""The one that asks for a tie or both bad, which a comparison cannot say."""


def task(row: Fields) -> list[Answered]:
    """The answers of one task, in the order of their people's first annotations."""
    annotations = row.get("annotations")
    if not isinstance(annotations, list | None):
        raise Refused(f"annotations is {quoted(annotations)}; expected is a list")
    newest: dict[str, Fields] = {}
    for annotation in annotations or []:
        if not isinstance(annotation, Mapping):
            raise Refused(f"an annotation is {quoted(annotation)}, not an object")
        who = name_of(annotation.get("completed_by"), "completed_by")
        if who not in newest or _saved(annotation) >= _saved(newest[who]):
            newest[who] = annotation
    answered = [_annotated(row, who, newest[who]) for who in newest]
    return [answer for answer in answered if answer]


def minimal(row: Fields) -> list[Answered]:
    """The answer of one row of JSON_MIN or CSV."""
    columns = (COMPARISON, OTHERWISE, "choice")
    choice = _agreed([c for name in columns for c in _chosen(row.get(name), name)])
    if choice is None:
        return []
    return [
        Answered(
            ask_of(row),
            choice,
            name_of(row.get("annotator"), "annotator"),
            note_of(row.get("note")),
            seconds_of(row.get("lead_time")),
        )
    ]


def _saved(annotation: Fields) -> float:
    """When it was last saved, as Unix seconds; the distant past if it does not say."""
    for name in ("updated_at", "created_at"):
        try:
            time = datetime.fromisoformat(annotation.get(name) or "")
            return time.replace(tzinfo=time.tzinfo or UTC).timestamp()
        except (TypeError, ValueError, OverflowError):
            continue
    return float("-inf")


def _annotated(row: Fields, who: str, annotation: Fields) -> Answered | None:
    cancelled = annotation.get("was_cancelled")
    if not isinstance(cancelled, bool | None):
        raise Refused(
            f"was_cancelled is {quoted(cancelled)}; expected is true or false"
        )
    choice, note = _result(annotation.get("result"))
    if cancelled:
        choice = Choice("skip")
    if choice is None:
        return None
    seconds = seconds_of(annotation.get("lead_time"))
    return Answered(ask_of(row), choice, who, note, seconds)


def _result(results: Any) -> tuple[Choice | None, str]:
    """(the choice, the note) of an annotation; None where it chooses nothing yet."""
    if not isinstance(results, list | None):
        raise Refused(f"result is {quoted(results)}; expected is a list")
    found: list[Choice] = []
    notes: list[str] = []
    others: list[Any] = []
    for result in results or []:
        if not isinstance(result, Mapping) or not isinstance(
            value := result.get("value"), Mapping
        ):
            raise Refused(f"a result is {quoted(result)} without a value to read")
        kind = result.get("type")
        if kind == "pairwise" or kind == "choices":
            found += _chosen(value, kind)
        elif kind == "textarea":
            notes.append(note_of(value.get("text"), "textarea"))
        else:
            others.append(kind)
    choice = _agreed(found)
    if choice is None and others:
        raise Refused(
            f"the result is of the type {quoted(others[0])}; expected is pairwise or"
            " choices"
        )
    return choice, "\n".join(notes)


def _chosen(value: Any, where: str, depth: int = 0) -> Iterator[Choice]:
    """All choices in a value: a word, {"selected"}, {"choices"}, a list, or JSON."""
    if depth > 4:
        raise Refused(f"{where} is nested too deeply")
    if is_empty(value):
        return
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        value = parsed(value, where)
    if isinstance(value, Mapping):
        named = next((n for n in ("selected", "choices") if n in value), None)
        if named is None:
            raise Refused(f"{where} is an object without selected or choices")
        yield from _chosen(value[named], named, depth + 1)
    elif isinstance(value, list):
        for part in value[:100]:
            yield from _chosen(part, where, depth + 1)
    else:
        yield choice_of(value, where)


def _agreed(found: list[Choice]) -> Choice | None:
    """The one choice, if any."""
    different = [*dict.fromkeys(found)]
    if len(different) > 1:
        told = " and ".join(map(str, different[:3]))
        raise Refused(f"it says both {told}; expected is one choice")
    return different[0] if different else None
