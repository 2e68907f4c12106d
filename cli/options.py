"""One flag for each setting, derived from the settings themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from types import UnionType
from typing import Any, TypeVar, get_args, get_type_hints

import click

from onlinedpo.states.config import Settings
from onlinedpo.states.given import ALIASES

F = TypeVar("F", bound=Callable[..., Any])


class _Yaml(click.ParamType):  # type: ignore[type-arg]
    """A mapping, written as YAML or JSON: '{rank: 8, scale: 2.0, dropout: 0.0}'."""

    name = "mapping"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Parse it; anything but a mapping is left for the settings to refuse."""
        import yaml

        from onlinedpo.engine.run_folder import parse_yaml

        try:
            return parse_yaml(value) if isinstance(value, str) else value
        except yaml.YAMLError as error:
            self.fail(f"{value!r} is not YAML: {error}", param, ctx)


def settings_options(command: F) -> F:
    """Add all settings as flags.  None has a default: what is not given is not set."""
    hints = get_type_hints(Settings)
    aliases = {name: alias for alias, name in ALIASES.items()}
    for field in reversed(fields(Settings)):
        names = [field.name, *filter(None, [aliases.get(field.name)])]
        flags = [f"--{name.replace('_', '-')}" for name in names]
        if hints[field.name] is bool:
            flags = [f"{flag}/--no-{flag[2:]}" for flag in flags]
        command = click.option(
            *flags, field.name, default=None, **_kind(field, hints[field.name])
        )(command)
    return command


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that were given as flags."""
    names = {field.name for field in fields(Settings)}
    return {k: v for k, v in options.items() if k in names and v is not None}


def _kind(field: Field[Any], hint: Any) -> dict[str, Any]:
    options = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    told = {"help": field.metadata["help"] + _default(field)}
    choices = field.metadata["choices"]
    if choices and str in options:
        return {"type": click.Choice(choices), **told}
    kind = next((k for k in (bool, int, float, str) if k in options), None)
    return {"type": kind or _Yaml(), **told}


def _default(field: Field[Any]) -> str:
    if field.name == "judge_system":
        return "  [default: a rubric for correct, helpful and clear answers]"
    make = field.default_factory
    default = field.default if make is MISSING else make()
    return "" if default in (None, "", {}) else f"  [default: {default}]"
