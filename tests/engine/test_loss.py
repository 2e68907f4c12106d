"""The losses and their options against their formulas, in float64."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from onlinedpo.engine.training.loss import (
    PairLabels,
    PairLogps,
    preference_loss,
    rewards,
)
from onlinedpo.states import objective
from onlinedpo.states.config import Settings
from tests.engine import preferences
from tests.engine.preferences import OPTIONS, Pairs

every_option = pytest.mark.parametrize("option", OPTIONS.values(), ids=[*OPTIONS])


def computed(pairs: Pairs, settings: Settings) -> mx.array:
    """The loss per pair, as a step takes it."""
    logps, labels = pairs.logps(settings), pairs.labels(settings)
    return preference_loss(logps, settings, settings.beta, labels)


def one(won: float, lost: float, **wanted: Any) -> float:
    """The loss of a single pair, of three and four tokens, on a sure reference."""
    zero = mx.zeros(1)
    logps = PairLogps(
        *(mx.array([won]), mx.array([lost]), zero, zero),
        *(mx.array([3.0]), mx.array([4.0])),
    )
    settings = Settings(**wanted)
    sure = PairLabels(mx.array([1.0 - settings.label_smoothing]))
    return float(np.array(preference_loss(logps, settings, settings.beta, sure))[0])


@every_option
@pytest.mark.parametrize("beta", [0.01, 0.1, 2.0])
def test_a_loss_is_what_its_paper_says(option: dict[str, Any], beta: float) -> None:
    """On random log-probabilities and labels each equals its formula in float64."""
    settings, pairs = Settings(beta=beta, **option), preferences.some(64)

    loss = computed(pairs, settings)

    assert loss.dtype == mx.float32
    wanted = preferences.loss(pairs, settings)
    np.testing.assert_allclose(np.array(loss), wanted, rtol=3e-5, atol=1e-5)


@every_option
def test_a_slope_is_that_of_the_formula(option: dict[str, Any]) -> None:
    """The gradient by each log-probability, against differences in float64."""
    settings, pairs = Settings(beta=0.3, **option), preferences.some(32)
    pairs = replace(
        pairs,
        chosen=pairs.chosen / 32,
        rejected=pairs.rejected / 32,
        reference_chosen=pairs.reference_chosen / 32,
        reference_rejected=pairs.reference_rejected / 32,
    )
    logps, labels = pairs.logps(settings), pairs.labels(settings)

    def total(chosen: mx.array, rejected: mx.array) -> mx.array:
        moved = replace(logps, chosen=chosen, rejected=rejected)
        return preference_loss(moved, settings, settings.beta, labels).sum()

    slopes = mx.grad(total, argnums=(0, 1))(logps.chosen, logps.rejected)

    for side, slope in zip(("chosen", "rejected"), slopes, strict=True):
        here = getattr(pairs, side)
        up, down = (
            preferences.loss(replace(pairs, **{side: here + sign * 1e-5}), settings)
            for sign in (1.0, -1.0)
        )
        wanted = (up - down) / 2e-5
        np.testing.assert_allclose(np.array(slope), wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "option",
    [
        *({}, {"dpo_cpo_loss_type": "dpop", "delta": 0.0}, {"soft_labels": True}),
        *({"ties": "rao-kupper"}, {"dpo_cpo_loss_type": "robust"}),
        {"dpo_cpo_loss_type": "sigmoid_norm"},
    ],
)
@pytest.mark.parametrize("h", [1e4, -1e4])
def test_a_huge_margin_overflows_neither_loss_nor_gradient(
    option: dict[str, Any], h: float
) -> None:
    """At |h| = 1e4 a sure label's loss is max(0, -beta h), and its slope -beta or 0."""
    settings = Settings(beta=1.0, rao_kupper_nu=3.0, **option)
    threshold = math.log(3.0) if settings.ties == "rao-kupper" else 0.0

    def loss(h: mx.array) -> mx.array:
        zero, one = mx.zeros(1), mx.ones(1)
        pair = PairLogps(h, zero, zero, zero, one, one)
        return preference_loss(pair, settings, 1.0, PairLabels()).sum()

    value, slope = mx.value_and_grad(loss)(mx.array([h]))

    assert value.item() == pytest.approx(max(0.0, threshold - h))
    assert slope.item() == (0.0 if h > 0 else -1.0)


def test_ipo_is_per_token_and_ipo_sum_is_not() -> None:
    """6 over 3 tokens and 2 over 4 differ by 1.5 a token, and by 4 in all."""
    ipo, ipo_sum = (
        one(6.0, 2.0, dpo_cpo_loss_type=kind, beta=0.25) for kind in ("ipo", "ipo_sum")
    )
    assert ipo == (6 / 3 - 2 / 4 - 2.0) ** 2
    assert ipo_sum == (6 - 2 - 2.0) ** 2


def test_the_penalty_of_dpop_stands_inside_the_sigmoid() -> None:
    """As in arXiv 2402.13228: 5.11 where mlx-lm-lora, with it outside, has 50.74."""
    loss = one(-1.0, 0.0, dpo_cpo_loss_type="dpop", beta=0.1, delta=50.0)
    assert loss == pytest.approx(math.log1p(math.exp(0.1 * (1 + 50))), rel=1e-6)
    assert loss == pytest.approx(5.11, abs=0.005)


def test_dpop_is_dpo_while_the_chosen_completion_gains() -> None:
    """Without a loss of probability there is nothing to penalise."""
    assert one(1.5, 4.0, dpo_cpo_loss_type="dpop", beta=0.3) == one(1.5, 4.0, beta=0.3)


