"""Text of models and people, made safe to show."""

from __future__ import annotations

import unicodedata


def visible(text: str) -> str:
    """The text with control, format and surrogate characters spelled out.

    Line feeds and tabs stay.  Without this a completion could move the cursor, hide
    what it says, or turn the direction of what follows.
    """
    text = text.replace("\r\n", "\n")
    return "".join(c if _harmless(c) else _spelled(c) for c in text)


def _harmless(c: str) -> bool:
    # The joiner makes one emoji of several.
    return c in "\n\t\u200d" or unicodedata.category(c)[0] != "C"


def _spelled(c: str) -> str:
    return f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\u{ord(c):04x}"
