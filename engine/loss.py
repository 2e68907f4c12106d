"""The preference losses, as pure functions of log-probabilities.

For one pair let  w = log pi(chosen) - log ref(chosen),  l the same for the rejected one
and  h = w - l  (the log-ratio difference).  Every function takes (B,) float32 arrays
and gives the loss per pair, (B,) float32, in nats.
"""

from __future__ import annotations

from dataclasses import dataclass

import mlx.core as mx


@dataclass(frozen=True, slots=True)
class PairLogps:
    """Summed log-probabilities and lengths (tokens) of a batch of pairs, each (B,)."""

    chosen: mx.array
    rejected: mx.array
    reference_chosen: mx.array
    reference_rejected: mx.array
    chosen_length: mx.array
    rejected_length: mx.array

    @property
    def chosen_ratio(self) -> mx.array:
        """w = log pi - log ref of the chosen completions."""
        return self.chosen - self.reference_chosen

    @property
    def rejected_ratio(self) -> mx.array:
        """l = log pi - log ref of the rejected completions."""
        return self.rejected - self.reference_rejected

    @property
    def difference(self) -> mx.array:
        """h = w - l."""
        return self.chosen_ratio - self.rejected_ratio


def preference_loss(
    logps: PairLogps, *, kind: str, beta: float, delta: float
) -> mx.array:
    """The loss per pair, by the name of `dpo_cpo_loss_type`."""
    match kind:
        case "sigmoid":
            return sigmoid(logps, beta)
        case "hinge":
            return hinge(logps, beta)
        case "ipo":
            return ipo(logps, beta)
        case "ipo_sum":
            return ipo_sum(logps, beta)
        case "dpop":
            return dpop(logps, beta, delta)
    raise ValueError(f"no loss is called {kind!r}")


def sigmoid(logps: PairLogps, beta: float) -> mx.array:
    """DPO: -log sigmoid(beta h).  Rafailov et al. 2023 (arXiv 2305.18290), eq. 7."""
    return _softplus(-beta * logps.difference)


def hinge(logps: PairLogps, beta: float) -> mx.array:
    """SLiC's hinge on the DPO margin: max(0, 1 - beta h).

    Zhao et al. 2023 (arXiv 2305.10425), in the form of Liu et al. 2024
    (arXiv 2309.06657).
    """
    return mx.maximum(0.0, 1.0 - beta * logps.difference)


def ipo(logps: PairLogps, beta: float) -> mx.array:
    """IPO on log-probabilities per token: (w/|chosen| - l/|rejected| - 1/(2 beta))^2.

    Azar et al. 2023 (arXiv 2310.12036), eq. 17, with the mean over completion tokens
    that its authors use and TRL's DPOTrainer takes.
    """
    per_token = (
        logps.chosen_ratio / logps.chosen_length
        - logps.rejected_ratio / logps.rejected_length
    )
    return (per_token - 1.0 / (2.0 * beta)) ** 2


def ipo_sum(logps: PairLogps, beta: float) -> mx.array:
    """IPO on summed log-probabilities: (h - 1/(2 beta))^2.

    Azar et al. 2023 (arXiv 2310.12036), eq. 17, as TRL's online trainer takes it.
    """
    return (logps.difference - 1.0 / (2.0 * beta)) ** 2


def dpop(logps: PairLogps, beta: float, delta: float) -> mx.array:
    """DPO-Positive: -log sigmoid(beta (h - delta max(0, -w))).

    Pal et al. 2024 (arXiv 2402.13228), eq. 3: the penalty for a chosen completion that
    loses probability stands inside the sigmoid.
    """
    penalty = mx.maximum(0.0, -logps.chosen_ratio)
    return _softplus(-beta * (logps.difference - delta * penalty))


def _softplus(x: mx.array) -> mx.array:
    """-log sigmoid(-x), without overflow."""
    return mx.logaddexp(x, 0.0)
