"""What a step measures of its own pairs, before the update, under TRL's names."""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx

from onlinedpo.engine.tensors import floats, scalar
from onlinedpo.engine.training.loss import PairLogps, rewards
from onlinedpo.states import objective
from onlinedpo.states.ledger import LabelledPair
from onlinedpo.states.settings.preference import PreferenceSettings


def of_step(
    logps: PairLogps,
    pairs: Sequence[LabelledPair],
    settings: PreferenceSettings,
    beta: float,
) -> tuple[dict[str, float], tuple[float, ...]]:
    """The metrics of a step, and the reward margin of each pair.

    A tie is no preference: chosen and rejected, margins and accuracies are those of
    the pairs with a winner, and a step without one does not have them.  `rewards/tied`
    and `logps/tied` are the means over both completions of the ties.  `objective/kl` is
    over all pairs, and not there where the loss has no reference.
    """
    chosen, rejected = rewards(logps, settings, beta)
    margins = chosen - rejected
    metrics = {"beta": beta}
    won = [place for place, pair in enumerate(pairs) if not pair.tied]
    tied = [place for place, pair in enumerate(pairs) if pair.tied]
    if won:
        metrics |= {
            "rewards/chosen": _mean(chosen, won),
            "rewards/rejected": _mean(rejected, won),
            "rewards/margins": _mean(margins, won),
            "rewards/accuracies": _mean(margins > 0, won),
            "logps/chosen": _mean(logps.chosen, won),
            "logps/rejected": _mean(logps.rejected, won),
            "pairs/longer_chosen_frac": _mean(logps.longer > 0, won),
        }
    if tied:
        metrics |= {
            "rewards/tied": _mean(chosen + rejected, tied) / 2,
            "logps/tied": _mean(logps.chosen + logps.rejected, tied) / 2,
        }
    if objective.has_reference(settings):
        # The mean of log pi - log ref over samples of pi estimates KL(pi || ref).
        ratios = logps.chosen_ratio + logps.rejected_ratio
        metrics["objective/kl"] = scalar(ratios.mean()) / 2
    return metrics, tuple(floats(margins))


def _mean(values: mx.array, places: list[int]) -> float:
    return scalar(values[mx.array(places)].mean())
