"""The loss of a pair as a function of its margin, where it is one: in float64.

What `engine.loss` computes in float32, written once more for an audit, which has the
margins, lengths and labels of a step, and no log-probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onlinedpo.states import objective
from onlinedpo.states.config import Settings
from onlinedpo.states.turns import LabelledPair

_NOT_DERIVED = ("ipo", "dpop")
"""One takes log-probabilities per token, one those of the chosen completion alone."""


def derivable(settings: Mapping[str, Any]) -> bool:
    """Whether a loss is a function of the margin, by the settings of the journal."""
    return settings["dpo_cpo_loss_type"] not in _NOT_DERIVED


@dataclass(frozen=True, slots=True)
class Derived:
    """A pair's loss, and how far off it may be for each unit that the margin is off."""

    loss: float
    slope: float
    size: float
    """The largest number that went into it: what rounding is measured by."""


def of_pair(
    margin: float, pair: LabelledPair, settings: Settings, beta: float
) -> Derived:
    """The loss of a pair whose reward margin before the step was this one."""
    kind = settings.dpo_cpo_loss_type
    if kind == "hinge":
        return Derived(max(0.0, 1.0 - margin), 1.0, 1.0 + abs(margin))
    if kind == "ipo_sum":
        # The margin is beta h.
        apart = margin / beta - 1.0 / (2.0 * beta)
        size = (abs(margin) + 0.5) / beta
        # Twice the slope there, for what is squared.
        return Derived(apart**2, 4.0 * size / beta, size**2)
    if kind == "robust":
        wrong = settings.label_smoothing
        left = 1.0 - 2.0 * wrong
        loss = (1.0 - wrong) * _win(margin) - wrong * _win(-margin)
        return Derived(loss / left, 1.0 / left, (1.0 + abs(margin)) / left)
    z, size = _argument(margin, pair, settings)
    if settings.ties == "rao-kupper":
        threshold = math.log(settings.rao_kupper_nu)
        loss, size = _win(z - threshold), size + threshold
        if pair.tied:
            free = math.log(settings.rao_kupper_nu**2 - 1.0)
            loss, size = loss + _win(-z - threshold) - free, 2.0 * size + abs(free)
        return Derived(loss, 1.0, size)
    chance = objective.chance(pair, settings)
    return Derived(chance * _win(z) + (1.0 - chance) * _win(-z), 1.0, size)


def _argument(
    margin: float, pair: LabelledPair, settings: Settings
) -> tuple[float, float]:
    """What the sigmoid is taken of, and the size of what it is made of."""
    shift = 0.0
    if settings.dpo_cpo_loss_type == "simpo":
        shift = -settings.simpo_gamma
    elif settings.len_reg_alpha:
        chosen, rejected = pair.lengths
        shift = settings.len_reg_alpha * (chosen - rejected)
    return margin + shift, 1.0 + abs(margin) + abs(shift)


def _win(z: float) -> float:
    """-log sigmoid(z)."""
    return math.log1p(math.exp(-abs(z))) + max(-z, 0.0)
