"""An answer that a person gave in another program, and how its values are read.

Whatever the value, it is read or `Refused` in one line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onlinedpo.states.answers import Ask
from onlinedpo.states.people import choices
from onlinedpo.states.people.choices import Choice

Fields = Mapping[str, Any]

PLACES = (
    "odpo_id",
    "data.odpo_id",
    "metadata.odpo_id",
    "meta.odpo_id",
    "id",
    "question_id",
    "external_id",
)
"""Where a row may name its pair.  Programs use `id` and the like for their own too."""

_LONGEST_NAME = 200
_LONGEST_WORD = 64


class Refused(ValueError):
    """A row is no answer; the text says what was read and what is expected."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One person's answer to one ask.

    `choice` is as it was shown: response 1 or 2.  `annotator` is empty where the file
    does not say who it was, `seconds` None where it does not say how long it took.
    """

    ask: Ask
    choice: Choice
    annotator: str
    note: str
    seconds: float | None


def ask_of(row: Fields) -> Ask:
    """What the row answers."""
    read = ""
    found: dict[str, Ask] = {}
    for place in PLACES:
        value = _at(row, place)
        if value is None or value == "":
            continue
        read = read or f"{place} is {quoted(value)}"
        if ask := _named(value):
            found[place] = ask
        elif place.endswith("odpo_id"):
            # This name is ours alone: what stands there is meant.
            raise Refused(f"{place} is {quoted(value)}, which {_EXPECTED_NAME}")
    if not found:
        raise Refused(f"{read}, which {_EXPECTED_NAME}" if read else _NO_NAME)
    if len(set(found.values())) > 1:
        told = " and ".join(f"{place} is {ask}" for place, ask in found.items())
        raise Refused(f"{told}: it cannot be told which pair is meant")
    return next(iter(found.values()))


_EXPECTED_NAME = "names no pair; expected is a name such as 000042-9c1f0a77"
_NO_NAME = "no pair is named; expected is id, with a name such as 000042-9c1f0a77"


def _at(row: Fields, place: str) -> Any:
    if place in row:
        return row[place]
    outer, _, inner = place.partition(".")
    held = row.get(outer) if inner else None
    if isinstance(held, str) and held.lstrip().startswith("{"):
        held = parsed(held, outer)
    return held.get(inner) if isinstance(held, Mapping) else None


def _named(value: Any) -> Ask | None:
    # \d in a pattern is any script's digit, and int() has a limit.
    if not isinstance(value, str) or len(value) > _LONGEST_WORD or not value.isascii():
        return None
    return Ask.parse(value)


def is_empty(value: Any) -> bool:
    """Whether nothing was written there."""
    return value is None or (isinstance(value, str) and not value.strip())


def choice_of(value: Any, where: str) -> Choice:
    """The choice that a word means; `where` it stood is for the message."""
    # A column of 1, 2 and gaps comes out of some programs as 1.0 and 2.0.
    text = re.sub(r"^([12])\.0$", r"\1", text_of(value, where))
    choice = choices.read(text) if len(text) <= _LONGEST_WORD else None
    if choice is None:
        raise Refused(
            f"{where} is {quoted(value)}; expected is one of: {choices.EXPECTED}"
        )
    return choice


def name_of(value: Any, where: str) -> str:
    """Who it was: a name, a number, or an object with an email or id."""
    if isinstance(value, Mapping):
        value = value.get("email") or value.get("id")
    name = " ".join(text_of(value, where).split())
    if len(name) > _LONGEST_NAME:
        raise Refused(f"{where} is {quoted(name)}; expected is a shorter name")
    return name


def note_of(value: Any, where: str = "note") -> str:
    """What was added in words: a text, or a list of texts."""
    parts = value if isinstance(value, list) else [value]
    return "\n".join(text_of(part, where) for part in parts).strip()


def seconds_of(value: Any) -> float | None:
    """How long it took, or None: an answer does not depend on it."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds < 1e6 else None


def text_of(value: Any, where: str) -> str:
    """A text, or a whole number as a text; nothing is the empty text."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return str(value)
    if not isinstance(value, str):
        raise Refused(f"{where} is {quoted(value)}; expected is a text")
    return value


def parsed(text: str, where: str) -> Any:
    """What JSON inside a text means."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Refused(f"{where} is {quoted(text)}, which is no whole JSON") from None


def quoted(value: Any) -> str:
    """The value for a message: on one line, at most 80 characters."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "an empty list" if not value else "a list"
    if isinstance(value, int) and abs(value) >= 2**63:
        return "a very large number"
    told = repr(value[:80] if isinstance(value, str) else value)
    return told if len(told) <= 80 else f"{told[:77]}..."
