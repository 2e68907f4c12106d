"""A step's figures: as close to its margins as float32 allows, and no closer."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from onlinedpo.engine.tensors import floats
from onlinedpo.engine.training import measured
from onlinedpo.engine.training.loss import PairLabels, PairLogps, preference_loss
from onlinedpo.states import measures, objective
from onlinedpo.states.config import Settings
from onlinedpo.states.ledger import LabelledPair as Labelled
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.reasons import Reason
from onlinedpo.states.records import Completion, Label, Side, Step
from onlinedpo.states.rederive.mismatch import Mismatch
from onlinedpo.states.rederive.steps import check
from tests.engine.preferences import OPTIONS
from tests.states import facts


def pairs_of(count: int, chance: random.Random, ties: bool = False) -> list[Labelled]:
    """Labelled pairs of many lengths; a third of them ties, if that is wanted."""

    def completion() -> Completion:
        return facts.completion(*range(chance.randint(1, 9)))

    def label(n: int) -> Label:
        if ties and chance.random() < 1 / 3:
            return facts.people_say(n, None, Reason.TIE)
        chosen: Side = chance.choice(("first", "second"))
        return replace(facts.label(n, chosen), confidence=chance.uniform(0.3, 1.0))

    return [
        Labelled(facts.sampled(n, completion(), completion()), label(n))
        for n in range(count)
    ]


def computed(
    pairs: list[Labelled], settings: Settings, chance: random.Random, size: float
) -> Step:
    """A step as float32 computes it, from log-probabilities of this size."""

    def logps() -> mx.array:
        return mx.array([-abs(chance.gauss(0, size)) for _ in pairs])

    zero = mx.zeros(len(pairs))
    reference = objective.has_reference(settings)
    chosen, rejected = zip(*(pair.lengths for pair in pairs), strict=True)
    whole = PairLogps(
        *(logps(), logps()),
        *((logps(), logps()) if reference else (zero, zero)),
        *(mx.array(lengths, mx.float32) for lengths in (chosen, rejected)),
    )
    losses = preference_loss(
        whole,
        settings,
        settings.beta,
        PairLabels(
            mx.array([objective.chance(pair, settings) for pair in pairs]),
            mx.array([pair.tied for pair in pairs]),
        ),
    )
    metrics, margins = measured.of_step(whole, pairs, settings, settings.beta)
    return Step(
        index=1,
        tickets=tuple(range(len(pairs))),
        loss=math.fsum(floats(losses)) / len(pairs),
        grad_norm=1.0,
        metrics={
            **measures.of_round(Ledger().round, pairs, 0, 0),
            **metrics,
            "learning_rate": float(np.float32(settings.learning_rate)),
        },
        margins=margins,
        state="",
        seconds={},
        time=0.0,
    )


@pytest.mark.parametrize("option", OPTIONS.values(), ids=[*OPTIONS])
@pytest.mark.parametrize("size", [0.01, 3.0, 400.0])
@pytest.mark.parametrize("count", [1, 8, 100])
def test_what_float32_computes_passes(
    option: dict[str, Any], size: float, count: int
) -> None:
    """Whatever the size of the log-probabilities and of the batch: no false alarm."""
    for seed, beta in enumerate((0.01, 0.1, 2.0)):
        settings = Settings(beta=beta, **option)
        chance = random.Random(f"{option} {size} {beta} {count} {seed}")
        pairs = pairs_of(count, chance, settings.ties != "drop")
        check(computed(pairs, settings, chance, size), pairs, Ledger(), settings)


DERIVED = {name: o for name, o in OPTIONS.items() if name not in ("ipo", "dpop")}


@pytest.mark.parametrize("option", DERIVED.values(), ids=[*DERIVED])
def test_a_loss_that_is_off_is_named(option: dict[str, Any]) -> None:
    """One part in a thousand, under every option whose loss can be derived."""
    settings, chance = Settings(**option), random.Random(3)
    pairs = pairs_of(8, chance, settings.ties != "drop")
    step = computed(pairs, settings, chance, 20.0)
    with pytest.raises(Mismatch, match="step 1: loss: "):
        check(replace(step, loss=step.loss * 1.001), pairs, Ledger(), settings)


@pytest.mark.parametrize(
    ("option", "other"),
    [
        ({"label_smoothing": 0.1}, {}),
        ({"soft_labels": True}, {}),
        ({"len_reg_alpha": 0.01}, {"len_reg_alpha": 0.02}),
        ({"ties": "rao-kupper"}, {"ties": "rao-kupper", "rao_kupper_nu": 2.5}),
        (OPTIONS["simpo"], {**OPTIONS["simpo"], "simpo_gamma": 0.31}),
        (OPTIONS["robust"], {**OPTIONS["robust"], "label_smoothing": 0.21}),
    ],
)
def test_a_loss_under_another_option_is_named(
    option: dict[str, Any], other: dict[str, Any]
) -> None:
    """The settings say one thing, and the step was taken by another."""
    settings, chance = Settings(**option), random.Random(3)
    pairs = pairs_of(8, chance, settings.ties != "drop")
    step = computed(pairs, Settings(**other), chance, 20.0)
    with pytest.raises(Mismatch, match="step 1: loss: "):
        check(step, pairs, Ledger(), settings)


def test_a_tie_is_no_preference() -> None:
    """A step of ties has no chosen and no accuracy, and may not claim to have any."""
    settings = Settings(ties="rao-kupper")
    pairs = [
        Labelled(facts.sampled(n), facts.people_say(n, None, Reason.TIE))
        for n in range(3)
    ]
    step = computed(pairs, settings, random.Random(1), 3.0)
    assert {name for name in step.metrics if name.startswith("rewards/")} == {
        "rewards/tied"
    }
    assert step.metrics["pairs/tied_frac"] == 1.0
    check(step, pairs, Ledger(), settings)
    for name in ("rewards/accuracies", "rewards/margins"):
        claimed = replace(step, metrics={**step.metrics, name: 0.0})
        with pytest.raises(Mismatch, match=name):
            check(claimed, pairs, Ledger(), settings)


def test_a_schedule_sets_beta() -> None:
    """Of each step, from its number: another one is named."""
    schedule = {"name": "linear_schedule", "arguments": [0.1, 0.5, 4]}
    settings = Settings(beta_schedule=schedule)
    for index, beta in ((1, 0.1), (2, 0.2), (5, 0.5), (9, 0.5)):
        pairs, ledger = pairs_of(4, random.Random(1)), Ledger()
        ledger.steps = index - 1
        step = computed(pairs, replace(Settings(), beta=beta), random.Random(2), 3.0)
        step = replace(
            step,
            index=index,
            metrics=step.metrics | measures.of_round(ledger.round, pairs, 0, index - 1),
        )
        check(step, pairs, ledger, settings)
        other = replace(step, metrics={**step.metrics, "beta": beta * 1.0001})
        with pytest.raises(Mismatch, match=f"step {index}: beta"):
            check(other, pairs, ledger, settings)


@pytest.mark.parametrize("name", ["loss", "rewards/margins", "objective/kl"])
def test_what_is_off_by_more_is_named(name: str) -> None:
    """One part in ten thousand, on log-probabilities of a usual size."""
    settings, chance = Settings(), random.Random(2)
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


@pytest.mark.parametrize("kind", ["ipo", "dpop"])
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
