"""A step's figures: as close to its margins as float32 allows, and no closer."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from onlinedpo.states import measures
from onlinedpo.states.config import Settings
from onlinedpo.states.ledger import LabelledPair, Ledger
from onlinedpo.states.records import Completion, Side, Step
from onlinedpo.states.rederive.mismatch import Mismatch
from onlinedpo.states.rederive.steps import check
from tests.states import facts

F = np.float32


def pairs_of(count: int, chance: random.Random) -> list[LabelledPair]:
    """Labelled pairs of many lengths."""

    def completion() -> Completion:
        return facts.completion(*range(chance.randint(1, 9)))

    sides: tuple[Side, Side] = ("first", "second")
    return [
        LabelledPair(
            facts.sampled(n, completion(), completion()),
            facts.label(n, chance.choice(sides)),
        )
        for n in range(count)
    ]


def computed(
    pairs: list[LabelledPair], settings: Settings, chance: random.Random, size: float
) -> Step:
    """A step as float32 computes it, from log-probabilities of this size."""
    n, beta = len(pairs), F(settings.beta)

    def logps() -> Any:
        return np.array([-abs(chance.gauss(0, size)) for _ in pairs], F)

    policy, reference = (logps(), logps()), (logps(), logps())
    chosen, rejected = (
        (one - other).astype(F) for one, other in zip(policy, reference, strict=True)
    )
    x = (-beta * (chosen - rejected)).astype(F)
    if settings.dpo_cpo_loss_type == "hinge":
        losses = np.maximum(F(0), F(1) + x)
    else:
        losses = np.logaddexp(x, F(0))
    a, b = (chosen * beta).astype(F), (rejected * beta).astype(F)
    margins = (a - b).astype(F)
    longer = [
        len(p.sampled.side(p.chosen).tokens)
        > len(p.sampled.side("second" if p.chosen == "first" else "first").tokens)
        for p in pairs
    ]
    ledger = Ledger()
    return Step(
        index=1,
        tickets=tuple(range(n)),
        loss=float(np.mean(losses.astype(float))),
        grad_norm=1.0,
        metrics={
            **measures.of_round(ledger.round, pairs, 0, 0),
            "rewards/chosen": float(a.mean()),
            "rewards/rejected": float(b.mean()),
            "rewards/margins": float(margins.mean()),
            "rewards/accuracies": float((margins > 0).astype(F).mean()),
            "logps/chosen": float(policy[0].mean()),
            "logps/rejected": float(policy[1].mean()),
            "objective/kl": float((a + b).astype(F).mean()) / (2 * settings.beta),
            "beta": settings.beta,
            "pairs/longer_chosen_frac": float(np.array(longer, F).mean()),
            "learning_rate": float(F(settings.learning_rate)),
        },
        margins=tuple(map(float, margins)),
        state="",
        seconds={},
        time=0.0,
    )


CASES = [
    (kind, size, beta, count)
    for kind in ("sigmoid", "hinge")
    for size in (0.01, 3.0, 400.0)
    for beta in (0.01, 0.1, 2.0)
    for count in (1, 8, 200)
]


@pytest.mark.parametrize(("kind", "size", "beta", "count"), CASES)
def test_what_float32_computes_passes(
    kind: str, size: float, beta: float, count: int
) -> None:
    """Whatever the size of the log-probabilities and of the batch: no false alarm."""
    settings = Settings(dpo_cpo_loss_type=kind, beta=beta)
    for seed in range(5):
        chance = random.Random(f"{kind} {size} {beta} {count} {seed}")
        pairs = pairs_of(count, chance)
        check(computed(pairs, settings, chance, size), pairs, Ledger(), settings)


@pytest.mark.parametrize("name", ["loss", "rewards/margins", "objective/kl"])
def test_what_is_off_by_more_is_named(name: str) -> None:
    """One part in ten thousand, on log-probabilities of a usual size."""
    settings, chance = Settings(), random.Random(1)
    pairs = pairs_of(8, chance)
    step = computed(pairs, settings, chance, 20.0)
    if name == "loss":
        other = replace(step, loss=step.loss * 1.0001)
    else:
        value = step.metrics[name] * 1.0001
        other = replace(step, metrics={**step.metrics, name: value})

    with pytest.raises(Mismatch, match=f"step 1: {name}: "):
        check(other, pairs, Ledger(), settings)


def test_what_is_no_number_is_named() -> None:
    """It is not near anything."""
    settings, chance = Settings(), random.Random(1)
    pairs = pairs_of(2, chance)
    step = computed(pairs, settings, chance, 1.0)
    for field in ("loss", "rewards/accuracies"):
        nan = float("nan")
        other = (
            replace(step, loss=nan)
            if field == "loss"
            else replace(step, metrics={**step.metrics, field: nan})
        )
        with pytest.raises(Mismatch, match=field):
            check(other, pairs, Ledger(), settings)


def test_a_figure_that_every_step_has_may_not_be_missing() -> None:
    """What a step did not measure, no audit can derive; these it always does."""
    settings, chance = Settings(), random.Random(1)
    pairs = pairs_of(2, chance)
    step = computed(pairs, settings, chance, 1.0)
    for name in ("rewards/margins", "rewards/accuracies", "judge/agreement"):
        without = {k: v for k, v in step.metrics.items() if k != name}
        with pytest.raises(Mismatch, match=f"{name}: None is recorded"):
            check(replace(step, metrics=without), pairs, Ledger(), settings)


@pytest.mark.parametrize("kind", ["ipo", "ipo_sum", "dpop"])
def test_a_loss_that_is_no_function_of_the_margins_is_not_derived(kind: str) -> None:
    """The rest of the step is."""
    settings, chance = Settings(dpo_cpo_loss_type=kind), random.Random(1)
    pairs = pairs_of(2, chance)
    step = computed(pairs, settings, chance, 1.0)
    check(replace(step, loss=99.0), pairs, Ledger(), settings)
    with pytest.raises(Mismatch, match="beta"):
        check(step, pairs, Ledger(), replace(settings, beta=0.2))


def test_a_schedule_sets_the_learning_rate() -> None:
    """Then it is not that of the settings."""
    settings, chance = Settings(), random.Random(1)
    pairs = pairs_of(2, chance)
    step = computed(pairs, settings, chance, 1.0)
    faster = replace(settings, learning_rate=0.5)
    with pytest.raises(Mismatch, match="learning_rate"):
        check(step, pairs, Ledger(), faster)
    scheduled = replace(faster, lr_schedule={"name": "cosine_decay", "arguments": [1]})
    check(step, pairs, Ledger(), scheduled)
