"""Optimizers, schedules, clipping: what they do to a step, and what is told of it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlx_lm.tuner.utils import build_schedule

from onlinedpo.engine.training.optimizer import OPTIMIZERS
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError
from tests.engine.kit import Trainer, some_pairs, trainer

PLAIN_SGD: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 1.0}
SCHEDULE = {
    "name": "cosine_decay",
    "arguments": [1e-2, 10],
    "warmup": 3,
    "warmup_init": 1e-4,
}


def test_every_optimizer_can_be_chosen() -> None:
    """The choices of the setting are those that can be built."""
    (setting,) = (f for f in fields(Settings) if f.name == "optimizer")
    assert set(setting.metadata["choices"]) == set(OPTIMIZERS)


def update(built: Trainer, index: int = 1) -> dict[str, Any]:
    """What one step adds to each parameter."""
    before = built.policy.trainable()
    built.learner.step(some_pairs(3), index)
    after = built.policy.trainable()
    return {name: np.array(after[name] - before[name]) for name in before}


def size(update: dict[str, Any]) -> float:
    """Global norm."""
    return float(
        np.sqrt(sum(np.square(u.astype(np.float64)).sum() for u in update.values()))
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_learning_rate_decides_how_far_a_step_goes(
    optimizer: str, toy: Path
) -> None:
    """Under every optimizer a tenth of the learning rate is a tenth of the way."""
    far, near = (
        update(trainer(toy, optimizer=optimizer, learning_rate=rate))
        for rate in (1e-2, 1e-3)
    )

    assert size(near) == pytest.approx(size(far) / 10, rel=0.02)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_learning_rate_told_is_the_one_a_schedule_gave(
    optimizer: str, toy: Path
) -> None:
    """With warm-up and decay, step k is told to have used schedule(k - 1)."""
    built = trainer(toy, optimizer=optimizer, lr_schedule=SCHEDULE)
    schedule: Any = build_schedule(SCHEDULE)

    told = [
        built.learner.step(some_pairs(3, seed=k), k + 1).metrics["learning_rate"]
        for k in range(6)
    ]

    assert told == pytest.approx([float(schedule(k)) for k in range(6)], rel=1e-6)
    assert told[3] == max(told)


def test_a_schedule_decides_how_far_a_step_goes(toy: Path) -> None:
    """Each plain step goes its scheduled learning rate times the gradient."""
    built = trainer(toy, optimizer="sgd", lr_schedule=SCHEDULE, max_grad_norm=None)
    schedule: Any = build_schedule(SCHEDULE)

    for k in range(4):
        before = built.policy.trainable()
        result = built.learner.step(some_pairs(3), k + 1)
        after = built.policy.trainable()
        went = size({n: np.array(after[n] - before[n]) for n in before})
        assert went == pytest.approx(float(schedule(k)) * result.grad_norm, rel=1e-3)


def test_arguments_of_an_optimizer_reach_it(toy: Path) -> None:
    """Weight decay, given under the optimizer's name, shrinks what it trains."""
    decay = {"adamw": {"weight_decay": 10.0}, "adam": {"nonsense": 1}}

    plain = update(trainer(toy, optimizer="adamw", learning_rate=1e-3))
    decayed = update(
        trainer(toy, optimizer="adamw", learning_rate=1e-3, optimizer_config=decay)
    )

    assert size(decayed) > 1.01 * size(plain)


@pytest.mark.parametrize(
    "wrong",
    [
        {"optimizer_config": {"adam": {"momentum_of_inertia": 1}}},
        {"lr_schedule": {"name": "sawtooth", "arguments": [1]}},
        {"lr_schedule": {"name": "cosine_decay"}},
    ],
)
def test_settings_that_do_not_fit_the_optimizer_are_a_usage_error(
    wrong: dict[str, Any], toy: Path
) -> None:
    """It says which settings do not fit, and how they are written."""
    with pytest.raises(UsageError, match="do not fit adam") as caught:
        trainer(toy, **wrong)

    assert "cosine_decay" in caught.value.hint


@pytest.mark.parametrize("limit", [0.01, 0.5])
def test_a_step_is_clipped_and_its_norm_is_told_unclipped(
    limit: float, toy: Path
) -> None:
    """The update's gradient has at most max_grad_norm; grad_norm is what it was."""
    free, clipped = (
        trainer(toy, max_grad_norm=bound, **PLAIN_SGD) for bound in (None, limit)
    )
    whole = update(free)

    before = clipped.policy.trainable()
    result = clipped.learner.step(some_pairs(3), 1)
    after = clipped.policy.trainable()

    kept = {name: np.array(after[name] - before[name]) for name in before}
    assert result.grad_norm == pytest.approx(size(whole), rel=1e-4)
    assert result.grad_norm > limit
    assert limit * 0.999 < size(kept) <= limit * 1.00001
    for name in whole:
        np.testing.assert_allclose(
            kept[name], whole[name] * (limit / result.grad_norm), atol=1e-5 * limit
        )


def test_a_small_gradient_is_not_clipped(toy: Path) -> None:
    """Below the limit a step is what it is without one."""
    free, bounded = (
        update(trainer(toy, max_grad_norm=bound, **PLAIN_SGD)) for bound in (None, 1e4)
    )

    for name in free:
        np.testing.assert_array_equal(free[name], bounded[name])
