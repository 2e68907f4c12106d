"""The DPO step: where it begins, its gradient, and what does not matter to it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from onlinedpo.engine.tensors import Tensors, flat
from onlinedpo.states.ledger import LabelledPair
from tests.engine.float64 import margins, oracle_of, sigmoid_loss
from tests.engine.kit import (
    DROPOUT,
    LORA,
    SIDES,
    WAYS,
    Trainer,
    nudge,
    some_pairs,
    trainer,
)

LN2 = float(np.log(np.float32(2)))
PLAIN_SGD: dict[str, Any] = {
    "optimizer": "sgd",
    "learning_rate": 1.0,
    "max_grad_norm": None,
}
"""With these a step moves every parameter by minus its gradient."""


def gradient(built: Trainer, pairs: list[LabelledPair]) -> dict[str, NDArray[Any]]:
    """What one plain step takes away from each parameter."""
    before = built.policy.trainable()
    built.learner.step(pairs, 1)
    after = built.policy.trainable()
    return {name: np.array(before[name] - after[name]) for name in before}


def moved(before: Tensors, after: Tensors) -> set[str]:
    """Names of the parameters that are not as they were."""
    return {
        name
        for name in before
        if not np.array_equal(np.array(before[name]), np.array(after[name]))
    }


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("lora", [LORA, DROPOUT], ids=["plain", "dropout"])
def test_training_begins_at_a_margin_of_exactly_zero(
    way: str, lora: dict[str, float], toy: Path
) -> None:
    """Before the first step policy and reference are one: the loss is ln 2."""
    built = trainer(toy, fine_tune_type=way, lora_parameters=lora)

    result = built.learner.step(some_pairs(5), 1)

    assert result.margins == (0.0,) * 5
    assert result.loss == LN2
    for name in ("rewards/chosen", "rewards/rejected", "rewards/margins"):
        assert result.metrics[name] == 0.0
    assert result.metrics["objective/kl"] == 0.0


@pytest.mark.parametrize(
    ("kind", "loss"),
    [("ipo", 1 / (4 * 0.25**2)), ("ipo_sum", 4.0), ("hinge", 1.0), ("dpop", LN2)],
)
def test_every_loss_begins_where_its_formula_does(
    kind: str, loss: float, toy: Path
) -> None:
    """At a margin of zero ipo is 1/(4 beta^2), hinge 1 and dpop ln 2."""
    built = trainer(toy, dpo_cpo_loss_type=kind, beta=0.25)

    assert built.learner.step(some_pairs(5), 1).loss == loss


@pytest.mark.parametrize("way", WAYS)
def test_the_gradient_is_that_of_the_loss(way: str, toy: Path) -> None:
    """Each matrix's slope agrees with finite differences in float64.

    The differences are exact to 1e-7 of the slope; the step's own float32 gradient is
    good to about 1e-5 of the largest, so 1e-3 would show any wrong factor or term.
    """
    built = trainer(toy, fine_tune_type=way, beta=0.7, **PLAIN_SGD)
    pairs = some_pairs(4)
    reference = oracle_of(built.policy, LORA["scale"])
    nudge(built.policy)
    policy = oracle_of(built.policy, LORA["scale"])

    def loss(changed: dict[str, NDArray[np.float64]]) -> float:
        return sigmoid_loss(
            margins(policy.with_changes(changed), reference, pairs), 0.7
        )

    slopes = gradient(built, pairs)

    # Layer 0 is behind all the others: whatever reaches it has passed through them.
    for name in [name for name in slopes if ".layers.0." in name]:
        slope = slopes[name].astype(np.float64)
        direction = slope / np.linalg.norm(slope)
        here = policy.weights[name]
        up, down = (
            loss({name: here + sign * 1e-4 * direction}) for sign in (1.0, -1.0)
        )
        assert (up - down) / 2e-4 == pytest.approx(np.linalg.norm(slope), rel=1e-3), (
            name
        )
        entry = np.unravel_index(np.abs(slope).argmax(), slope.shape)
        nearby = np.zeros_like(here)
        nearby[entry] = 1e-4
        up, down = (loss({name: here + sign * nearby}) for sign in (1.0, -1.0))
        assert (up - down) / 2e-4 == pytest.approx(slope[entry], rel=1e-3), name


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("layers", [-1, 1])
def test_all_that_is_trained_moves_and_nothing_else(
    way: str, layers: int, toy: Path
) -> None:
    """After two steps every matrix of the trained layers has moved, and no other."""
    built = trainer(toy, fine_tune_type=way, num_layers=layers)
    before = flat(built.policy.model.parameters())
    for index in (1, 2):
        built.learner.step(some_pairs(4, seed=index), index)

    wanted = {
        name
        for name in before
        if f".layers.{1 if layers == 1 else ''}" in name
        and (way == "full" or name.rsplit(".", 1)[-1] in ("lora_a", "lora_b", "m"))
    }
    assert (
        moved(before, flat(built.policy.model.parameters()))
        == wanted
        == set(built.policy.initial)
    )


@pytest.mark.parametrize("size", [1, 2, 3])
def test_micro_batches_add_up_to_the_batch(size: int, toy: Path) -> None:
    """A step is the same, up to rounding, however its pairs are cut up."""
    pairs = some_pairs(6)
    whole, parts = (
        trainer(toy, batch_size=6, micro_batch_size=n, **PLAIN_SGD)
        for n in (None, size)
    )
    for built in (whole, parts):
        nudge(built.policy)

    wanted, got = gradient(whole, pairs), gradient(parts, pairs)

    largest = max(np.abs(g).max() for g in wanted.values())
    for name in wanted:
        np.testing.assert_allclose(got[name], wanted[name], atol=2e-5 * largest)


def test_a_step_of_fewer_pairs_is_their_mean(toy: Path) -> None:
    """Pairs that were dropped do not shrink the step of the others."""
    one, same = (trainer(toy, batch_size=4, **PLAIN_SGD) for _ in range(2))
    pair = some_pairs(1)

    alone, thrice = gradient(one, pair), gradient(same, pair * 3)

    for name in alone:
        np.testing.assert_allclose(thrice[name], alone[name], rtol=1e-4, atol=1e-6)


def test_a_pair_and_its_mirror_image_train_the_same_bits(toy: Path) -> None:
    """Both completions and the label swapped: the same loss and state, to the bit."""
    pairs = some_pairs(5)
    mirrored = [
        LabelledPair(
            replace(p.sampled, first=p.sampled.second, second=p.sampled.first),
            replace(p.label, chosen=SIDES[p.label.chosen == "first"]),
        )
        for p in pairs
    ]
    one, other = trainer(toy), trainer(toy)

    losses = [
        [built.learner.step(batch, index).loss for index in (1, 2, 3)]
        for built, batch in ((one, pairs), (other, mirrored))
    ]

    assert losses[0] == losses[1]
    assert one.digest() == other.digest()


def test_metrics_are_those_of_the_pairs_before_the_step(toy: Path) -> None:
    """Rewards, log-probabilities and KL are TRL's, taken on the step's own pairs."""
    built, pairs, beta = trainer(toy, beta=0.3), some_pairs(6), 0.3
    reference = oracle_of(built.policy, LORA["scale"])
    nudge(built.policy)
    policy = oracle_of(built.policy, LORA["scale"])

    result = built.learner.step(pairs, 1)

    h = margins(policy, reference, pairs)
    np.testing.assert_allclose(result.margins, beta * np.array(h), atol=2e-5)
    assert result.loss == pytest.approx(sigmoid_loss(h, beta), abs=1e-5)
    told = result.metrics
    assert told["rewards/margins"] == pytest.approx(beta * np.mean(h), abs=2e-5)
    assert told["rewards/accuracies"] == pytest.approx(np.mean(np.array(h) > 0))
    kept = [(p.sampled.prompt_tokens, p.sampled.side(p.chosen)) for p in pairs]
    chosen = [policy.logp(prompt, c.tokens) for prompt, c in kept]
    base = [reference.logp(prompt, c.tokens) for prompt, c in kept]
    assert told["logps/chosen"] == pytest.approx(np.mean(chosen), abs=1e-4)
    assert told["rewards/chosen"] == pytest.approx(
        beta * np.mean(np.subtract(chosen, base)), abs=2e-5
    )
    assert told["rewards/chosen"] - told["rewards/rejected"] == pytest.approx(
        told["rewards/margins"], abs=1e-6
    )
    assert told["objective/kl"] == pytest.approx(
        (told["rewards/chosen"] + told["rewards/rejected"]) / (2 * beta), abs=1e-6
    )
    assert math.isfinite(result.grad_norm)
