"""What is printed: whatever it holds, it cannot drive the terminal.

Names, texts of models, answers of servers and values of settings may hold anything.
Every line goes through here, so that no command can forget it; the live views make
visible themselves what they draw.  JSON is escaped: it says the same to who reads it.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import click

from onlinedpo.states.visible import visible


def say(lines: str, *, err: bool = False) -> None:
    """Print lines for people."""
    click.echo(visible(lines), err=err)


def write(lines: str) -> None:
    """The same for one of very many, which need not be seen at once."""
    sys.stdout.write(visible(lines))


def say_json(facts: Any) -> None:
    """Print facts for programs, over as many lines as they need."""
    click.echo(as_json(facts, indent=2))


def put(content: str) -> None:
    """Print what is meant for a file: as it is, but for a terminal made visible."""
    click.echo(visible(content) if sys.stdout.isatty() else content, nl=False)


def as_json(facts: Any, *, indent: int | None = None) -> str:
    """Facts as JSON in ASCII, which has no number for what is not finite."""
    try:
        return json.dumps(facts, indent=indent, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(facts), indent=indent, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [*map(_finite, value)] if isinstance(value, list | tuple) else value
