"""Rows out of files of text: JSON lines, JSON, CSV, and a prompt a line."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from onlinedpo.engine.data.rows import EXAMPLE, Row, in_line, no_object
from onlinedpo.states.errors import UsageError

# Process-wide, and only raised: with Python's 128 kB a long completion would not fit.
csv.field_size_limit(max(2**31 - 1, csv.field_size_limit()))


def json_lines(path: Path) -> Iterator[Row]:
    """An object a line; blank lines are passed over."""
    # Not universal newlines: text may hold separators of other kinds within a line.
    for number, line in _lines(path, newline="\n"):
        if line.strip():
            where = f"{path}:{number}"
            yield _row(where, _parsed(line, where))


def json_rows(path: Path) -> Iterator[Row]:
    """A list of objects, perhaps under the key `data`; or an object a line."""
    text = "".join(line for _, line in _lines(path, newline=""))
    if not text.strip():
        return
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and text.lstrip().startswith("{"):
            yield from json_lines(path)
            return
        raise _no_json(f"{path}:{error.lineno}", error) from None
    except (ValueError, RecursionError) as error:
        raise _no_json(str(path), error) from None
    if isinstance(value, dict):
        held = value.get("data")
        value = held if isinstance(held, list) else [value]
    if not isinstance(value, list):
        raise no_object(str(path), value)
    for number, item in enumerate(value, start=1):
        yield _row(f"{path}, row {number}", item)


def csv_rows(path: Path, mark: str = "") -> Iterator[Row]:
    """Rows under a header; `mark` parts the columns, else comma, semicolon or tab."""
    names: list[str] = []
    for where, cells in _records(path, mark or _delimiter(path)):
        if not names:
            names = [cell.strip() for cell in cells]
            times = Counter(name for name in names if name)
            if twice := [name for name, count in times.items() if count > 1]:
                raise UsageError(
                    f"{where} has the column '{in_line(twice[0])}' twice",
                    hint="Give each column a name of its own.",
                )
        elif len(cells) != len(names):
            raise UsageError(
                f"{where} has {len(cells)} cells, but there are {len(names)} columns",
                hint="Put text with a comma in it in quotes, or use JSON lines.",
            )
        else:
            yield Row(where, dict(zip(names, cells, strict=True)), names)


def text_lines(path: Path, column: str) -> Iterator[Row]:
    """A prompt a line, as the only column; blank lines are passed over."""
    for number, line in _lines(path, newline=None):
        if text := line.strip():
            yield Row(f"{path}:{number}", {column: text}, (column,))


def _lines(path: Path, *, newline: str | None) -> Iterator[tuple[int, str]]:
    """(number, line with its end) of a text in UTF-8; raises `UsageError`."""
    number = 0
    try:
        with path.open(encoding="utf-8-sig", newline=newline) as file:
            for number, line in enumerate(file, start=1):
                if "\0" in line:
                    raise UsageError(
                        f"{path}:{number} holds a NUL byte, so it is no text",
                        hint="Is it another kind of file, or UTF-16? Save it as UTF-8.",
                    )
                yield number, line
    except UnicodeDecodeError:
        raise _no_utf8(path) from None
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror or error}",
            hint="Give a file or folder that can be read.",
        ) from None


def _no_utf8(path: Path) -> UsageError:
    """The error that a file is not UTF-8, with the place: decoding does not tell it."""
    at = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if number == 1 and line.startswith((b"\xff\xfe", b"\xfe\xff")):
                return UsageError(
                    f"{path} is UTF-16, not UTF-8", hint="Save it as UTF-8."
                )
            try:
                line.decode()
            except UnicodeDecodeError as error:
                where, byte = at + error.start, line[error.start]
                return UsageError(
                    f"{path}:{number} is not UTF-8: byte {where} of the file is"
                    f" 0x{byte:02x}",
                    hint="Save it as UTF-8; from a spreadsheet, as CSV UTF-8.",
                )
            at += len(line)
    return UsageError(f"{path} is not UTF-8", hint="Save it as UTF-8.")


def _parsed(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _no_json(where, error) from None


def _no_json(where: str, error: Exception) -> UsageError:
    reason = str(error)
    if isinstance(error, json.JSONDecodeError):
        reason = f"column {error.colno}: {error.msg}"
    elif isinstance(error, RecursionError):
        reason = "it is nested too deeply"
    return UsageError(f"{where} is not JSON: {reason}", hint=EXAMPLE)


def _row(where: str, value: Any) -> Row:
    if not isinstance(value, dict):
        raise no_object(where, value)
    return Row(where, value, value)


def _delimiter(path: Path) -> str:
    """What parts the columns of the first line that is not blank."""
    lines = (line for _, line in _lines(path, newline="") if line.strip())
    header = next(lines, "")
    return max(",;\t", key=lambda mark: len(next(csv.reader([header], delimiter=mark))))


def _records(path: Path, mark: str) -> Iterator[tuple[str, list[str]]]:
    """(where it begins, cells) of each record that is not blank."""
    lines = (line for _, line in _lines(path, newline=""))
    reader = csv.reader(lines, delimiter=mark, strict=True)
    while True:
        where = f"{path}:{reader.line_num + 1}"
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UsageError(
                f"{where} is not CSV: {error}",
                hint='Text with commas, quotes or line breaks stands in "quotes", and a'
                ' quote in it is written "".',
            ) from None
        if any(cell.strip() for cell in cells):
            yield where, cells
