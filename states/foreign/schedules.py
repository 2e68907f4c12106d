"""A learning-rate schedule, as other trainers write it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onlinedpo.states.checks import typed
from onlinedpo.states.errors import UsageError

_HINT = (
    "Write lr_schedule as mlx-lm takes it, for example"
    " {name: cosine_decay, arguments: [1e-5, 1000], warmup: 10}."
)
_CURVES = {
    "cosine": "cosine_decay",
    "cosine_decay": "cosine_decay",
    "linear": "linear_schedule",
    "linear_schedule": "linear_schedule",
}


def named(name: str, warmup: int, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """The schedule of a name: from learning_rate down to zero within iters.

    None for a constant rate.  Raises `UsageError`.
    """
    name, _, rest = name.strip().lower().partition(":")
    if name.startswith("warmup_"):
        first, _, rest = rest.partition(":")
        name, warmup = name.removeprefix("warmup_"), _whole("warmup", first)
    plain = name.removesuffix("_with_warmup")
    rate = typed("learning_rate", settings.get("learning_rate", 1e-5), float)
    if plain == "constant":
        flat = {"name": "linear_schedule", "arguments": [rate, rate, 1]}
        return {**flat, "warmup": warmup} if warmup else None
    if plain not in _CURVES:
        raise UsageError(f"no learning-rate schedule is called {name!r}", hint=_HINT)
    if rest:
        steps, _, lowest = rest.partition(":")
        length, end = _whole("steps", steps), typed("lr", lowest or 0.0, float)
    else:
        length, end = _iters(settings) - warmup, 0.0
    length = max(length, 1)
    arguments = [rate, length, end] if "cosine" in plain else [rate, end, length]
    schedule: dict[str, Any] = {"name": _CURVES[plain], "arguments": arguments}
    return {**schedule, "warmup": warmup} if warmup else schedule


def with_steps(schedule: Mapping[str, Any], settings: Mapping[str, Any]) -> Any:
    """The schedule with each share of iters as a number of steps.

    MLX-LoRA-Studio writes {iters_fraction: 0.8} in the place of one.
    """
    arguments = schedule.get("arguments")
    if not isinstance(arguments, list | tuple):
        return schedule
    return {
        **schedule,
        "arguments": [
            max(1, int(_iters(settings) * typed("iters_fraction", share, float)))
            if (share := _fraction(argument)) is not None
            else argument
            for argument in arguments
        ],
    }


def _fraction(argument: Any) -> Any:
    found = isinstance(argument, Mapping) and set(argument) == {"iters_fraction"}
    return argument["iters_fraction"] if found else None


def _iters(settings: Mapping[str, Any]) -> int:
    iters: int = typed("iters", settings.get("iters", 100), int)
    if settings.get("epochs") is not None and "iters" not in settings:
        raise UsageError(
            "a schedule over a share of the run needs iters, not epochs",
            hint=f"Give iters. Or: {_HINT[0].lower()}{_HINT[1:]}",
        )
    return iters


def _whole(what: str, text: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"{what} of a schedule is {text!r}", hint=_HINT)
    return int(text)
