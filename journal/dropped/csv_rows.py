"""Rows out of CSV, with commas, semicolons or tabs, and quoted fields of many lines."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from itertools import islice

from onlinedpo.journal.dropped.rows import LINE, MAX_ROW, Row, UnreadableFile, cut

_DELIMITERS = (",", ";", "\t")
_MOST_CELLS = 2**26

# Process-wide, and only raised: with Python's 128 kB a long completion would not fit.
csv.field_size_limit(max(MAX_ROW, csv.field_size_limit()))


def delimiter(text: str) -> str:
    """What parts the columns; raises `UnreadableFile` where there are none."""
    parted = {mark: _header(text, mark) for mark in _DELIMITERS}
    best = max(_DELIMITERS, key=lambda mark: len(parted[mark]))
    names = parted[best]
    if len(names) < 2:
        raise UnreadableFile(
            "is no JSON, and no CSV either: its first line has no comma, semicolon or"
            " tab between names of columns"
        )
    twice = next((n for n, times in Counter(names).items() if n and times > 1), "")
    if twice:
        raise UnreadableFile(f"has the column {twice[:80]!r} twice")
    # A cell takes a byte at least; but of short rows the rest are made up.
    if len(names) * max(text.count("\n"), text.count("\r")) > _MOST_CELLS:
        raise UnreadableFile(
            f"has {len(names):,} columns, and more than {_MOST_CELLS:,} cells in all"
        )
    return best


def rows(text: str, encoding: str, mark: str) -> Iterator[Row]:
    """Each row under the header; blank ones are passed over."""
    names: list[str] = []
    for number, start, stop, cells, reason in _records(text, mark):
        raw, too_long = cut(text, start, stop, encoding)
        reason = too_long or reason
        if not reason and _blank(cells):
            continue
        if not names:
            names = [name.strip() for name in cells]
            continue
        if not reason and not _blank(cells[len(names) :]):
            reason = f"has {len(cells)} cells, but there are {len(names)} columns"
        # Spreadsheets leave out empty cells at the end of a row.
        cells += [""] * (len(names) - len(cells))
        fields = {name: cell for name, cell in zip(names, cells, strict=False) if name}
        yield Row(number, raw, None if reason else fields, reason)


def _header(text: str, mark: str) -> list[str]:
    for _, start, stop, cells, reason in islice(_records(text, mark), 1000):
        if reason or stop - start > MAX_ROW:
            return []
        if not _blank(cells):
            return [name.strip() for name in cells]
    return []


def _blank(cells: list[str]) -> bool:
    return not any(cell.strip() for cell in cells)


def _records(text: str, mark: str) -> Iterator[tuple[int, int, int, list[str], str]]:
    """(first line, start, stop, cells, why they cannot be told) of each record."""
    lines = _Lines(text)
    reader = csv.reader(lines, delimiter=mark, strict=True)
    while True:
        number, start = lines.number + 1, lines.end
        cells: list[str] = []
        reason = ""
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = f"is no CSV: {error}"
        yield number, start, lines.stop, cells, reason


class _Lines:
    """Lines for the csv module, and how far it has read."""

    def __init__(self, text: str) -> None:
        self.number = 0
        self.stop = self.end = 0
        self._found = LINE.finditer(text)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._found)
        self.number += 1
        self.stop, self.end = line.end(1), line.end()
        # A row that is too long is never used: spare the work.
        return "\n" if self.stop - line.start() > MAX_ROW else line[0]
