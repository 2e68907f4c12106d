"""Settings that do not go with each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onlinedpo.states import objective
from onlinedpo.states.errors import UsageError
from onlinedpo.states.settings.hub_blocks import blocks
from onlinedpo.states.settings.judging import kind_of
from onlinedpo.states.settings.watching import reporters_of

if TYPE_CHECKING:
    from onlinedpo.states.config import Settings


def must_fit(settings: Settings) -> None:
    """Raise `UsageError` where one setting makes no sense beside another."""
    _panel(settings)
    _draws(settings)
    _rounds(settings)
    _offline(settings)
    objective.must_fit(settings, settings.iters)
    _quantized(settings)
    if settings.hf_dataset is not None:
        blocks(settings.hf_dataset)
    reporters_of(settings.report_to)


def may_begin_with(settings: Settings) -> None:
    """Raise `UsageError` where a new run would not be what was meant.

    A run that has begun, or another judge of its pairs, may have such settings.
    """
    objective.must_have_scores(settings)
    if settings.judge_model and "http" not in map(kind_of, settings.judges):
        raise UsageError(
            f"judge_model is {settings.judge_model!r}: it names the model of an http"
            f" judge, and the judge is {settings.judge!r}",
            hint="A model that judges here is named by judge.",
        )


def _quantized(settings: Settings) -> None:
    if settings.quantize is None or settings.fine_tune_type == "lora":
        return
    if settings.fine_tune_type == "full":
        raise UsageError(
            "quantize goes with an adapter: quantized weights cannot be trained in"
            " full",
            hint="Use --fine-tune-type lora or dora, or leave quantize out.",
        )
    if settings.quantize == "6bits":
        raise UsageError(
            "mlx-lm cannot train dora on weights of 6 bits",
            hint="Use --fine-tune-type lora, or quantize to 4bits or 8bits.",
        )


def _draws(settings: Settings) -> None:
    several = settings.num_generations > 2 and settings.offline_pairs is None
    if settings.people_judge and several and settings.pairing == "best-worst":
        raise UsageError(
            f"people cannot rank {settings.num_generations} completions of a prompt",
            hint="Take two of them with pairing random, or let a model judge.",
        )


def _rounds(settings: Settings) -> None:
    step = settings.pairs_per_step
    if settings.pairs_in_a_round < step:
        raise UsageError(
            f"pairs_per_round is {settings.pairs_per_round}, and one step takes {step}"
            " pairs",
            hint=f"Give pairs_per_round {step} or more; {step} is plain online DPO.",
        )


def _offline(settings: Settings) -> None:
    """Pairs of a file are labelled by it: nobody is asked, and nothing is refreshed."""
    given = {
        "pairs_per_round": settings.pairs_per_round,
        "escalate_below": settings.escalate_below,
        "human_share": settings.human_share or None,
    }
    names = [name for name, value in given.items() if value is not None]
    if settings.offline_pairs and names:
        raise UsageError(
            f"{names[0]} has no meaning with offline_pairs: these pairs have their"
            " labels, and none are sampled",
            hint=f"Leave {' and '.join(names)} out, or offline_pairs.",
        )


def _panel(settings: Settings) -> None:
    """A panel is of several judges who answer at once."""
    if not settings.judge_panel:
        return
    for name in settings.judges:
        if kind_of(name) == "people":
            raise UsageError(
                f"judge_panel: people ({name}) cannot be among several judges",
                hint="Send them a share of the pairs (human_share), or those that the"
                " panel is unsure of (escalate_below).",
            )
        if settings.judges.count(name) > 1:
            raise UsageError(
                f"judge_panel: {name} is in the panel more than once",
                hint="The first judge is in it already; name each other one once.",
            )
