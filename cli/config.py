"""`onlinedpo config`: the settings that a run would have, and where each comes from."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click

from onlinedpo.cli.inspect import journal_of
from onlinedpo.cli.options import SettingsCommand, settings_options, title
from onlinedpo.cli.sources import Source, sources, together
from onlinedpo.cli.terminal import say, say_json
from onlinedpo.cli.words import safe
from onlinedpo.journal import snapshot
from onlinedpo.states import given
from onlinedpo.states.checks import plain
from onlinedpo.states.config import GROUPS, Settings
from onlinedpo.states.foreign.read import Given

_JOURNAL = "the run's journal"


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a setting's value comes from: a source, and there a key and its line."""

    source: str = "default"
    key: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        line = f" line {self.line}" if self.line else ""
        return f"{self.source}{line}{f', as {self.key}' if self.key else ''}"


@click.command(cls=SettingsCommand)
@click.argument("run_folder", metavar="[RUN]", required=False, type=Path)
@click.option("--demo", is_flag=True, help="With the settings of the demo.")
@click.option(
    "-c", "--config", "config_file", type=Path, help="YAML or JSON file with settings."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@settings_options
def config(
    run_folder: Path | None,
    demo: bool,
    config_file: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Print the settings that a run would have, and where each of them comes from.

    The arguments are those of 'onlinedpo run', and so are the mistakes: nothing is
    loaded, and nothing is written. What is printed is a settings file itself. Keys of
    mlx-lm-lora, MLX-LoRA-Studio, mlx-lm and TRL are translated; it says which, and
    which have no meaning here and why.

    \b
    Examples:
      onlinedpo config -c peer.yaml --iters 50
      onlinedpo config runs/mine                (of a run that has begun)
      onlinedpo config -c peer.yaml > mine.yaml
    """
    found = sources(demo, config_file, options)
    before: dict[str, Any] = {}
    if run_folder is None:
        settings = Settings(**together(found))
    else:
        settings, before, found = _of_run(run_folder, found)
    origins = _origins(before, found)
    if as_json:
        say_json(_facts(settings, origins, found))
    else:
        say("\n".join([*_yaml(settings, origins), *_notes(found)]))


def _of_run(
    folder: Path, found: list[Source]
) -> tuple[Settings, dict[str, Any], list[Source]]:
    """The settings with which 'onlinedpo run' would go on, or begin, in a folder.

    Also those that its journal holds, and the sources with its config.yaml.
    """
    from onlinedpo.engine.run_folder import RunFolder

    run = RunFolder(folder)
    run.check()
    if run.config.exists():
        name = str(run.config)
        found = [Source(name, Given(name, run.read_config())), *found]
    elif not any(source.given.settings for source in found):
        journal_of(folder)
    ledger = snapshot.stand(run.journal)[0] if run.has_journal() else None
    if ledger is None or ledger.opened is None:
        return Settings(**together(found)), {}, found
    return given.resume(ledger.settings, together(found)), ledger.settings, found


def _origins(before: dict[str, Any], found: Sequence[Source]) -> dict[str, _Origin]:
    """Where each setting comes from."""
    origins = {
        f.name: _Origin(_JOURNAL) if f.name in before else _Origin()
        for f in fields(Settings)
    }
    held = {**Settings().as_dict(), **before}
    for source in found:
        settings = source.given.settings
        merged = given.over(held, settings)
        for name, value in merged.items():
            if plain(value) == plain(held[name]) and (
                name not in settings or origins[name].source == _JOURNAL
            ):
                continue
            key = source.given.written.get(name, name)
            if name not in settings:
                (key,) = (k for k, other in given.INSTEAD.items() if other == name)
                key = f"{key} is given"
            line = source.lines.get(key.split(", ")[0])
            origins[name] = _Origin(source.name, key if key != name else None, line)
        held = merged
    return origins


def _yaml(settings: Settings, origins: dict[str, _Origin]) -> list[str]:
    """A settings file, each line with its origin."""
    lines: list[str] = []
    for group in GROUPS:
        lines += [*([""] if lines else []), f"# {title(group)}"]
        for f in fields(group):
            value = _value(getattr(settings, f.name))
            lines.append(f"{f.name}: {value}  # {safe(str(origins[f.name]))}")
    return lines


def _value(value: Any) -> str:
    """A value in YAML, in one line that a terminal can show."""
    import yaml

    if isinstance(value, str) and not value.isprintable():
        quoted = json.dumps(value, ensure_ascii=False)
        return "".join(
            f"\\U{ord(c):08x}" if unicodedata.category(c)[0] in "CZ" and c != " " else c
            for c in quoted
        )
    text: str = yaml.safe_dump(
        value,
        default_flow_style=True,
        sort_keys=False,
        allow_unicode=True,
        width=float("inf"),
    )
    return text.removesuffix("\n").removesuffix("\n...")


def _notes(found: Sequence[Source]) -> list[str]:
    """What became of the keys of other trainers, as comments."""
    lines: list[str] = []
    for source in found:
        notes = source.given.notes
        if notes:
            lines += ["", f"# {safe(source.given.where)}:"]
        for note in notes:
            became = (
                f" -> {note.became}"
                if note.became
                else f": no meaning here; {note.why}"
            )
            lines.append(f"#   {safe(note.key + became)}")
    return lines


def _facts(
    settings: Settings, origins: dict[str, _Origin], found: Sequence[Source]
) -> dict[str, Any]:
    """The same for programs."""
    notes = [
        (source.given.where, note) for source in found for note in source.given.notes
    ]
    return {
        "settings": settings.as_dict(),
        "sources": {
            name: {"from": origin.source, "key": origin.key, "line": origin.line}
            for name, origin in origins.items()
        },
        "translated": [
            {"where": where, "key": note.key, "became": note.became}
            for where, note in notes
            if note.became
        ],
        "ignored": [
            {"where": where, "key": note.key, "why": note.why}
            for where, note in notes
            if not note.became
        ],
    }
