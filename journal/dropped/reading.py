"""A file that somebody dropped, as rows: JSON, JSON lines or CSV, told by its content.

A row that cannot be read says why and does not stop the others.  Rows are read one at
a time, so that a large file is never in memory as objects.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from json import JSONDecodeError
from typing import Literal

from onlinedpo.journal.dropped import csv_rows, json_rows
from onlinedpo.journal.dropped.rows import LINE
from onlinedpo.journal.dropped.rows import MAX_ROW as MAX_ROW
from onlinedpo.journal.dropped.rows import Row as Row
from onlinedpo.journal.dropped.rows import UnreadableFile as UnreadableFile

MAX_FILE = 64 * 2**20
"""Bytes of a file; a larger one is better refused before it is read."""

_MAX_LINES = 1_000_000
_MAX_NESTED = 4_000_000

Container = Literal["json", "jsonl", "csv"]

_BOMS = {
    b"\xef\xbb\xbf": "utf-8",
    b"\xff\xfe": "utf-16-le",
    b"\xfe\xff": "utf-16-be",
}


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a file, in its order, to be gone through as often as one likes."""

    container: Container
    encoding: str
    _text: str = field(repr=False)
    _delimiter: str = field(default="", repr=False)

    def __iter__(self) -> Iterator[Row]:
        """Read the rows one by one."""
        if self.container == "json":
            return json_rows.items(self._text, self.encoding)
        if self.container == "jsonl":
            return json_rows.lines(self._text, self.encoding)
        return csv_rows.rows(self._text, self.encoding, self._delimiter)


def read(name: str, data: bytes) -> Rows:
    """The rows of a file; raises `UnreadableFile`.

    The name only decides where the content leaves it open.
    """
    if len(data) > MAX_FILE:
        raise UnreadableFile(f"is larger than {MAX_FILE // 2**20} MB")
    text, encoding = _decoded(data)
    container = _container(name, text)
    _countable(container, text)
    if container == "csv":
        return Rows(container, encoding, text, csv_rows.delimiter(text))
    if container == "json":
        # All of it or nothing: whoever wrote half a list meant to write the rest.
        try:
            json_rows.check(text)
        except JSONDecodeError as error:
            raise UnreadableFile(
                f"is no JSON: line {error.lineno}, column {error.colno}: {error.msg}"
            ) from error
    return Rows(container, encoding, text)


def _decoded(data: bytes) -> tuple[str, str]:
    """(text, encoding) without the byte order mark."""
    bom = next((bom for bom in _BOMS if data.startswith(bom)), b"")
    encoding = _BOMS.get(bom, "utf-8")
    try:
        text = data[len(bom) :].decode(encoding)
    except UnicodeDecodeError as error:
        at = len(bom) + error.start
        raise UnreadableFile(
            f"is neither UTF-8 nor UTF-16 with a byte order mark (byte {at} is"
            f" 0x{data[at]:02x}). Save it as UTF-8; from a spreadsheet, as CSV UTF-8."
        ) from error
    if "\0" in text:
        raise UnreadableFile("is binary: it holds NUL bytes. Save it as text.")
    if not text.strip():
        raise UnreadableFile("is empty")
    return text, encoding


def _countable(container: Container, text: str) -> None:
    """Refuse what would be small as a file, and for hours or gigabytes as rows."""
    if container == "json":
        # An item is in memory as a whole, however many things it consists of.
        if text.count("[") + text.count("{") > _MAX_NESTED:
            raise UnreadableFile(f"has more than {_MAX_NESTED:,} lists and objects")
    elif max(text.count("\n"), text.count("\r")) > _MAX_LINES:
        raise UnreadableFile(f"has more than {_MAX_LINES:,} lines")


def _container(name: str, text: str) -> Container:
    """What the file is, by its first two lines that are not blank."""
    suffix = name.rpartition(".")[2].casefold()
    lines = suffix in ("jsonl", "ndjson")
    first, second = _first_lines(text)
    if first.startswith("["):
        return "jsonl" if second and json_rows.is_value(first) else "json"
    if first.startswith("{"):
        goes_on = first.endswith(("[", ":", ","))
        several = second.startswith("{") and not goes_on
        whole = not second or first.endswith("}") or (lines and first != "{")
        return "jsonl" if several or whole else "json"
    # A first line that is no JSON need not spoil the others.
    return "jsonl" if lines and re.search(r"^[ \t]*\{", text, re.M) else "csv"


def _first_lines(text: str) -> tuple[str, str]:
    found: list[str] = []
    for line in islice(LINE.finditer(text), 1000):
        start, end = line.span(1)
        # The end tells what a line is as much as its start.
        long = end - start > 2 * MAX_ROW
        cut = text[start : start + MAX_ROW] + text[end - MAX_ROW : end]
        if content := (cut if long else line[1]).strip():
            found.append(content)
        if len(found) == 2:
            break
    first, second, *_ = [*found, "", ""]
    return first, second
