"""Schedules of beta: mlx-lm's, by name and argument, as plain functions of the step."""

from __future__ import annotations

from typing import Any

import pytest
from mlx_lm.tuner.utils import build_schedule

from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError
from onlinedpo.states.schedules import beta_at, schedule_of

SCHEDULES: list[dict[str, Any]] = [
    {"name": "cosine_decay", "arguments": [0.2, 20]},
    {"name": "cosine_decay", "arguments": [0.2, 20, 0.05]},
    {"name": "linear_schedule", "arguments": [0.2, 0.05, 15]},
    {"name": "linear_schedule", "arguments": [0.05, 0.2, 15]},
    {"name": "exponential_decay", "arguments": [0.2, 0.97]},
    {"name": "step_decay", "arguments": [0.2, 0.5, 7]},
]
WARMUPS: list[dict[str, Any]] = [{}, {"warmup": 5, "warmup_init": 0.01}, {"warmup": 1}]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: f"{s['name']}")
@pytest.mark.parametrize("warmup", WARMUPS, ids=["plain", "warmup", "from nothing"])
def test_a_schedule_has_the_values_of_mlx(
    schedule: dict[str, Any], warmup: dict[str, Any]
) -> None:
    """At every step, as far as mlx's float32 goes: also through the warm-up."""
    wanted, ours = schedule | warmup, schedule_of("beta_schedule", schedule | warmup)
    theirs: Any = build_schedule(wanted)
    for step in range(40):
        assert ours(step) == pytest.approx(float(theirs(step)), rel=2e-6, abs=1e-9)


def test_the_first_step_has_the_first_value() -> None:
    """Steps are counted from 1, as a learning rate's schedule is told."""
    schedule = {"name": "step_decay", "arguments": [0.4, 0.5, 1]}
    settings = Settings(beta=7.0, beta_schedule=schedule, iters=3)
    assert [beta_at(settings, step) for step in (1, 2, 3)] == [0.4, 0.2, 0.1]
    assert beta_at(Settings(beta=7.0), 3) == 7.0


def test_numbers_may_be_written_as_yaml_reads_them() -> None:
    """YAML 1.1 takes 5e-2 for text."""
    schedule = {"name": "cosine_decay", "arguments": ["2e-1", 10.0, "5e-2"]}
    assert beta_at(Settings(beta_schedule=schedule), 11) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("schedule", "says"),
    [
        ({}, "its name is None"),
        ({"name": "join_schedules", "arguments": [[], []]}, "its name is"),
        ({"name": "sawtooth", "arguments": [1]}, "its name is 'sawtooth'"),
        ({"name": "cosine_decay"}, "takes 2 or 3 arguments"),
        ({"name": "cosine_decay", "arguments": 0.1}, "takes 2 or 3 arguments"),
        ({"name": "cosine_decay", "arguments": [0.1]}, "takes 2 or 3 arguments"),
        ({"name": "step_decay", "arguments": [0.1, 0.5]}, "takes 3 arguments"),
        ({"name": "step_decay", "arguments": [0.1, 0.5, 0]}, "arguments is 0"),
        ({"name": "step_decay", "arguments": [0.1, 0.5, 1.5]}, "not a whole number"),
        ({"name": "step_decay", "arguments": [0.1, "x", 1]}, "not a number"),
        ({"name": "exponential_decay", "arguments": [0.1, float("inf")]}, "inf"),
        ({**SCHEDULES[2], "warmup": -1}, "warmup is -1"),
        ({**SCHEDULES[2], "warm_up": 3}, "it has no 'warm_up'"),
    ],
)
def test_what_is_no_schedule_is_refused_by_name(
    schedule: dict[str, Any], says: str
) -> None:
    """When the settings are read, long before the step that would need it."""
    with pytest.raises(UsageError, match="beta_schedule.*" + says):
        Settings(beta_schedule=schedule)


@pytest.mark.parametrize(
    ("schedule", "step"),
    [
        ({"name": "cosine_decay", "arguments": [0.1, 50]}, 51),
        ({"name": "linear_schedule", "arguments": [0.1, -0.1, 99]}, 100),
        ({**SCHEDULES[1], "warmup": 5}, 1),
        ({"name": "exponential_decay", "arguments": [0.1, 0.5]}, 100),
        ({"name": "linear_schedule", "arguments": [0.0, 0.1, 9]}, 1),
        ({"name": "linear_schedule", "arguments": [0, 1, 9], "warmup": 5}, 1),
        (
            {
                **{"name": "linear_schedule", "arguments": [0, 1, 9]},
                **{"warmup": 5, "warmup_init": 0.1},
            },
            6,
        ),
    ],
)
def test_a_beta_of_nothing_is_refused(schedule: dict[str, Any], step: int) -> None:
    """Where it comes to zero within the run, it is said at which step."""
    with pytest.raises(UsageError, match="gives beta") as refused:
        Settings(beta_schedule=schedule, iters=100)
    told = int(str(refused.value).rsplit(" ", 1)[1])
    values = schedule_of("beta_schedule", schedule)
    assert values(told - 1) < 1e-6
    assert told >= step
    if step > 1:
        Settings(beta_schedule=schedule, iters=step - 1 if step < 100 else 10)
