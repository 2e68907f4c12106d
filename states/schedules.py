"""Values that change from step to step: mlx-lm's schedules, as plain functions.

They have the names and the arguments of `mlx.optimizers`, and are written as mlx-lm
writes `lr_schedule`.  A value depends on the step's number alone, so that a resumed run
and an audit come to the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from onlinedpo.states.checks import check, typed
from onlinedpo.states.errors import UsageError
from onlinedpo.states.settings.preference import PreferenceSettings

Schedule = Callable[[int], float]
"""(steps taken before) -> value."""

LEAST = 1e-6
"""The least beta: losses divide by it."""


def beta_at(settings: PreferenceSettings, step: int) -> float:
    """The beta of a step, counted from 1."""
    if settings.beta_schedule is None:
        return settings.beta
    return schedule_of("beta_schedule", settings.beta_schedule)(max(step, 1) - 1)


def must_stay_positive(settings: PreferenceSettings, iters: int) -> None:
    """Raise `UsageError` where `beta_schedule` is none, or ever comes below `LEAST`.

    Every schedule rises or falls throughout, and so does its warm-up: it is lowest at
    one of the ends of the two.
    """
    if settings.beta_schedule is None:
        return
    schedule = schedule_of("beta_schedule", settings.beta_schedule)
    warmup = int(settings.beta_schedule.get("warmup") or 0)
    for step in (s for s in sorted({0, warmup, warmup + 1, iters - 1}) if s < iters):
        try:
            beta = schedule(step)
        except OverflowError:
            beta = math.inf
        if not LEAST <= beta < math.inf:
            raise UsageError(
                f"beta_schedule gives beta {beta:g} at step {step + 1}",
                hint=f"It must be at least {LEAST:g} throughout: give cosine_decay an"
                " end, and a warmup a warmup_init.",
            )


def schedule_of(name: str, wanted: Mapping[str, Any]) -> Schedule:
    """The function that a setting describes; raises `UsageError` naming the setting.

    `wanted` has the schedule's `name` and `arguments`; with `warmup` steps the value
    first rises from `warmup_init` (default 0) to the first argument.
    """
    if unknown := wanted.keys() - {"name", "arguments", "warmup", "warmup_init"}:
        raise _not_one(name, f"it has no '{sorted(map(str, unknown))[0]}'")
    make, kinds = _KINDS.get(str(wanted.get("name")), (None, ()))
    if make is None:
        raise _not_one(name, f"its name is {wanted.get('name')!r}")
    given = wanted.get("arguments")
    least = len(kinds) - (make is cosine_decay)
    if not isinstance(given, list | tuple) or not least <= len(given) <= len(kinds):
        takes = f"{least} or {len(kinds)}" if least < len(kinds) else f"{least}"
        raise _not_one(name, f"{wanted['name']} takes {takes} arguments")
    arguments = [
        _number(f"{name}'s arguments", value, kind)
        for value, kind in zip(given, kinds, strict=False)
    ]
    if make in (exponential_decay, step_decay):
        # With another sign at every step, the ends would not say what is between.
        limits = {"choices": (), "low": 0.0, "high": None}
        check(f"{name}'s decay_rate", arguments[1], limits)
    schedule = make(*arguments)
    warmup = _number(f"{name}'s warmup", wanted.get("warmup") or 0, int, least=0)
    if not warmup:
        return schedule
    init = _number(f"{name}'s warmup_init", wanted.get("warmup_init") or 0.0, float)
    rise = linear_schedule(init, arguments[0], warmup)
    # As mlx-lm joins them: the schedule begins one step after the warm-up has ended.
    return lambda step: rise(step) if step <= warmup else schedule(step - warmup - 1)


def cosine_decay(init: float, decay_steps: int, end: float = 0.0) -> Schedule:
    """Half a cosine from `init` down to `end`, which stays."""

    def schedule(step: int) -> float:
        part = min(step, decay_steps) / decay_steps
        return end + 0.5 * (1.0 + math.cos(math.pi * part)) * (init - end)

    return schedule


def linear_schedule(init: float, end: float, steps: int) -> Schedule:
    """A straight line from `init` to `end`, which stays."""
    return lambda step: init + min(step, steps) * ((end - init) / steps)


def exponential_decay(init: float, decay_rate: float) -> Schedule:
    """Each step's value is the last one's times `decay_rate`."""
    return lambda step: init * decay_rate**step


def step_decay(init: float, decay_rate: float, step_size: int) -> Schedule:
    """The same, but only every `step_size` steps."""
    return lambda step: init * decay_rate ** (step // step_size)


_KINDS: Mapping[str, tuple[Callable[..., Schedule], tuple[type, ...]]] = {
    "cosine_decay": (cosine_decay, (float, int, float)),
    "linear_schedule": (linear_schedule, (float, float, int)),
    "exponential_decay": (exponential_decay, (float, float)),
    "step_decay": (step_decay, (float, float, int)),
}


def _number(what: str, value: Any, kind: type, least: int = 1) -> Any:
    number = typed(what, value, kind)
    low = least if kind is int else None
    check(what, number, {"choices": (), "low": low, "high": None})
    return number


def _not_one(name: str, why: str) -> UsageError:
    return UsageError(
        f"{name} is no schedule: {why}",
        hint="Write it as mlx-lm's lr_schedule, for example"
        " {name: cosine_decay, arguments: [0.2, 1000, 0.05], warmup: 10, warmup_init:"
        f" 0.05}}. There are {', '.join(_KINDS)}.",
    )
