"""The five losses against their formulas, in float64."""

from __future__ import annotations

import math

import mlx.core as mx
import numpy as np
import pytest
from numpy.typing import NDArray

from onlinedpo.engine.loss import PairLogps, preference_loss

KINDS = ("sigmoid", "hinge", "ipo", "ipo_sum", "dpop")
Array = NDArray[np.float64]


def formula(
    kind: str,
    won: Array,
    lost: Array,
    lengths: tuple[Array, Array],
    beta: float,
    delta: float,
) -> Array:
    """The papers' losses; w and l are the log-ratios of chosen and rejected."""
    match kind:
        case "sigmoid":
            return np.logaddexp(0.0, -beta * (won - lost))
        case "hinge":
            return np.maximum(0.0, 1.0 - beta * (won - lost))
        case "ipo":
            return np.square(won / lengths[0] - lost / lengths[1] - 0.5 / beta)
        case "ipo_sum":
            return np.square(won - lost - 0.5 / beta)
    return np.logaddexp(0.0, -beta * (won - lost - delta * np.maximum(0.0, -won)))


def logps(won: list[float], lost: list[float], lengths: tuple[int, int]) -> PairLogps:
    """Pairs with these log-ratios, whose reference is sure of every completion."""
    zeros, ones = mx.zeros(len(won)), mx.ones(len(won))
    return PairLogps(
        mx.array(won),
        mx.array(lost),
        zeros,
        zeros,
        ones * lengths[0],
        ones * lengths[1],
    )


def one(kind: str, won: float, lost: float, beta: float, delta: float = 50.0) -> float:
    """The loss of a single pair, of three and four tokens."""
    loss = preference_loss(
        logps([won], [lost], (3, 4)), kind=kind, beta=beta, delta=delta
    )
    return float(np.array(loss)[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("beta", "delta"), [(0.01, 50.0), (0.1, 5.0), (2.0, 0.5)])
def test_a_loss_is_what_its_paper_says(kind: str, beta: float, delta: float) -> None:
    """On random log-probabilities each loss equals its formula in float64."""
    chance = np.random.default_rng(7)
    # Multiples of 1/256, so that their differences are exact in float32 too.
    chosen, rejected, ref_chosen, ref_rejected = (
        np.round(chance.uniform(-300, 0, 64) * 256) / 256 for _ in range(4)
    )
    lengths = chance.integers(1, 40, 64), chance.integers(1, 40, 64)
    computed = preference_loss(
        PairLogps(
            *(mx.array(a, mx.float32) for a in (chosen, rejected)),
            *(mx.array(a, mx.float32) for a in (ref_chosen, ref_rejected)),
            *(mx.array(a, mx.float32) for a in lengths),
        ),
        kind=kind,
        beta=beta,
        delta=delta,
    )

    wanted = formula(
        kind,
        chosen - ref_chosen,
        rejected - ref_rejected,
        (lengths[0].astype(np.float64), lengths[1].astype(np.float64)),
        beta,
        delta,
    )
    assert computed.dtype == mx.float32
    np.testing.assert_allclose(np.array(computed), wanted, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["sigmoid", "dpop"])
@pytest.mark.parametrize("h", [1e4, -1e4])
def test_a_huge_margin_overflows_neither_loss_nor_gradient(kind: str, h: float) -> None:
    """At |h| = 1e4 the loss is max(0, -beta h) and its slope is -beta or 0."""

    def loss(h: mx.array) -> mx.array:
        zero, one = mx.zeros(1), mx.ones(1)
        pair = PairLogps(h, zero, zero, zero, one, one)
        return preference_loss(pair, kind=kind, beta=1.0, delta=0.0).sum()

    value, slope = mx.value_and_grad(loss)(mx.array([h]))

    assert value.item() == max(0.0, -h)
    assert slope.item() == (0.0 if h > 0 else -1.0)


def test_ipo_is_per_token_and_ipo_sum_is_not() -> None:
    """6 over 3 tokens and 2 over 4 differ by 1.5 a token, and by 4 in all."""
    assert one("ipo", 6.0, 2.0, beta=0.25) == (6 / 3 - 2 / 4 - 2.0) ** 2
    assert one("ipo_sum", 6.0, 2.0, beta=0.25) == (6 - 2 - 2.0) ** 2


def test_the_penalty_of_dpop_stands_inside_the_sigmoid() -> None:
    """As in arXiv 2402.13228: 5.11 where mlx-lm-lora, with it outside, has 50.74."""
    assert one("dpop", -1.0, 0.0, beta=0.1, delta=50.0) == pytest.approx(
        math.log1p(math.exp(0.1 * (1 + 50))), rel=1e-6
    )
    assert one("dpop", -1.0, 0.0, beta=0.1, delta=50.0) == pytest.approx(
        5.11, abs=0.005
    )


def test_dpop_is_dpo_while_the_chosen_completion_gains() -> None:
    """Without a loss of probability there is nothing to penalise."""
    assert one("dpop", 1.5, 4.0, beta=0.3) == one("sigmoid", 1.5, 4.0, beta=0.3)


def test_a_loss_that_does_not_exist_is_refused() -> None:
    """No unknown name falls through to some loss."""
    with pytest.raises(ValueError, match="no loss is called 'kto'"):
        one("kto", 1.0, 0.0, beta=0.1)
