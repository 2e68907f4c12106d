"""Where settings come from: the demo, a settings file, the flags, in that order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onlinedpo.cli.options import flags
from onlinedpo.states import given
from onlinedpo.states.foreign.read import Given


@dataclass(frozen=True, slots=True)
class Source:
    """One source: its name, what it gives, and the lines of a file's keys."""

    name: str
    given: Given
    lines: Mapping[str, int] = field(default_factory=dict)


def sources(
    demo: bool, config_file: Path | None, options: Mapping[str, Any]
) -> list[Source]:
    """All that is given for a run, the strongest last; raises `UsageError`."""
    found = []
    if demo:
        from onlinedpo.cli import demo as included

        found.append(Source("--demo", Given("--demo", included.settings())))
    if config_file:
        from onlinedpo.engine.settings_file import read_file

        found.append(Source(str(config_file), *read_file(config_file)))
    return [*found, Source("flag", flags(options))]


def together(found: Sequence[Source]) -> dict[str, Any]:
    """The settings of several sources, of which a later one wins."""
    wanted: dict[str, Any] = {}
    for source in found:
        wanted = given.over(wanted, source.given.settings)
    return wanted


def translations(found: Sequence[Source], why: str) -> list[str]:
    """What became of other trainers' keys, in a line or two a source.

    `why` is where more is said of those without meaning.
    """
    lines = []
    for source in found:
        notes, where = source.given.notes, source.given.where
        if became := [f"{note.key} -> {note.became}" for note in notes if note.became]:
            lines.append(f"{where}: read as ours: {'; '.join(became)}")
        if unused := [note.key for note in notes if not note.became]:
            lines.append(f"{where}: without meaning here: {', '.join(unused)} ({why})")
    return lines
