"""What a server says in the place of an answer: why, and when to ask again."""

from __future__ import annotations

import json
import time
from email.utils import parsedate_to_datetime


def message(text: str) -> str:
    """What a server says of an error, in a line."""
    try:
        found = json.loads(text)
        for key in ("error", "message", "detail"):
            while isinstance(found, dict) and key in found:
                found = found[key]
        return line(found if isinstance(found, str) else json.dumps(found))
    except (ValueError, RecursionError):
        return line(text)


def line(text: str, most: int = 200) -> str:
    """Foreign text in one line of printable characters, cut."""
    shown = "".join(c if c.isprintable() else " " for c in text[: 4 * most])
    words = " ".join(shown.split())
    return words if len(words) <= most else f"{words[:most]}..."


def retry_after(value: str) -> float:
    """Seconds, of which the header gives the number or the end."""
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0
