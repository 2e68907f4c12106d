"""Steps, derived again from their labels, and their figures from their margins.

Of a step's figures those of sampling and judging follow from the facts and must be
equal.  The loss and the rewards were computed in float32 from log-probabilities that
the journal does not have, so they must fit the margins as closely as float32 allows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from onlinedpo.states import measures, objective
from onlinedpo.states.config import Settings
from onlinedpo.states.ledger import LabelledPair, Ledger
from onlinedpo.states.records import Step
from onlinedpo.states.rederive import losses
from onlinedpo.states.rederive.mismatch import Mismatch
from onlinedpo.states.schedules import beta_at

_U = 2.0**-24
"""Unit roundoff of float32."""
_FUNCTIONS = 2.0**-18
"""What exp and log1p of a float32 library may be off by, of values around one."""
_TINY = 2.0**-120
"""What may have been flushed to zero."""
_LAST_BITS = 1e-12
"""The cos and pow of two C libraries differ in the last bit, and a schedule with it."""

_ALWAYS = ("rewards/margins", "rewards/accuracies")
"""What every step with a winner has."""
_PLAIN_RATES = ("adam", "adamw", "sgd", "muon")
"""Optimizers whose learning rate is as set where there is no schedule."""


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
    measured = measures.of_step(ledger, pairs, settings)
    for name, derived in measured.items():
        if step.metrics.get(name) != derived:
            raise _differs(step, name, step.metrics.get(name), derived)
    beta = beta_at(settings, step.index)
    _check_beta(step, settings, beta)
    if settings.lr_schedule is None and settings.optimizer in _PLAIN_RATES:
        rate = settings.learning_rate
        _near(step, "learning_rate", rate, 2 * _U * rate + _TINY)
    _check_rewards(step, pairs, settings, beta)
    if losses.derivable(settings.as_dict()):
        _check_loss(step, pairs, settings, beta)


def _check_beta(step: Step, settings: Settings, beta: float) -> None:
    recorded = step.metrics.get("beta", beta)
    off = _LAST_BITS if settings.beta_schedule else 0.0
    if not math.isclose(recorded, beta, rel_tol=off):
        raise _differs(step, "beta", recorded, beta)


def _check_rewards(
    step: Step, pairs: Sequence[LabelledPair], settings: Settings, beta: float
) -> None:
    """What was measured of the margins and the lengths: of ties nothing of a winner.

    A sum of n numbers in float32, in any order, is off by at most (n - 1) u sum |x|
    (Higham 2002, Accuracy and Stability, section 4.2), and the mean by 2 u more.
    """
    metrics = step.metrics
    won = [
        (margin, pair)
        for margin, pair in zip(step.margins, pairs, strict=True)
        if not pair.tied
    ]
    if not won:
        for name in _ALWAYS:
            if name in metrics:
                raise _differs(step, name, metrics[name], None)
        return
    n = len(won)
    rounding = (n + 2) * _U * math.fsum(abs(m) for m, _ in won) / n + _TINY
    mean = math.fsum(m for m, _ in won) / n
    _near(step, "rewards/margins", mean, rounding)
    _near(step, "rewards/accuracies", sum(m > 0 for m, _ in won) / n, 4 * _U)
    longer = sum(chosen > rejected for chosen, rejected in (p.lengths for _, p in won))
    _near(step, "pairs/longer_chosen_frac", longer / n, 4 * _U)
    if "rewards/chosen" in metrics and "rewards/rejected" in metrics:
        chosen, rejected = metrics["rewards/chosen"], metrics["rewards/rejected"]
        # Of the common size of all pairs, the ties' part may be none.
        all_pairs = len(pairs) / n * _common(step, pairs, beta)
        rounding += (len(pairs) + 4) * _U * all_pairs
        _near(step, "rewards/margins", chosen - rejected, rounding)
        if not objective.per_token(settings):
            every = n * (chosen + rejected) + _ties(step, pairs, "rewards")
            kl = every / len(pairs) / (2 * beta)
            _near(step, "objective/kl", kl, rounding / (2 * beta))


def _check_loss(
    step: Step, pairs: Sequence[LabelledPair], settings: Settings, beta: float
) -> None:
    """The loss of the margins, for the losses that are functions of them.

    A margin is fl(fl(beta w) - fl(beta l)), the loss is taken of beta fl(w - l): the
    two differ by at most 4 u beta (|w| + |l|), per token by 6 u of it, and the loss by
    that times its slope.  The mean over the pairs is exact.
    """
    n = len(step.margins)
    derived = [
        losses.of_pair(margin, pair, settings, beta)
        for margin, pair in zip(step.margins, pairs, strict=True)
    ]
    loss = math.fsum(one.loss for one in derived) / n
    slope = max(one.slope for one in derived)
    sizes = math.fsum(map(abs, step.margins)) / n
    off = 6 * _U * slope * (_common(step, pairs, beta) + sizes)
    # 16 operations at most, and two functions, on numbers of this size.
    off += (16 * _U + _FUNCTIONS) * math.fsum(one.size for one in derived) / n
    if not abs(step.loss - loss) <= off:
        raise _differs(step, "loss", step.loss, loss)


def _common(step: Step, pairs: Sequence[LabelledPair], beta: float) -> float:
    """A bound on the mean of beta (|w| + |l|) over the pairs, from the step's means.

    w and l are differences of log-probabilities of policy and reference.  All of these
    have one sign, so the mean of their sizes is the size of their mean.  Per token they
    are no larger.
    """
    metrics, n = step.metrics, len(pairs)
    won = sum(not pair.tied for pair in pairs)
    sides = (metrics.get(f"logps/{side}", 0.0) for side in ("chosen", "rejected"))
    policy = (won * sum(sides) + _ties(step, pairs, "logps")) / n
    reference = policy - 2 * metrics.get("objective/kl", 0.0)
    return 1.01 * beta * (abs(policy) + abs(reference))


def _ties(step: Step, pairs: Sequence[LabelledPair], what: str) -> float:
    """The sum over both completions of all ties."""
    return 2 * sum(pair.tied for pair in pairs) * step.metrics.get(f"{what}/tied", 0.0)


def _near(step: Step, name: str, derived: float, off: float) -> None:
    recorded = step.metrics.get(name)
    if recorded is None and name not in _ALWAYS:
        return
    if recorded is None or not abs(recorded - derived) <= off:
        raise _differs(step, name, recorded, derived)


def _differs(step: Step, field: str, recorded: Any, derived: Any) -> Mismatch:
    return Mismatch(f"step {step.index}", field, recorded, derived)
