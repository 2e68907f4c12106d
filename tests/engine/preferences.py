"""The preference losses as their papers write them, in NumPy and float64."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from onlinedpo.engine.training.loss import PairLabels, PairLogps
from onlinedpo.states.config import Settings

Array = NDArray[np.float64]

OPTIONS: dict[str, dict[str, Any]] = {
    "sigmoid": {},
    "hinge": {"dpo_cpo_loss_type": "hinge"},
    "ipo": {"dpo_cpo_loss_type": "ipo"},
    "ipo_sum": {"dpo_cpo_loss_type": "ipo_sum"},
    "dpop": {"dpo_cpo_loss_type": "dpop", "delta": 5.0},
    "sigmoid_norm": {"dpo_cpo_loss_type": "sigmoid_norm"},
    "simpo": {"dpo_cpo_loss_type": "simpo", "simpo_gamma": 0.3},
    "smoothed": {"label_smoothing": 0.2},
    "smoothed norm": {"dpo_cpo_loss_type": "sigmoid_norm", "label_smoothing": 0.2},
    "smoothed simpo": {"dpo_cpo_loss_type": "simpo", "label_smoothing": 0.2},
    "robust": {"dpo_cpo_loss_type": "robust", "label_smoothing": 0.2},
    "soft": {"soft_labels": True},
    "soft norm": {"dpo_cpo_loss_type": "sigmoid_norm", "soft_labels": True},
    "soft simpo": {"dpo_cpo_loss_type": "simpo", "soft_labels": True},
    "soft ties": {"soft_labels": True, "ties": "soft"},
    "length": {"len_reg_alpha": 0.05},
    "soft length": {"len_reg_alpha": 0.05, "soft_labels": True},
    "rao-kupper": {"ties": "rao-kupper"},
    "rao-kupper norm": {
        "dpo_cpo_loss_type": "sigmoid_norm",
        "ties": "rao-kupper",
        "rao_kupper_nu": 1.5,
    },
    "rao-kupper length": {"ties": "rao-kupper", "len_reg_alpha": 0.05},
}
"""Every preference option, and what may stand beside it."""


@dataclass(frozen=True)
class Pairs:
    """Log-probabilities, lengths and labels of some pairs; a tie has the chance 1/2."""

    chosen: Array
    rejected: Array
    reference_chosen: Array
    reference_rejected: Array
    lengths: tuple[Array, Array]
    confidence: Array
    tied: NDArray[np.bool_]

    def logps(self, settings: Settings) -> PairLogps:
        """As the learner gives them to a loss."""
        reference = (self.reference_chosen, self.reference_rejected)
        if settings.dpo_cpo_loss_type == "simpo":
            reference = (np.zeros_like(self.chosen), np.zeros_like(self.chosen))
        columns = (self.chosen, self.rejected, *reference, *self.lengths)
        return PairLogps(*(mx.array(column, mx.float32) for column in columns))

    def labels(self, settings: Settings) -> PairLabels:
        """The same of their labels."""
        chance = mx.array(self.chance(settings), mx.float32)
        ties = mx.array(self.tied) if settings.ties == "rao-kupper" else None
        return PairLabels(chance, ties)

    def chance(self, settings: Settings) -> Array:
        """How sure the labels are of the chosen completion."""
        if settings.soft_labels:
            return np.where(self.tied, 0.5, self.confidence)
        robust = settings.dpo_cpo_loss_type == "robust"
        smoothing = 0.0 if robust else settings.label_smoothing
        return np.full(len(self.tied), 1.0 - smoothing)

    def turned(self) -> Pairs:
        """Chosen and rejected changed places."""
        return Pairs(
            *(self.rejected, self.chosen),
            *(self.reference_rejected, self.reference_chosen),
            self.lengths[::-1],
            *(1.0 - self.confidence, self.tied),
        )


def some(count: int, seed: int = 7) -> Pairs:
    """Random pairs; a few are ties where ties are trained on."""
    chance = np.random.default_rng(seed)
    # Multiples of 1/256, so that their differences are exact in float32 too.
    chosen, rejected, ref_chosen, ref_rejected = (
        np.round(chance.uniform(-300, 0, count) * 256) / 256 for _ in range(4)
    )
    lengths = (
        chance.integers(1, 40, count).astype(np.float64),
        chance.integers(1, 40, count).astype(np.float64),
    )
    sure = chance.uniform(0.2, 1.0, count)
    tied = chance.uniform(size=count) < 0.3
    return Pairs(chosen, rejected, ref_chosen, ref_rejected, lengths, sure, tied)


def loss(pairs: Pairs, settings: Settings) -> Array:
    """The loss of each pair, by the formulas of the papers."""
    won = pairs.chosen - pairs.reference_chosen
    lost = pairs.rejected - pairs.reference_rejected
    long, short = pairs.lengths
    beta, e = settings.beta, settings.label_smoothing
    h = won - lost
    match settings.dpo_cpo_loss_type:
        case "hinge":
            return np.maximum(0.0, 1.0 - beta * h)
        case "ipo":
            return np.square(won / long - lost / short - 0.5 / beta)
        case "ipo_sum":
            return np.square(h - 0.5 / beta)
        case "dpop":
            penalty = settings.delta * np.maximum(0.0, -won)
            return minus_log_sigmoid(beta * (h - penalty))
        case "robust":
            sure = (1 - e) * minus_log_sigmoid(beta * h)
            return (sure - e * minus_log_sigmoid(-beta * h)) / (1 - 2 * e)
        case "simpo":
            z = beta * (pairs.chosen / long - pairs.rejected / short)
            z = z - settings.simpo_gamma
        case "sigmoid_norm":
            z = beta * (won / long - lost / short)
        case _:
            z = beta * h + settings.len_reg_alpha * (long - short)
    if settings.ties == "rao-kupper":
        # p(win) = 1 / (1 + nu e^-z), p(tie) = (nu^2 - 1) / ((1 + nu e^-z)(1 + nu e^z)).
        nu = settings.rao_kupper_nu
        win, lose = (np.logaddexp(0.0, np.log(nu) + sign * z) for sign in (-1, 1))
        tie: Array = win + lose - np.log(nu**2 - 1)
        return np.where(pairs.tied, tie, win)
    p = pairs.chance(settings)
    return p * minus_log_sigmoid(z) + (1 - p) * minus_log_sigmoid(-z)


def minus_log_sigmoid(z: Array) -> Array:
    """-log sigmoid(z)."""
    return np.logaddexp(0.0, -z)
