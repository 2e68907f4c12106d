"""Settings of the preference loss and of which pairs it is taken on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from onlinedpo.states.settings.field import setting


@dataclass(frozen=True, kw_only=True)
class PreferenceSettings:
    """The loss, and what becomes of pairs that are no plain preference."""

    beta: float = setting(0.1, "Strength of the pull to the reference.", low=1e-6)
    beta_schedule: dict[str, Any] | None = setting(
        None,
        "Schedule of beta over the steps, written as lr_schedule is; replaces beta.",
    )
    dpo_cpo_loss_type: str = setting(
        "sigmoid",
        "Loss. ipo takes log-probabilities per token, ipo_sum summed; sigmoid_norm is"
        " sigmoid per token; simpo has no reference.",
        choices=(
            *("sigmoid", "hinge", "ipo", "ipo_sum", "dpop"),
            *("sigmoid_norm", "simpo"),
        ),
    )
    delta: float = setting(50.0, "Penalty weight of dpop.", low=0.0)
    simpo_gamma: float = setting(0.5, "Target margin of simpo.", low=0.0)
    label_smoothing: float = setting(
        0.0,
        "Chance that a label is wrong, as the loss assumes it (cDPO).",
        low=0.0,
        high=0.5,
    )
    soft_labels: bool = setting(
        False, "Weigh both ways round by the judge's probability, not by its choice."
    )
    len_reg_alpha: float = setting(
        0.0, "Margin taken off per token that the chosen is longer (R-DPO).", low=0.0
    )
    missing_eos_penalty: float | None = setting(
        None,
        "Taken off the judge's score of a completion that did not end by itself; null:"
        " nothing.",
        low=0.0,
    )
    ties: str = setting(
        "drop",
        "Drop pairs that are a tie, or train on them by Rao and Kupper's rule.",
        choices=("drop", "rao-kupper"),
    )
    rao_kupper_nu: float = setting(
        1.0986122886681098,
        "Rao and Kupper's threshold, nu = log theta: larger means that ties are"
        " likelier.",
        low=1e-6,
    )
    truncated: str = setting(
        "keep",
        "Pairs with a completion that hit max_completion_length: keep them, drop them,"
        " or drop those where both did.",
        choices=("keep", "drop", "drop-both"),
    )
