"""One DPO step: from labelled pairs to new adapter and optimizer state.

The step is a function of the pairs, the settings and its index alone, so applying the
journalled pairs again gives the same state again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
from mlx.utils import tree_map, tree_unflatten

from onlinedpo.engine.models.policy import Policy
from onlinedpo.engine.tensors import Tensors, flat, floats, scalar
from onlinedpo.engine.training import measured
from onlinedpo.engine.training.logps import Batch, Scorer, batch_of
from onlinedpo.engine.training.loss import PairLabels, PairLogps, preference_loss
from onlinedpo.engine.training.modes import as_while_training, checkpointed
from onlinedpo.engine.training.optimizer import optimizer_of
from onlinedpo.states import objective, seeds
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import TrainingDiverged
from onlinedpo.states.ledger import LabelledPair
from onlinedpo.states.schedules import beta_at


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step measured: on its own pairs, before the update."""

    loss: float
    grad_norm: float
    metrics: dict[str, float]
    margins: tuple[float, ...]


class Learner:
    """The policy's optimizer and its step."""

    def __init__(self, policy: Policy, scorer: Scorer, settings: Settings) -> None:
        """Build the optimizer; raises `UsageError` if its settings do not fit."""
        self.policy = policy
        self._scorer = scorer
        other = policy.other
        self._reference_scorer = scorer if other is None else Scorer(other)
        self._settings = settings
        self.optimizer = optimizer_of(settings)
        self.optimizer.init(policy.model.trainable_parameters())
        mx.eval(self.optimizer.state)

    def state(self) -> Tensors:
        """The optimizer's state, flat and sorted by name."""
        return flat(self.optimizer.state)

    def restore(self, adapter: Tensors, optimizer: Tensors) -> None:
        """Go on from a checkpoint."""
        self.policy.update(adapter)
        self._go_on_from(tree_unflatten(list(optimizer.items())))

    def go_on_with(self, settings: Settings) -> None:
        """Take the next steps with these settings: a fork may have changed some."""
        if settings == self._settings:
            return
        state = self.optimizer.state
        self._settings = settings
        self.optimizer = optimizer_of(settings)
        self._go_on_from(state)

    def _go_on_from(self, state: Any) -> None:
        """Give the optimizer a state, but for a learning rate that is constant."""
        rate = self.optimizer.learning_rate
        self.optimizer.state = state
        if not self._settings.lr_schedule:
            self.optimizer.learning_rate = rate

    def step(self, pairs: Sequence[LabelledPair], index: int) -> StepResult:
        """Take the `index`-th step (from 1) on these pairs.

        Raises `TrainingDiverged`, naming the pair and changing nothing, if a loss or
        the gradient is not finite; and if the policy is not finite after the update,
        which this process then cannot use any more.
        """
        size = self._settings.micro_batch_size or self._settings.batch_size
        micro = [pairs[i : i + size] for i in range(0, len(pairs), size)]
        gradient: Any = None
        losses: list[float] = []
        logps: list[PairLogps] = []
        for number, part in enumerate(micro):
            part_gradient, part_losses, part_logps = self.gradient(
                part, len(pairs), index, number
            )
            gradient = (
                part_gradient
                if gradient is None
                else tree_map(mx.add, gradient, part_gradient)
            )
            mx.eval(gradient)
            losses += part_losses
            logps.append(part_logps)
        gradient, norm = _clipped(gradient, self._settings.max_grad_norm)
        self._refuse_non_finite(pairs, losses, norm, index)
        self.optimizer.update(self.policy.model, gradient)
        mx.eval(self.policy.model.trainable_parameters(), self.optimizer.state)
        if not self.policy.is_finite():
            raise _diverged(index, "the policy would compute NaN or infinity after it")
        beta = beta_at(self._settings, index)
        metrics, margins = measured.of_step(
            PairLogps.joined(logps), pairs, self._settings, beta
        )
        metrics["learning_rate"] = scalar(self.optimizer.learning_rate)
        return StepResult(math.fsum(losses) / len(losses), norm, metrics, margins)

    def gradient(
        self, pairs: Sequence[LabelledPair], total: int, index: int, number: int
    ) -> tuple[Any, list[float], PairLogps]:
        """Gradient of sum(loss)/total on a micro-batch, its losses and its logps."""
        model, settings = self.policy.model, self._settings
        batch = _chosen_and_rejected(pairs)
        half, labels = len(pairs), _labels(pairs, settings)
        reference = self._reference(batch)
        beta = beta_at(settings, index)

        def loss(model: nn.Module) -> tuple[mx.array, tuple[mx.array, mx.array]]:
            policy = self._scorer.completion_logps(batch)
            logps = _split(policy, reference, batch.lengths, half)
            each = preference_loss(logps, settings, beta, labels)
            return each.sum() / total, (each, policy)

        before = self.policy.trainable()
        # Dropout masks depend on the step and the micro-batch, not on what ran before.
        mx.random.seed(seeds.derive(settings.seed, "dropout", index, number))
        model.train()
        with checkpointed(model, settings.grad_checkpoint):
            (_, (each, policy)), gradient = nn.value_and_grad(model, loss)(model)
            mx.eval(gradient, each, policy)
        model.eval()
        self.policy.update(before)
        return gradient, floats(each), _split(policy, reference, batch.lengths, half)

    def _reference(self, batch: Batch) -> mx.array:
        """The reference's log-probabilities; zeros where the loss has none."""
        if not objective.has_reference(self._settings):
            return mx.zeros(len(batch.tokens))
        with self.policy.reference() as model, as_while_training(model):
            reference = self._reference_scorer.completion_logps(batch)
            mx.eval(reference)
        return mx.stop_gradient(reference)

    def _refuse_non_finite(
        self,
        pairs: Sequence[LabelledPair],
        losses: Sequence[float],
        norm: float,
        index: int,
    ) -> None:
        if math.isfinite(norm) and all(map(math.isfinite, losses)):
            return
        what = "loss"
        guilty = [
            pair.sampled.pair
            for pair, loss in zip(pairs, losses, strict=True)
            if not math.isfinite(loss)
        ]
        if not guilty:
            what = "gradient"
            guilty = [
                p.sampled.pair for p in pairs if not self._has_finite_gradient(p, index)
            ]
        where = f"on pair {', '.join(guilty)}" if guilty else "over all pairs together"
        raise _diverged(index, f"the {what} is not finite {where}")

    def _has_finite_gradient(self, pair: LabelledPair, index: int) -> bool:
        gradient, losses, _ = self.gradient([pair], 1, index, 0)
        _, norm = _clipped(gradient, None)
        return math.isfinite(norm) and math.isfinite(losses[0])


