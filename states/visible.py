"""Text of models and people, made safe to show, or to store in any file."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any


def visible(text: str) -> str:
    """The text with control, format, separator and surrogate characters spelled out.

    Line feeds and tabs stay.  Without this a completion could move the cursor, hide
    what it says, turn the direction of what follows, or begin what looks like a line.
    """
    if text.isprintable():
        return text
    text = text.replace("\r\n", "\n")
    return "".join(c if _harmless(c) else _spelled(c) for c in text)


def safe(text: str, *, width: int = 0) -> str:
    """The same in one line, perhaps cut to so many characters."""
    plain = visible(" ".join(text.split()))
    return plain[: width - 1] + "…" if width and len(plain) > width else plain


def storable(text: str) -> str:
    """The text with its lone surrogates replaced: no encoding has them."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def json_line(row: Mapping[str, Any]) -> str:
    """The row as JSON in one line, as every program sees lines; ends with none.

    What `visible` spells out is escaped: it is the same text to whoever reads the JSON,
    and can do nothing on a terminal.  Half a character is replaced, as in `storable`.
    """
    text = storable(json.dumps(row, ensure_ascii=False))
    if text.isprintable():
        return text
    return "".join(c if _harmless(c) else json.dumps(c)[1:-1] for c in text)


def _harmless(c: str) -> bool:
    # The joiner makes one emoji of several.  Spaces of all kinds are no separators.
    if c.isprintable() or c in "\n\t\u200d":
        return True
    return unicodedata.category(c) == "Zs"


def _spelled(c: str) -> str:
    code = ord(c)
    return f"\\x{code:02x}" if code < 256 else ascii(c)[1:-1]
