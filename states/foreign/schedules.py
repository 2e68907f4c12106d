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


def named(name: str, warmup: Any, settings: Mapping[str, Any]) -> dict[str, Any] | None:
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
    length, end = share(1.0, settings), 0.0
    if rest:
        steps, _, lowest = rest.partition(":")
        length, end = _whole("steps", steps), typed("lr", lowest or 0.0, float)
    elif isinstance(length, int) and isinstance(warmup, int):
        length = max(length - warmup, 1)
    arguments = [rate, length, end] if "cosine" in plain else [rate, end, length]
    schedule: dict[str, Any] = {"name": _CURVES[plain], "arguments": arguments}
    return {**schedule, "warmup": warmup} if warmup else schedule


def share(fraction: float, settings: Mapping[str, Any]) -> Any:
    """A share of the run in steps, or as such where epochs say how many there are.

    Raises `UsageError` where that is no number of steps.
    """
    if settings.get("epochs") and not settings.get("iters"):
        return {_SHARE: fraction}
    iters = typed("iters", settings.get("iters", 100), int)
    try:
        return max(1, int(iters * fraction))
    except (OverflowError, ValueError) as error:
        raise UsageError(
            f"{fraction:g} of {iters} steps is no number of steps",
            hint="A share of the run is a number such as 0.1.",
        ) from error


def with_steps(schedule: Mapping[str, Any], settings: Mapping[str, Any]) -> Any:
    """The schedule with each share of the run as a number of steps, where it is known.

    MLX-LoRA-Studio writes {iters_fraction: 0.8} in the place of one.
    """
    found = dict(schedule)
    if isinstance(found.get("arguments"), list | tuple):
        found["arguments"] = [_steps(item, settings) for item in found["arguments"]]
    if "warmup" in found:
        found["warmup"] = _steps(found["warmup"], settings)
    return found


_SHARE = "iters_fraction"


def _steps(item: Any, settings: Mapping[str, Any]) -> Any:
    if not isinstance(item, Mapping) or set(item) != {_SHARE}:
        return item
    return share(typed(_SHARE, item[_SHARE], float), settings)


def _whole(what: str, text: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"{what} of a schedule is {text!r}", hint=_HINT)
    return int(text)
