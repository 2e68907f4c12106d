"""Text of models and people, and names with values, in lines for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from onlinedpo.cli.words import safe
from onlinedpo.states.visible import visible

WIDTH = 88


def quoted(title: str, text: str) -> Iterator[str]:
    """Text of a model or a person, in full: behind its title, or in lines of its own.

    Nothing in it can drive the terminal, nor be taken for a line of ours.
    """
    rows = visible(text).split("\n")
    if len(rows) == 1 and title and len(title) + len(text) <= WIDTH - 4:
        yield f"  {safe(title)}: {rows[0]}"
        return
    if title:
        yield f"  {safe(title)}:"
    yield from (f"    | {row}" for row in rows)


def wrapped(title: str, values: dict[str, Any]) -> list[str]:
    """Names and values, over as many lines as they need."""
    told = ", ".join(f"{k} {safe(str(v)) or '-'}" for k, v in values.items())
    return textwrap.wrap(
        f"{title}: {told}",
        WIDTH,
        initial_indent="  ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
