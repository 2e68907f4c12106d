"""One row of a dropped file, and how much of one is read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

MAX_ROW = 2**20
"""Bytes of a row."""

LINE = re.compile(r"([^\r\n]*)(?:\r\n|\r|\n|\Z)")
"""A line as `[1]`, and how it ends.  Only these three: text may hold U+2028."""


class UnreadableFile(ValueError):
    """Nothing of the file can be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its `fields`, or None and the `reason` why it cannot be read.

    `number` is the line in the file, or in a JSON list the item, from 1.  `raw` is the
    verbatim line or lines, without the last line's end; for an item of a JSON list that
    was read it is its canonical JSON.  Of a row that is too long it is the beginning.
    """

    number: int
    raw: bytes
    fields: dict[str, Any] | None
    reason: str = ""


def cut(text: str, start: int, end: int, encoding: str) -> tuple[bytes, str]:
    """(the bytes that stood there, why they are too many or nothing)."""
    raw = text[start : min(end, start + MAX_ROW + 1)].encode(encoding)
    if len(raw) > MAX_ROW:
        return raw[:MAX_ROW], f"is longer than {MAX_ROW // 2**20} MB"
    return raw, ""
