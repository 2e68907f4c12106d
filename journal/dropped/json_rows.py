"""Rows out of JSON and JSON lines, one object at a time, read strictly.

What Python's json would let pass is refused: a key that stands twice, NaN, a number
beyond all use.  Two programs would not read the same from it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from json import JSONDecodeError
from typing import Any

from onlinedpo.journal.dropped.rows import LINE, Row, cut

_DIGITS = 300
_SPACE = re.compile(r"[ \t\r\n]*")


def check(text: str) -> None:
    """Raise `JSONDecodeError` unless the text is one JSON value from end to end."""
    for _ in _items(text, _Values()):
        pass


def items(text: str, encoding: str) -> Iterator[Row]:
    """The items of a list as rows, or the one object that the text is."""
    values = _Values()
    for number, (value, start, end) in enumerate(_items(text, values), start=1):
        raw, reason = cut(text, start, end, encoding)
        if not reason:
            canonical, reason = _canonical(value, values.fault)
            raw = canonical or raw
        yield Row(number, raw, None if reason else value, reason)


def lines(text: str, encoding: str) -> Iterator[Row]:
    """Each line as a row; blank ones are passed over."""
    values = _Values()
    for number, line in enumerate(LINE.finditer(text), start=1):
        raw, reason = cut(text, *line.span(1), encoding)
        value = None
        if not reason:
            content = line[1].strip()
            if not content:
                continue
            try:
                value, end = values.read(content, 0)
                if end < len(content):
                    raise JSONDecodeError("Extra data", content, end)
                reason = _canonical(value, values.fault)[1]
            except JSONDecodeError as error:
                reason = f"is no JSON: column {error.colno}: {error.msg}"
        yield Row(number, raw, None if reason else value, reason)


def is_value(line: str) -> bool:
    """Whether a line is a JSON value by itself."""
    try:
        return _Values().read(line, 0)[1] == len(line)
    except JSONDecodeError:
        return False


class _Values:
    """Reads one value at a time; `fault` is what in the last one cannot be kept."""

    def __init__(self) -> None:
        self.fault = ""
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object,
            parse_int=self._int,
            parse_float=self._float,
            parse_constant=self._constant,
        )

    def read(self, text: str, at: int) -> tuple[Any, int]:
        """(the value that starts here, where it ends)."""
        self.fault = ""
        try:
            return self._decoder.raw_decode(text, at)
        except RecursionError:
            raise JSONDecodeError("It is nested too deeply", text, at) from None

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                self.fault = f"has the key {key[:80]!r} twice"
            found[key] = value
        return found

    def _int(self, digits: str) -> int:
        # The hooks note and go on: an exception would end the whole list.
        if len(digits) > _DIGITS:
            self.fault = f"has a number of {len(digits)} digits"
            return 0
        return int(digits)

    def _float(self, digits: str) -> float:
        number = float(digits)
        if abs(number) == float("inf"):
            self.fault = f"has the number {digits[:80]}, which is too large"
        return number

    def _constant(self, name: str) -> None:
        self.fault = f"has {name}, which is no number"


def _items(text: str, values: _Values) -> Iterator[tuple[Any, int, int]]:
    """(value, start, end) of each item of the list, or of the one value there is."""
    at = _skip(text, 0)
    if not text.startswith("[", at):
        value, end = values.read(text, at)
        yield value, at, end
    else:
        at = end = _skip(text, at + 1)
        more = not text.startswith("]", at)
        while more:
            value, end = values.read(text, at)
            yield value, at, end
            end = _skip(text, end)
            more = text.startswith(",", end)
            at = _skip(text, end + 1)
        if not text.startswith("]", end):
            raise JSONDecodeError("Expecting ',' or ']'", text, end)
        end += 1
    if (rest := _skip(text, end)) < len(text):
        raise JSONDecodeError("Extra data", text, rest)


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _canonical(value: Any, fault: str) -> tuple[bytes, str]:
    """(the row as canonical JSON, "") or (nothing, why it is no row)."""
    if fault:
        return b"", fault
    if not isinstance(value, dict):
        return b"", 'is no object with names, such as {"id": "...", "choice": "1"}'
    try:
        text = json.dumps(
            value, ensure_ascii=False, sort_keys=True, separators=(",", ":")
        )
        return text.encode(), ""
    except UnicodeEncodeError:
        return b"", "has half a character (a surrogate without the other)"
    except RecursionError:
        return b"", "is nested too deeply"
