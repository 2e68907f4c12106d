"""Whether a value may stand for a setting: its type, its range, its choices."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from types import NoneType
from typing import Any, get_args

from onlinedpo.states.errors import UsageError


def plain(value: Any) -> Any:
    """Lists and tuples compare alike: the journal keeps lists as tuples."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def typed(name: str, value: Any, hint: Any) -> Any:
    """A setting's value as the type of its field; raises `UsageError` naming it."""
    options = get_args(hint) if NoneType in get_args(hint) else (hint,)
    if value is None and NoneType in options:
        return None
    kinds = {getattr(o, "__origin__", o): o for o in options if o is not NoneType}
    several = list in kinds and isinstance(value, list | tuple)
    kind = list if several else next(iter(kinds))
    if kind is str and value == "" and NoneType in options:
        return None
    if kind is int and isinstance(value, float) and value.is_integer():
        # 1e3 is a fraction to YAML, and JSON has no whole numbers.
        return int(value)
    if kind is float and isinstance(value, int | str) and not isinstance(value, bool):
        # YAML 1.1 reads 1e-5 as text.
        with suppress(ValueError, OverflowError):
            return float(value)
    if kind is list and isinstance(value, list | tuple):
        of = get_args(kinds[list])[0]
        if all(isinstance(item, getattr(of, "__origin__", of)) for item in value):
            writable(name, value)
            return plain(value)
    elif isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        writable(name, value)
        return plain(value)
    quoted = isinstance(value, str) and value.strip().isdecimal()
    wanted = _KINDS[next(iter(kinds))]
    raise UsageError(
        f"{name} is {value!r}, which is not {wanted}",
        hint=f"Give {name} as {wanted}{', without quotes' * quoted}.",
    )


def numbers(value: Any) -> Any:
    """A value with each text in it that YAML 1.2 has as a number, such as 1e-5."""
    if isinstance(value, Mapping):
        return {key: numbers(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [numbers(item) for item in value]
    if isinstance(value, str) and _SCIENTIFIC.fullmatch(value):
        return float(value)
    return value


_SCIENTIFIC = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")


DEEPEST = 50
"""Levels of what a run keeps, which has about ten."""

_SCALARS = frozenset({str, int, float, bool, NoneType})
_TEXT = frozenset({str})


def is_shallow(value: Any, depth: int = 0) -> bool:
    """Whether a value is not nested too deeply to be gone through."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return True
    if _SCALARS.issuperset(map(type, value)):
        return True
    return depth < DEEPEST and all(is_shallow(item, depth + 1) for item in value)


def is_json(value: Any, depth: int = 0) -> bool:
    """Whether JSON has a form for a mapping or list, which is not nested too deeply."""
    if type(value) is dict:
        if not _TEXT.issuperset(map(type, value)):
            return False
        value = value.values()
    elif type(value) not in (list, tuple):
        return type(value) in _SCALARS
    if _SCALARS.issuperset(map(type, value)):
        return True
    return depth < DEEPEST and all(is_json(item, depth + 1) for item in value)


def writable(name: str, value: Any, depth: int = 0) -> None:
    """Raise `UsageError` for what neither the journal nor YAML could give back."""
    if depth >= DEEPEST:
        raise UsageError(
            f"{name} is nested too deeply", hint=f"{DEEPEST} levels are enough."
        )
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise UsageError(
                    f"{name} has the key {key!r}", hint="Keys are names, as text."
                )
            writable(f"{name}'s {key}", item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            writable(name, item, depth + 1)
    elif isinstance(value, int | float):
        check(name, value, _ANY)
    elif isinstance(value, str):
        if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
            raise UsageError(
                f"{name} is {value!r}", hint="It holds a character that is no text."
            )
    elif value is not None:
        raise UsageError(
            f"{name} is {value!r}",
            hint="Give numbers, texts, true, false, null, lists or mappings of them.",
        )


_ANY: dict[str, Any] = {"choices": (), "low": None, "high": None}


_KINDS = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    dict: "a mapping",
    list: "a list of texts",
}


def check(name: str, value: Any, limits: Mapping[str, Any]) -> None:
    """Raise `UsageError` if a setting is not among its choices or in its range."""
    choices, low, high = limits["choices"], limits["low"], limits["high"]
    if value is None:
        return
    if choices and value not in choices:
        raise UsageError(
            f"{name} is {value!r}", hint=f"Choose from: {', '.join(map(str, choices))}."
        )
    if isinstance(value, str | dict | list):
        return
    if isinstance(value, int) and abs(value) >= 2**63:
        raise UsageError(f"{name} is {value}", hint="It must be below 2^63.")
    if not math.isfinite(value):
        raise UsageError(f"{name} is {value}", hint="It must be finite.")
    if low is not None and value < low:
        raise UsageError(f"{name} is {value}", hint=f"It must be at least {low}.")
    if high is not None and value > high:
        raise UsageError(f"{name} is {value}", hint=f"It must be at most {high}.")


DEFAULT_ADAPTER: dict[str, Any] = {"rank": 8, "dropout": 0.0, "scale": 10.0}
"""mlx-lm-lora's."""


def adapter(shape: Mapping[str, Any]) -> dict[str, Any]:
    """The whole shape of an adapter, its values as numbers; raises `UsageError`.

    What is not given is as in `DEFAULT_ADAPTER`.
    """
    fields: dict[str, tuple[type, float, float]] = {
        "rank": (int, 1, math.inf),
        "dropout": (float, 0.0, 0.99),
        "scale": (float, 0.0, math.inf),
    }
    if unknown := sorted(set(shape) - set(fields) - {"keys"}):
        near = difflib.get_close_matches(unknown[0], [*fields, "keys"], n=1)
        raise UsageError(
            f"unknown lora_parameters '{unknown[0]}'",
            hint=f"Did you mean '{near[0]}'?"
            if near
            else "They are rank, dropout, scale and keys.",
        )
    whole = {**DEFAULT_ADAPTER, **shape}
    for name, (kind, low, high) in fields.items():
        whole[name] = typed(f"lora_parameters' {name}", whole[name], kind)
        limits = {"choices": (), "low": low, "high": high}
        check(f"lora_parameters' {name}", whole[name], limits)
    if whole.get("keys") is None:
        whole.pop("keys", None)
    else:
        whole["keys"] = typed("lora_parameters' keys", whole["keys"], list[str])
    return whole


def optimizer_arguments(config: Mapping[str, Any]) -> None:
    """Raise `UsageError` unless they stand under the name of an optimizer each."""
    for name, arguments in config.items():
        if not isinstance(arguments, Mapping):
            raise UsageError(
                f"optimizer_config's {name} is {arguments!r}, which is not a mapping",
                hint="Arguments stand under the optimizer's name, for example"
                " optimizer_config: {adamw: {weight_decay: 0.01}}.",
            )