def test_smoothing_by_nothing_is_dpo_to_the_bit() -> None:
    """So is robust DPO, a length that weighs nothing, and a judge that is sure."""
    pairs = preferences.some(64)
    sure = replace(pairs, confidence=np.ones(64), tied=np.zeros(64, bool))
    plain = np.array(computed(sure, Settings()))
    for option in (
        *({"dpo_cpo_loss_type": "robust"}, {"soft_labels": True}),
        *({"len_reg_alpha": 0.0}, {"label_smoothing": 0.0}),
    ):
        np.testing.assert_array_equal(
            np.array(computed(sure, Settings(**option))), plain
        )


def test_a_smoothed_loss_is_least_where_the_policy_is_as_sure_as_the_label() -> None:
    """cDPO's loss has its bottom at sigmoid(beta h) = 1 - e: there it pulls nowhere."""
    wrong, beta = 0.2, 0.1
    bottom = math.log((1 - wrong) / wrong) / beta
    least, *others = (
        one(h, 0.0, beta=beta, label_smoothing=wrong)
        for h in (bottom, bottom - 1, bottom + 1)
    )
    assert least < min(others)


def test_robust_dpo_is_right_on_average() -> None:
    """Over labels of which e are wrong, its mean is DPO's loss of the right ones."""
    e, options = 0.2, {"dpo_cpo_loss_type": "robust", "label_smoothing": 0.2}
    mean = (1 - e) * one(3.0, -2.0, **options) + e * one(-2.0, 3.0, **options)
    assert mean == pytest.approx(one(3.0, -2.0), rel=1e-5)


def test_what_is_longer_has_less_to_learn_under_r_dpo() -> None:
    """The longer the chosen completion, the smaller the loss and its slope."""
    settings, ones = Settings(len_reg_alpha=0.1), mx.ones(1)

    def loss(won: mx.array, length: float) -> mx.array:
        pair = PairLogps(won, 0 * ones, 0 * ones, 0 * ones, length * ones, 10 * ones)
        return preference_loss(pair, settings, settings.beta, PairLabels()).sum()

    slopes = [mx.grad(loss)(mx.zeros(1), length).item() for length in (5, 10, 20)]
    assert slopes[0] < slopes[1] < slopes[2] < 0
    assert slopes[1] == pytest.approx(-0.05)


def test_wins_losses_and_ties_have_a_chance_of_one_together() -> None:
    """exp(-loss) of the three outcomes of a pair adds up to 1, whatever h and nu."""
    pairs = preferences.some(64)
    for nu in (1.01, 3.0, 20.0):
        settings = Settings(ties="rao-kupper", rao_kupper_nu=nu)
        win = replace(pairs, tied=np.zeros(64, bool))
        tie = replace(pairs, tied=np.ones(64, bool))
        chances = sum(
            np.exp(-np.array(computed(each, settings), np.float64))
            for each in (win, win.turned(), tie)
        )
        np.testing.assert_allclose(chances, 1.0, atol=1e-4)


def test_two_equal_completions_tie_half_of_the_time_at_nu_3() -> None:
    """(nu - 1) / (nu + 1): the value of the paper."""
    zero, one = mx.zeros(1), mx.ones(1)
    pairs = Pairs(*(np.zeros(1),) * 4, (np.ones(1),) * 2, np.ones(1), np.array([True]))
    settings = Settings(ties="rao-kupper")
    assert computed(pairs, settings).item() == pytest.approx(math.log(2))
    equal = PairLogps(zero, zero, zero, zero, one, one)
    win = preference_loss(equal, settings, settings.beta, PairLabels()).item()
    assert win == pytest.approx(math.log(4))


@pytest.mark.parametrize("name", ["soft ties", "rao-kupper", "rao-kupper length"])
def test_it_does_not_matter_which_side_of_a_tie_stands_first(name: str) -> None:
    """Both completions changed places: the same loss."""
    settings, pairs = Settings(**OPTIONS[name]), preferences.some(64)
    ties = replace(pairs, tied=np.ones(64, bool))
    one, other = (np.array(computed(each, settings)) for each in (ties, ties.turned()))
    np.testing.assert_allclose(one, other, rtol=1e-6)


def test_gamma_is_the_target_margin_as_it_stands() -> None:
    """The loss is ln 2 where the margin of simpo's rewards is gamma, for any beta."""
    for beta in (0.1, 2.5):
        simpo = {"dpo_cpo_loss_type": "simpo", "simpo_gamma": 0.5, "beta": beta}
        at_gamma = -1.0 + 0.5 / beta
        loss = one(3 * at_gamma, 4 * -1.0, **simpo)
        assert loss == pytest.approx(math.log(2), abs=1e-6)


@every_option
def test_a_loss_is_a_function_of_its_reward_margin(option: dict[str, Any]) -> None:
    """Rewards are per token where the loss is, and leave out what is no reward."""
    settings, pairs = Settings(**option), preferences.some(64)
    chosen, rejected = rewards(pairs.logps(settings), settings, settings.beta)
    margin = np.array(chosen - rejected, np.float64)
    long, short = pairs.lengths
    won = pairs.chosen - pairs.reference_chosen
    lost = pairs.rejected - pairs.reference_rejected
    if settings.dpo_cpo_loss_type == "simpo":
        won, lost = pairs.chosen, pairs.rejected
    if objective.per_token(settings):
        won, lost = won / long, lost / short
    np.testing.assert_allclose(
        margin, settings.beta * (won - lost), rtol=1e-4, atol=1e-4
    )


def test_a_loss_that_does_not_exist_is_refused() -> None:
    """No unknown name falls through to some loss."""
    settings = Settings()
    object.__setattr__(settings, "dpo_cpo_loss_type", "kto")
    with pytest.raises(ValueError, match="no loss is called 'kto'"):
        computed(preferences.some(2), settings)
