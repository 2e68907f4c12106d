"""Steps, derived again from their labels, and their figures from their margins.

Of a step's figures those of sampling and judging follow from the facts and must be
equal.  The loss and the rewards were computed in float32 from log-probabilities that
the journal does not have, so they must fit the margins as closely as float32 allows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from onlinedpo.states import measures
from onlinedpo.states.config import Settings
from onlinedpo.states.ledger import LabelledPair, Ledger
from onlinedpo.states.records import Step
from onlinedpo.states.rederive.mismatch import Mismatch

_U = 2.0**-24
"""Unit roundoff of float32."""
_FUNCTIONS = 2.0**-18
"""What exp and log1p of a float32 library may be off by, of values around one."""
_TINY = 2.0**-120
"""What may have been flushed to zero."""

_ALWAYS = ("rewards/margins", "rewards/accuracies")
_PLAIN_RATES = ("adam", "adamw", "sgd", "muon")
"""Optimizers whose learning rate is as set where there is no schedule."""

LOSSES: dict[str, Callable[[float], float]] = {
    "sigmoid": lambda m: math.log1p(math.exp(-abs(m))) + max(-m, 0.0),
    "hinge": lambda m: max(0.0, 1.0 - m),
}
"""The losses that are functions of the reward margin beta h alone, by their names."""


def check(
    step: Step, pairs: Sequence[LabelledPair], ledger: Ledger, settings: Settings
) -> None:
    """Raise `Mismatch` unless a step follows from its pairs; `ledger` is before."""
    tickets = tuple(pair.sampled.ticket for pair in pairs)
    facts: tuple[tuple[str, Any, Any], ...] = (
        ("index", step.index, ledger.steps + 1),
        ("tickets", step.tickets, tickets),
        ("margins", len(step.margins), len(tickets)),
    )
    for field, recorded, derived in facts:
        if recorded != derived:
            raise _differs(step, field, recorded, derived)
    measured = measures.of_round(
        ledger.round, pairs, len(ledger.waiting()), ledger.steps
    )
    for name, derived in measured.items():
        if step.metrics.get(name) != derived:
            raise _differs(step, name, step.metrics.get(name), derived)
    _check_rewards(step, pairs, settings)
    _check_loss(step, settings)


def _check_rewards(
    step: Step, pairs: Sequence[LabelledPair], settings: Settings
) -> None:
    """What was measured of the margins and the lengths.

    A sum of n numbers in float32, in any order, is off by at most (n - 1) u sum |x|
    (Higham 2002, Accuracy and Stability, section 4.2), and the mean by 2 u more.
    """
    n, margins = len(pairs), step.margins
    rounding = (n + 2) * _U * math.fsum(map(abs, margins)) / n + _TINY
    _near(step, "rewards/margins", math.fsum(margins) / n, rounding)
    _near(step, "rewards/accuracies", sum(m > 0 for m in margins) / n, 4 * _U)
    longer = sum(_chosen_is_longer(pair) for pair in pairs) / n
    _near(step, "pairs/longer_chosen_frac", longer, 4 * _U)
    if "beta" in step.metrics and step.metrics["beta"] != settings.beta:
        raise _differs(step, "beta", step.metrics["beta"], settings.beta)
    if settings.lr_schedule is None and settings.optimizer in _PLAIN_RATES:
        rate = settings.learning_rate
        _near(step, "learning_rate", rate, 2 * _U * rate + _TINY)
    metrics = step.metrics
    if "rewards/chosen" in metrics and "rewards/rejected" in metrics:
        chosen, rejected = metrics["rewards/chosen"], metrics["rewards/rejected"]
        rounding += (n + 4) * _U * _common(step, settings.beta)
        _near(step, "rewards/margins", chosen - rejected, rounding)
        half = 2 * settings.beta
        _near(step, "objective/kl", (chosen + rejected) / half, rounding / half)


def _check_loss(step: Step, settings: Settings) -> None:
    """The loss of the margins, for the losses that are functions of them.

    A margin is fl(fl(beta w) - fl(beta l)), the loss is taken of -beta fl(w - l): the
    two differ by at most 4 u beta (|w| + |l|), and both losses change no faster than
    their argument.  The mean over the pairs is exact.
    """
    loss = LOSSES.get(settings.dpo_cpo_loss_type)
    if loss is None:
        return
    n = len(step.margins)
    derived = math.fsum(map(loss, step.margins)) / n
    sizes = math.fsum(map(abs, step.margins)) / n
    off = 4 * _U * (_common(step, settings.beta) + sizes) + _FUNCTIONS * (1 + derived)
    if not abs(step.loss - derived) <= off:
        raise _differs(step, "loss", step.loss, derived)


def _common(step: Step, beta: float) -> float:
    """A bound on the mean of beta (|w| + |l|) over the pairs, from the step's means.

    w and l are differences of log-probabilities of policy and reference.  All of these
    have one sign, so the mean of their sizes is the size of their mean.
    """
    total = 0.0
    for side in ("chosen", "rejected"):
        policy = step.metrics.get(f"logps/{side}", 0.0)
        reference = policy - step.metrics.get(f"rewards/{side}", 0.0) / beta
        total += 1.01 * beta * (abs(policy) + abs(reference))
    return total


def _near(step: Step, name: str, derived: float, off: float) -> None:
    recorded = step.metrics.get(name)
    if recorded is None and name not in _ALWAYS:
        return
    if recorded is None or not abs(recorded - derived) <= off:
        raise _differs(step, name, recorded, derived)


def _chosen_is_longer(pair: LabelledPair) -> bool:
    chosen, pairs = pair.sampled.side(pair.chosen), pair.sampled
    other = pairs.second if pair.chosen == "first" else pairs.first
    return len(chosen.tokens) > len(other.tokens)


def _differs(step: Step, field: str, recorded: Any, derived: Any) -> Mismatch:
    return Mismatch(f"step {step.index}", field, recorded, derived)
