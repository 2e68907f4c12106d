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
        "Schedule of beta over the steps, written as lr_schedule is; replaces beta;"
        " null: none.",
    )
    dpo_cpo_loss_type: str = setting(
        "sigmoid",
        "Loss. ipo takes log-probabilities per token, ipo_sum summed; sigmoid_norm is"
        " sigmoid per token; simpo is that without a reference; robust counts on"
        " label_smoothing wrong labels.",
        choices=(
            *("sigmoid", "hinge", "ipo", "ipo_sum", "dpop"),
            *("sigmoid_norm", "simpo", "robust"),
        ),
    )
    delta: float = setting(50.0, "Penalty weight of dpop.", low=0.0)
    simpo_gamma: float = setting(
        0.5, "Target margin of simpo, whose beta is usually 2 or more.", low=0.0
    )
    label_smoothing: float = setting(
        0.0,
        "Chance that a label is wrong, as the loss assumes it (cDPO, robust).",
        low=0.0,
        high=0.5,
    )
    soft_labels: bool = setting(
        False, "Weigh both ways round by the judge's probability, not by its choice."
    )
    len_reg_alpha: float = setting(
        0.0,
        "How much of the margin each token explains by which the chosen completion is"
        " longer (R-DPO): only the rest is learned.",
        low=0.0,
    )
    missing_eos_penalty: float | None = setting(
        None,
        "Taken off the judge's score (log-odds) of a completion that did not end by"
        " itself, not off what people say; null: nothing.",
        low=0.0,
    )
    ties: str = setting(
        "drop",
        "Drop pairs that are a tie, or train on them: as soft labels of one half, or by"
        " Rao and Kupper's rule.",
        choices=("drop", "soft", "rao-kupper"),
    )
    rao_kupper_nu: float = setting(
        3.0,
        "Rao and Kupper's nu, above 1: two equal completions tie with the chance"
        " (nu - 1) / (nu + 1).",
        low=1.0 + 1e-6,
    )
    truncated: str = setting(
        "keep",
        "Pairs with a completion that hit max_completion_length: keep them, drop them,"
        " or drop those where both did.",
        choices=("keep", "drop", "drop-both"),
    )
