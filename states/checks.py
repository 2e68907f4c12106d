"""Whether a value may stand for a setting: its type, its range, its choices."""

from __future__ import annotations

import math
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
    kind = next(o for o in options if o is not NoneType)
    kind = getattr(kind, "__origin__", kind)
    if kind is float and isinstance(value, int | str) and not isinstance(value, bool):
        # YAML 1.1 reads 1e-5 as text.
        with suppress(ValueError, OverflowError):
            return float(value)
    if kind is list and isinstance(value, list | tuple):
        if all(isinstance(item, str) for item in value):
            return plain(value)
    elif isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return plain(value)
    raise UsageError(
        f"{name} is {value!r}, which is not {_KINDS[kind]}",
        hint=f"Give {name} as {_KINDS[kind]}.",
    )


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
    if not math.isfinite(value):
        raise UsageError(f"{name} is {value}", hint="It must be finite.")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise UsageError(f"{name} is {value}", hint="It must be below 2^63.")
    if low is not None and value < low:
        raise UsageError(f"{name} is {value}", hint=f"It must be at least {low}.")
    if high is not None and value > high:
        raise UsageError(f"{name} is {value}", hint=f"It must be at most {high}.")


def adapter(shape: Mapping[str, Any]) -> dict[str, Any]:
    """The shape of an adapter, its values as numbers; raises `UsageError`."""
    fields: dict[str, tuple[type, float, float]] = {
        "rank": (int, 1, math.inf),
        "dropout": (float, 0.0, 0.99),
        "scale": (float, 0.0, math.inf),
    }
    if missing := sorted(set(fields) - set(shape)):
        raise UsageError(
            f"lora_parameters lacks {', '.join(missing)}",
            hint="Give rank, dropout and scale, as mlx-lm does.",
        )
    whole = dict(shape)
    for name, (kind, low, high) in fields.items():
        whole[name] = typed(f"lora_parameters' {name}", shape[name], kind)
        limits = {"choices": (), "low": low, "high": high}
        check(f"lora_parameters' {name}", whole[name], limits)
    return whole
