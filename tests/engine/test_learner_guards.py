"""What a step must not do: poison a run, patch a model, depend on what ran before."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from onlinedpo.engine.tensors import digest
from onlinedpo.states.errors import TrainingDiverged, UsageError
from tests.engine.kit import (
    DROPOUT,
    Trainer,
    completion,
    labelled,
    nudge,
    some_pairs,
    trainer,
)

POISON = 259
CLEAN = [
    labelled(0, (10, 11, 12), (13, 14), (15, 16, 17)),
    labelled(1, (20, 21), (22,), (23, 24), "second"),
]


def poison(built: Trainer) -> None:
    """One token's embedding is no number: only who reads that token is hurt."""
    embedding: Any = built.policy.model
    weight = embedding.model.embed_tokens.weight
    rows = mx.arange(weight.shape[0])[:, None]
    embedding.model.embed_tokens.weight = mx.where(rows == POISON, mx.nan, weight)


@pytest.mark.parametrize("size", [1, 3])
def test_a_loss_that_is_no_number_is_refused_and_its_pair_named(
    size: int, opinionated: Path
) -> None:
    """The step is not taken, not even in part, and only the guilty pair is named."""
    built = trainer(opinionated, micro_batch_size=size)
    built.learner.step(CLEAN, 1)
    poison(built)
    guilty = labelled(2, (30, POISON, 31), (32,), (33,))
    before = built.digest()

    with pytest.raises(TrainingDiverged) as caught:
        built.learner.step([*CLEAN, guilty], 2)

    assert built.digest() == before
    assert "step 2 was not taken" in str(caught.value)
    assert guilty.sampled.pair in str(caught.value)
    assert not any(pair.sampled.pair in str(caught.value) for pair in CLEAN)
    assert built.learner.step(CLEAN, 2).loss > 0


def test_a_gradient_that_overflows_is_refused(toy: Path) -> None:
    """Every loss is ln 2, but beta makes the gradient infinite: nothing is applied."""
    built = trainer(toy, beta=1e38, batch_size=2)
    before = built.digest()

    with pytest.raises(TrainingDiverged, match="the gradient is not finite on pair"):
        built.learner.step(CLEAN, 1)

    assert built.digest() == before
    assert not built.policy.model.training


def test_a_step_of_infinite_length_is_refused(toy: Path) -> None:
    """An infinite learning rate leaves no adapter of infinities behind."""
    with pytest.raises((UsageError, TrainingDiverged)):
        trainer(toy, optimizer="sgd", learning_rate=math.inf).learner.step(CLEAN, 1)


@pytest.mark.parametrize("way", ["lora", "full"])
def test_gradient_checkpointing_changes_memory_and_nothing_else(
    way: str, toy: Path
) -> None:
    """The same gradient comes out, and the layers' class is as it was (D13)."""
    settings: dict[str, Any] = {
        "fine_tune_type": way,
        "optimizer": "sgd",
        "learning_rate": 1.0,
        "max_grad_norm": None,
    }
    plain, checkpointed = (
        trainer(toy, grad_checkpoint=wanted, **settings) for wanted in (False, True)
    )
    layer: Any = checkpointed.policy.model
    kind = type(layer.layers[0])
    call = kind.__call__
    for built in (plain, checkpointed):
        nudge(built.policy)
        built.learner.step(some_pairs(3), 1)

    assert kind.__call__ is call
    wanted, got = plain.policy.trainable(), checkpointed.policy.trainable()
    for name in wanted:
        np.testing.assert_allclose(
            np.array(got[name]), np.array(wanted[name]), atol=1e-5, err_msg=name
        )


def test_gradient_checkpointing_is_undone_where_a_step_fails(toy: Path) -> None:
    """Sampler and judge never meet a patched layer, whatever happened (D13)."""
    built = trainer(toy, grad_checkpoint=True)
    layer: Any = built.policy.model
    kind = type(layer.layers[0])
    call = kind.__call__
    no_completion: Any = labelled(0, (10, 11), (12,), (13,))
    object.__setattr__(no_completion.sampled, "first", completion(()))
    object.__setattr__(no_completion.sampled, "second", completion(()))

    with pytest.raises(Exception):  # noqa: B017
        built.learner.step([no_completion], 1)

    assert kind.__call__ is call


def test_dropout_depends_on_the_step_and_not_on_what_ran_before(toy: Path) -> None:
    """Another draw before it changes nothing; another seed or step does."""

    def after(index: int, seed: int = 0, draws: int = 0) -> str:
        built = trainer(toy, lora_parameters=DROPOUT, seed=seed)
        # The same adapter and reference for all: only the masks may differ.
        built.policy.initial = {
            name: mx.ones(value.shape) / 50
            for name, value in built.policy.initial.items()
        }
        built.policy.update(built.policy.initial)
        for _ in range(draws):
            mx.eval(mx.random.normal((7,)))
        built.learner.step(some_pairs(3), index)
        return digest(built.policy.trainable())

    assert after(1) == after(1, draws=3)
    assert len({after(1), after(2), after(1, seed=5)}) == 3


def test_two_micro_batches_have_dropout_masks_of_their_own(toy: Path) -> None:
    """The same pair twice, apart, is not trained with one mask twice."""
    settings: dict[str, Any] = {
        "lora_parameters": DROPOUT,
        "optimizer": "sgd",
        "learning_rate": 1.0,
        "max_grad_norm": None,
        "micro_batch_size": 1,
    }
    once, twice = trainer(toy, **settings), trainer(toy, **settings)

    once.learner.step(CLEAN[:1], 1)
    twice.learner.step(CLEAN[:1] * 2, 1)

    assert digest(once.policy.trainable()) != digest(twice.policy.trainable())


def test_a_model_samples_and_judges_without_dropout(toy: Path) -> None:
    """After a step, and before any, the model is in evaluation mode."""
    built = trainer(toy, lora_parameters=DROPOUT)
    assert not built.policy.model.training
    built.learner.step(CLEAN, 1)

    assert not any(module.training for module in built.policy.model.modules())
