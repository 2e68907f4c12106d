"""The preference losses, as pure functions of log-probabilities.

For one pair let  w = log pi(chosen) - log ref(chosen),  l the same for the rejected one
and  h = w - l  (the log-ratio difference); |y| is a completion's length in tokens, its
EOS included.  The *reward* of a completion is beta w, or beta w / |y| where the loss is
per token; its *margin* is the difference of the two rewards.  Every function takes (B,)
float32 arrays and gives the loss per pair, (B,) float32, in nats.

Of a tie, either completion may stand for the chosen one: no loss depends on which.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import mlx.core as mx

from onlinedpo.states import objective
from onlinedpo.states.settings.preference import PreferenceSettings


@dataclass(frozen=True, slots=True)
class PairLogps:
    """Summed log-probabilities and lengths (tokens) of a batch of pairs, each (B,).

    Where a loss has no reference, its log-probabilities are zero.
    """

    chosen: mx.array
    rejected: mx.array
    reference_chosen: mx.array
    reference_rejected: mx.array
    chosen_length: mx.array
    rejected_length: mx.array

    @classmethod
    def joined(cls, parts: Sequence[PairLogps]) -> PairLogps:
        """The pairs of several batches, one after the other."""
        return cls(
            *(mx.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls))
        )

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

    @property
    def difference_per_token(self) -> mx.array:
        """w/|chosen| - l/|rejected|."""
        chosen = self.chosen_ratio / self.chosen_length
        return chosen - self.rejected_ratio / self.rejected_length

    @property
    def longer(self) -> mx.array:
        """|chosen| - |rejected|."""
        return self.chosen_length - self.rejected_length


@dataclass(frozen=True, slots=True)
class PairLabels:
    """What is known of a batch of pairs: None where all are sure, or none is a tie.

    `chance` (B,) float32 is the chance that the chosen completion is better; `tied`
    (B,) bool says which pairs are ties.
    """

    chance: mx.array | None = None
    tied: mx.array | None = None


def rewards(
    logps: PairLogps, settings: PreferenceSettings, beta: float
) -> tuple[mx.array, mx.array]:
    """The rewards of chosen and rejected completions, each (B,).

    beta w and beta l, as TRL has them; per token for sigmoid_norm and simpo, so that
    the loss is a function of their difference.  simpo has no reference: its rewards are
    beta log pi / |y|, without `simpo_gamma` (as in TRL's CPOTrainer).
    """
    chosen, rejected = logps.chosen_ratio, logps.rejected_ratio
    if objective.per_token(settings):
        chosen, rejected = (
            chosen / logps.chosen_length,
            rejected / logps.rejected_length,
        )
    return chosen * beta, rejected * beta


def preference_loss(
    logps: PairLogps,
    settings: PreferenceSettings,
    beta: float,
    labels: PairLabels,
) -> mx.array:
    """The loss per pair that the settings name; `beta` is the step's."""
    match settings.dpo_cpo_loss_type:
        case "sigmoid":
            z = beta * logps.difference
            if settings.len_reg_alpha:
                z = length_regularized(z, logps, settings.len_reg_alpha)
        case "sigmoid_norm":
            z = beta * logps.difference_per_token
        case "simpo":
            z = beta * logps.difference_per_token - settings.simpo_gamma
        case "robust":
            return robust(beta * logps.difference, settings.label_smoothing)
        case "hinge":
            return hinge(logps, beta)
        case "ipo":
            return ipo(logps, beta)
        case "ipo_sum":
            return ipo_sum(logps, beta)
        case "dpop":
            return dpop(logps, beta, settings.delta)
        case kind:
            raise ValueError(f"no loss is called {kind!r}")
    if settings.ties == "rao-kupper":
        return rao_kupper(z, labels.tied, settings.rao_kupper_nu)
    return cross_entropy(z, labels.chance)


def cross_entropy(z: mx.array, chance: mx.array | None = None) -> mx.array:
    """-p log sigmoid(z) - (1 - p) log sigmoid(-z), p the chance that chosen is better.

    With z = beta h and p = 1 that is DPO: Rafailov et al. 2023 (arXiv 2305.18290),
    eq. 7.  With p = 1 - label_smoothing it is cDPO (Mitchell 2023, eq. 3), with each
    pair's own p the same with soft labels: see `objective.chance`.

    sigmoid_norm takes the mean over tokens instead of the sum, z = beta (w/|chosen| -
    l/|rejected|), as TRL does and Tulu 3 (Lambert et al. 2024, arXiv 2411.15124).

    simpo takes the same of the policy alone, less the target margin: z = beta (log
    pi(chosen)/|chosen| - log pi(rejected)/|rejected|) - gamma.  Meng et al. 2024 (arXiv
    2405.14734), eq. 6.  gamma is `simpo_gamma` as it stands, not times beta; TRL writes
    that as beta (... - gamma/beta).
    """
    if chance is None:
        return _softplus(-z)
    return chance * _softplus(-z) + (1.0 - chance) * _softplus(z)


def length_regularized(z: mx.array, logps: PairLogps, alpha: float) -> mx.array:
    """R-DPO: beta h + alpha (|chosen| - |rejected|), inside the sigmoid.

    Park et al. 2024 (arXiv 2403.19159), eq. 9.  It follows from a reward that loses
    alpha a token: what the labels say beyond the length is all that is to be learned,
    so that a chosen completion that is longer moves the policy less.
    """
    return z + alpha * logps.longer


def robust(z: mx.array, epsilon: float) -> mx.array:
    """(-(1 - e) log sigmoid(z) + e log sigmoid(-z)) / (1 - 2 e), z = beta h.

    Robust DPO: Chowdhury et al. 2024 (arXiv 2403.00409).  Where labels are wrong
    with the chance e = label_smoothing, its mean is DPO's loss of the right ones; cDPO
    has the other sign, and no denominator.
    """
    clean, flipped = _softplus(-z), _softplus(z)
    return ((1.0 - epsilon) * clean - epsilon * flipped) / (1.0 - 2.0 * epsilon)


def rao_kupper(z: mx.array, tied: mx.array | None, nu: float) -> mx.array:
    """DPO-RK: -log sigmoid(z - a) of a win, and -log p(tie) of a tie, a = log nu.

    p(tie) = (nu^2 - 1) sigmoid(z - a) sigmoid(-z - a) is what is left where neither
    wins.  Chen et al. 2024 (arXiv 2409.17431), after Rao and Kupper 1967 (doi
    10.2307/2282923); nu = 3 has two equal completions tie half of the time.
    """
    threshold = math.log(nu)
    win = _softplus(threshold - z)
    if tied is None:
        return win
    tie = win + _softplus(threshold + z) - math.log(nu * nu - 1.0)
    return mx.where(tied, tie, win)


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
    return (logps.difference_per_token - 1.0 / (2.0 * beta)) ** 2


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