def _diverged(index: int, why: str) -> TrainingDiverged:
    return TrainingDiverged(
        f"step {index} was not taken: {why}",
        hint="Look at its pairs with 'onlinedpo show'; start a new run with a lower"
        " learning_rate or beta.",
    )


def _chosen_and_rejected(pairs: Sequence[LabelledPair]) -> Batch:
    """Rows of a micro-batch: all chosen completions, then all rejected ones."""
    chosen, rejected = [], []
    for pair in pairs:
        sampled, side = pair.sampled, pair.chosen
        other = sampled.side("second" if side == "first" else "first")
        chosen.append((sampled.prompt_tokens, sampled.side(side).tokens))
        rejected.append((sampled.prompt_tokens, other.tokens))
    return batch_of([*chosen, *rejected])


def _labels(pairs: Sequence[LabelledPair], settings: Settings) -> PairLabels:
    """How sure each label of a micro-batch is, as far as the loss wants to know."""
    chances = [objective.chance(pair, settings) for pair in pairs]
    return PairLabels(
        chance=None if set(chances) == {1.0} else mx.array(chances),
        tied=mx.array([pair.tied for pair in pairs]),
    )


def _split(
    policy: mx.array, reference: mx.array, lengths: mx.array, half: int
) -> PairLogps:
    return PairLogps(
        chosen=policy[:half],
        rejected=policy[half:],
        reference_chosen=reference[:half],
        reference_rejected=reference[half:],
        chosen_length=lengths[:half],
        rejected_length=lengths[half:],
    )


def _clipped(gradient: Any, limit: float | None) -> tuple[Any, float]:
    """The gradient clipped to a global norm, and its norm before."""
    clipped, norm = optim.clip_grad_norm(gradient, math.inf if limit is None else limit)
    return (gradient if limit is None else clipped), scalar(norm)
