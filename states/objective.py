"""What a step is to make of a pair, and which preference options go together.

The formulas of the losses stand in `engine.loss`; here is what follows from settings
and labels alone, for the step and for an audit of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onlinedpo.states.errors import UsageError
from onlinedpo.states.schedules import must_stay_positive
from onlinedpo.states.settings.judging import kind_of
from onlinedpo.states.settings.preference import PreferenceSettings
from onlinedpo.states.turns import LabelledPair

if TYPE_CHECKING:
    from onlinedpo.states.config import Settings

CROSS_ENTROPIES = ("sigmoid", "sigmoid_norm", "simpo")
"""The losses that compare a chance with sigmoid(z): they take soft labels."""
_PER_TOKEN = ("sigmoid_norm", "simpo")
_UNSURE = (*CROSS_ENTROPIES, "robust")
_TIES = ("sigmoid", "sigmoid_norm")
"""Those whose z only changes its sign where the two completions change places."""


def per_token(settings: PreferenceSettings) -> bool:
    """Whether rewards are taken per token: where the loss compares them so.

    Not so with ipo, whose rewards stay the summed ones, as in TRL.
    """
    return settings.dpo_cpo_loss_type in _PER_TOKEN


def has_reference(settings: PreferenceSettings) -> bool:
    """Whether the loss looks at the reference at all."""
    return settings.dpo_cpo_loss_type != "simpo"


def chance(pair: LabelledPair, settings: PreferenceSettings) -> float:
    """The chance that the chosen completion is better, as the loss is to take it.

    It is 1; with `label_smoothing` e, 1 - e for every pair (cDPO: Mitchell 2023, A note
    on DPO with noisy preferences, eq. 3).  With `soft_labels` it is each label's own
    confidence, as in the cDPO of Furuta et al. 2024 (arXiv 2409.06691), and
    one half where the pair is a tie.  A judge that gives no probabilities is sure.
    """
    if settings.soft_labels:
        return 0.5 if pair.tied else pair.label.confidence
    if settings.dpo_cpo_loss_type == "robust":
        return 1.0
    return 1.0 - settings.label_smoothing


def must_fit(settings: PreferenceSettings, iters: int) -> None:
    """Raise `UsageError` where preference options make no sense together."""
    loss, ties = settings.dpo_cpo_loss_type, settings.ties
    soft, smoothing = settings.soft_labels, settings.label_smoothing
    if smoothing:
        _only_with("label_smoothing", loss, _UNSURE)
        if loss == "robust" and smoothing >= 0.5:
            raise UsageError(
                "label_smoothing 0.5 leaves nothing to learn with loss robust",
                hint="It must be below 0.5: robust divides by what it leaves of 1.",
            )
    if soft:
        _only_with("soft_labels", loss, CROSS_ENTROPIES)
        _not_both("soft_labels", "label_smoothing", bool(smoothing))
    if settings.len_reg_alpha:
        _only_with("len_reg_alpha", loss, ("sigmoid",))
    if ties != "drop":
        _only_with(f"ties {ties}", loss, _TIES)
    if ties == "soft" and not soft:
        raise UsageError(
            "ties soft are soft labels of one half, and soft_labels is off",
            hint="Set soft_labels too, or take ties rao-kupper.",
        )
    if ties == "rao-kupper":
        _not_both("ties rao-kupper", "label_smoothing", bool(smoothing))
        _not_both("ties rao-kupper", "soft_labels", soft)
    must_stay_positive(settings, iters)


def must_have_scores(settings: Settings) -> None:
    """Raise `UsageError` where a new run would take a penalty off what is no score.

    Of other judges it is known once they have said something: see `penalties`.
    """
    if settings.missing_eos_penalty is None:
        return
    kinds, why = {*map(kind_of, settings.judges)}, ""
    if kinds == {"people"}:
        why = "people give no scores"
    elif "model" in kinds and settings.judge_mode == "generate":
        why = "judge_mode generate gives no probabilities"
    if why:
        raise UsageError(
            f"missing_eos_penalty has nothing that it could be taken off: {why}",
            hint="Use --truncated drop instead, or judge_mode logprobs.",
        )


def _only_with(option: str, loss: str, losses: tuple[str, ...]) -> None:
    if loss not in losses:
        raise UsageError(
            f"{option} has no meaning with dpo_cpo_loss_type {loss}",
            hint=f"It goes with: {', '.join(losses)}.",
        )


def _not_both(one: str, other: str, given: bool) -> None:
    if given:
        raise UsageError(
            f"{one} and {other} exclude each other",
            hint="Each says how sure a label is: keep one of the two.",
        )
