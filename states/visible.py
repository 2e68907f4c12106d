"""Text of models and people, made safe to show, or to store in any file."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any


def visible(text: str) -> str:
    """The text with control, format and surrogate characters spelled out.

    Line feeds and tabs stay.  Without this a completion could move the cursor, hide
    what it says, or turn the direction of what follows.
    """
    text = text.replace("\r\n", "\n")
    return "".join(c if _harmless(c) else _spelled(c) for c in text)


def storable(text: str) -> str:
    """The text with its lone surrogates replaced: no encoding has them."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def json_line(row: Mapping[str, Any]) -> str:
    """The row as JSON in one line, as every program sees lines; ends with none."""
    text = json.dumps(row, ensure_ascii=False)
    # Some programs take these for the end of a line.
    return re.sub("[\x85\u2028\u2029]", lambda c: f"\\u{ord(c[0]):04x}", text)


def _harmless(c: str) -> bool:
    # The joiner makes one emoji of several.
    return c in "\n\t\u200d" or unicodedata.category(c)[0] != "C"


def _spelled(c: str) -> str:
    return f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\u{ord(c):04x}"
