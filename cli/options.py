"""One flag for each setting, derived from the settings; those of others hidden."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, Field, fields
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_type_hints

import click

from onlinedpo.states.config import GROUPS, Settings
from onlinedpo.states.foreign.names_data import ALIASES, UNUSED
from onlinedpo.states.foreign.read import Given, read
from onlinedpo.states.foreign.values import VALUES

F = TypeVar("F", bound=Callable[..., Any])

_NULL = object()
"""The flag was given as null: None says that it was not given."""
_ELSEWHERE = ("train", "do_train", "do_eval", "test", "fuse", "mask_prompt", "use_peft")
_SWITCHES = (
    *(*_ELSEWHERE, "efficient_long_context", "qat_enable", "bf16", "fp16", "use_vllm"),
    *(key for key in VALUES if key.startswith("load_in_")),
)
"""Flags of other trainers that take no value."""


class _Value(click.ParamType):  # type: ignore[type-arg]
    """A value of a setting: of another type, or null, or written as YAML."""

    def __init__(self, name: str, inner: Any = None, *, nullable: bool = False) -> None:
        """`inner` is click's type, or None for a mapping or list."""
        self.name, self._inner, self._nullable = name, inner, nullable

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Parse it; what is no fitting mapping is left for the settings to refuse."""
        if self._nullable and value == "null":
            return _NULL
        if self._inner is not None or not isinstance(value, str):
            return self._inner.convert(value, param, ctx) if self._inner else value
        from onlinedpo.engine.settings_file import parse

        parsed, _ = parse(value, param.opts[0])
        if self.name == "list" and isinstance(parsed, str):
            return [item.strip() for item in parsed.split(",")]
        return _NULL if parsed is None else parsed


class _Setting(click.Option):
    """A setting's flag, which is shown without the names that others have for it."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The first name, what it takes, and what it is."""
        if self.hidden:
            return None
        name = self.opts[0]
        if self.secondary_opts:
            return f"--[no-]{name[2:]}", self.help or ""
        return f"{name} {self.metavar}", self.help or ""


class SettingsCommand(click.Command):
    """A command whose help shows the settings by what they are for."""

    def format_options(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """The command's own options, then each group of settings."""
        records: dict[str, list[tuple[str, str]]] = {"Options": []}
        group = {f.name: title(g) for g in GROUPS for f in fields(g)}
        for heading in group.values():
            records.setdefault(heading, [])
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record and isinstance(parameter, click.Option):
                records[group.get(str(parameter.name), "Options")].append(record)
        for heading, rows in records.items():
            if not rows:
                continue
            with formatter.section(heading):
                formatter.write_dl(rows, col_max=28)


def title(group: type) -> str:
    """What a group of settings is about."""
    return (group.__doc__ or "").splitlines()[0].removesuffix(".")


def settings_options(command: F) -> F:
    """Add all settings as flags.  None has a default: what is not given is not set."""
    for key in reversed([*VALUES, *UNUSED]):
        if key != "config":
            command = _foreign(key)(command)
    return add_settings(command, [field.name for field in fields(Settings)])


def add_settings(command: F, names: Collection[str], *, defaults: bool = True) -> F:
    """Add these settings as flags, which may tell their defaults."""
    hints = get_type_hints(Settings)
    for field in reversed([f for f in fields(Settings) if f.name in names]):
        names = [field.name, *(a for a, name in ALIASES.items() if name == field.name)]
        flags = [f"--{name.replace('_', '-')}" for name in names]
        if hints[field.name] is bool:
            flags = [f"{flag}/--no-{flag[2:]}" for flag in flags]
        command = click.option(
            *flags,
            field.name,
            default=None,
            cls=_Setting,
            help=field.metadata["help"] + (_default(field) if defaults else ""),
            **_kind(field, hints[field.name]),
        )(command)
    return command


def _foreign(key: str) -> Callable[[F], F]:
    """A flag of another trainer: hidden, and read as its key in a file is."""
    flag = f"--{key.replace('_', '-')}"
    if key in _SWITCHES:
        return click.option(flag, key, is_flag=True, default=None, hidden=True)
    return click.option(flag, key, type=_Value("value"), default=None, hidden=True)


def flags(options: Mapping[str, Any]) -> Given:
    """What was given as flags; raises `UsageError`."""
    known = {*(field.name for field in fields(Settings)), *VALUES, *UNUSED}
    given = {
        name: None if value is _NULL else value
        for name, value in options.items()
        if name in known and value is not None
    }
    return read(given, "the flags")


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that were given as flags."""
    return flags(options).settings


def _kind(field: Field[Any], hint: Any) -> dict[str, Any]:
    """click's type of a flag, and how what it takes is shown."""
    options = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    nullable = NoneType in options
    if hint is bool:
        return {}
    if choices := field.metadata["choices"]:
        if str in options:
            inner: Any = click.Choice(choices, case_sensitive=False)
        else:
            inner = click.INT
        shown = "|".join(map(str, choices))
        return {"type": _Value("choice", inner, nullable=nullable), "metavar": shown}
    kind = next((k for k in (int, float, str) if k in options), None)
    if kind is None:
        name = "mapping" if any("dict" in str(o) for o in options) else "list"
        return {"type": _Value(name, nullable=nullable), "metavar": name.upper()}
    name, inner = {
        int: ("integer", click.INT),
        float: ("number", click.FLOAT),
        str: ("text", click.STRING),
    }[kind]
    return {"type": _Value(name, inner, nullable=nullable), "metavar": name.upper()}


def _default(field: Field[Any]) -> str:
    if field.name == "judge_system":
        return "  [default: a rubric for correct, helpful and clear answers]"
    make = field.default_factory
    default = field.default if make is MISSING else make()
    if default is True or default is False:
        return f"  [default: {'yes' if default else 'no'}]"
    return "" if default in (None, "", {}) else f"  [default: {default}]"
