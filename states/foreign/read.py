"""A file's keys, or the flags, as settings: ours as they stand, others translated."""

from __future__ import annotations

import difflib
import json
from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from types import NoneType
from typing import Any, get_args, get_type_hints

from onlinedpo.states.checks import numbers, plain
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError
from onlinedpo.states.foreign.names_data import ALIASES, BLOCKS, NOTHING, UNUSED
from onlinedpo.states.foreign.values import REWRITTEN, VALUES

HINTS = get_type_hints(Settings)
_CHOICES = {f.name: f.metadata["choices"] for f in fields(Settings)}
_NUMBERS = ("lr_schedule", "beta_schedule", "optimizer_config")
_SHARED = ("lora_parameters", "optimizer_config")
"""Settings that several keys may say a part of."""


@dataclass(frozen=True, slots=True)
class Note:
    """A key that is no setting: what became of it, or why it decides nothing."""

    key: str
    became: str = ""
    why: str = ""


@dataclass(slots=True)
class Given:
    """Settings that a file or the flags give, and what became of foreign keys."""

    where: str
    settings: dict[str, Any] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)
    """For each setting the key that it was written as."""
    notes: list[Note] = field(default_factory=list)

    def take(self, name: str, value: Any, key: str) -> None:
        """Note a setting; raises `UsageError` if it is there already."""
        before = self.settings.get(name)
        if name in _SHARED and isinstance(before, dict) and isinstance(value, dict):
            value = _joined(name, before, value)
            key = f"{self.written[name]}, {key}"
        elif name in self.settings:
            other = key if key != name else self.written[name]
            raise UsageError(
                f"'{name}' is given twice in {self.where}, once as '{other}'",
                hint="Keep one of the two.",
            )
        self.settings[name], self.written[name] = value, key


def read(
    values: Mapping[Any, Any], where: str, lines: Mapping[str, int] | None = None
) -> Given:
    """Settings out of a YAML mapping, with the lines of its keys, or the flags.

    Raises `UsageError` for an unknown key, with the nearest known one, and for a key of
    another trainer that asks for what this program does not do.
    """
    given, foreign = Given(where), dict[str, tuple[str, Any]]()
    for path, key, value in _flat(values, where):
        name = ALIASES.get(key, key)
        if name in HINTS:
            _own(given, name, value, path)
        elif key in UNUSED:
            given.notes.append(Note(path, why=UNUSED[key]))
        elif key not in VALUES:
            line = (lines or {}).get(path)
            raise _unknown(path, key, f"{where}:{line}" if line else where)
        elif key in foreign:
            raise UsageError(
                f"'{key}' is given twice in {where}", hint="Keep one of the two."
            )
        elif value is None:
            given.notes.append(Note(path, why="it is null"))
        else:
            foreign[key] = (path, value)
    _translate(given, foreign)
    _rewrite(given)
    return given


def _flat(values: Mapping[Any, Any], where: str) -> Iterator[tuple[str, Any, Any]]:
    """Each key with its path; those within a block of Studio's in its words."""
    for key, value in values.items():
        if key in BLOCKS and isinstance(value, Mapping):
            for inner, item in value.items():
                yield f"{key}.{inner}", BLOCKS[key].get(inner, inner), item
        elif key in BLOCKS and key not in UNUSED and key not in VALUES:
            raise UsageError(
                f"'{key}' in {where} is {value!r}, which is not a mapping",
                hint="Its keys stand below it, or without it.",
            )
        else:
            yield str(key), key, value


def _own(given: Given, name: str, value: Any, path: str) -> None:
    """A setting under its own name or an alias."""
    options = get_args(HINTS[name])
    if value is None and NoneType not in options:
        return  # As mlx-lm has it: the default.
    if name.endswith("_feature") and value in ("auto", ""):
        return
    if name == "judge_system" and value == "":
        return
    if isinstance(value, str) and value not in _CHOICES[name]:
        lower = value.strip().lower()
        value = lower if lower in _CHOICES[name] else value
    if name in _NUMBERS:
        value = numbers(value)
    given.take(name, value, path)
    if path != name:
        given.notes.append(Note(path, f"{name}: {shown(value)}"))


def _translate(given: Given, foreign: Mapping[str, tuple[str, Any]]) -> None:
    """Foreign keys as settings, in the order in which one may need another."""
    seen = ChainMap(given.settings, {key: value for key, (_, value) in foreign.items()})
    for key in (key for key in VALUES if key in foreign):
        path, value = foreign[key]
        became = VALUES[key](value, seen)
        for name, item in became.items():
            given.take(name, item, path)
        told = ", ".join(f"{name}: {shown(item)}" for name, item in became.items())
        given.notes.append(Note(path, told, "" if told else NOTHING.get(key, "")))


def _rewrite(given: Given) -> None:
    """Settings whose value is in another trainer's form."""
    settings = given.settings
    if given.notes and settings.get("iters") and settings.get("epochs"):
        del settings["epochs"]
        given.notes.append(Note("epochs", why="iters is given too, and wins there"))
    if settings.get("steps_per_eval") in (-1, 0):
        del settings["steps_per_eval"]
        settings["val_prompts"] = 0
        given.notes.append(Note("steps_per_eval: -1", "val_prompts: 0"))
    for name in (name for name in REWRITTEN if name in settings):
        before = given.settings[name]
        after = REWRITTEN[name](before, given.settings)
        given.settings[name] = after
        if plain(before) != plain(after):
            given.notes.append(
                Note(f"{name}: {shown(before)}", f"{name}: {shown(after)}")
            )


def _joined(name: str, one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Two parts of a mapping; raises `UsageError` if both say the same."""
    if twice := sorted(set(one) & set(other)):
        raise UsageError(
            f"{name}'s {twice[0]} is given twice", hint="Keep one of the two."
        )
    return {**one, **other}


def _unknown(path: str, key: Any, where: str) -> UsageError:
    known = [*HINTS, *ALIASES, *VALUES, *UNUSED]
    near = difflib.get_close_matches(str(key), known, n=1)
    hint = f"Did you mean '{near[0]}'?" if near else "See onlinedpo run --help."
    return UsageError(f"unknown setting '{path}' in {where}", hint=hint)


def shown(value: Any) -> str:
    """A value as a settings file has it, in one line."""
    return value if isinstance(value, str) else json.dumps(value, default=str)
