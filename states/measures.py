"""What sampling and judging measured between two steps, from the facts alone.

An audit takes these figures again and compares them with those that the step recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from onlinedpo.states.config import Settings
from onlinedpo.states.reasons import Reason
from onlinedpo.states.standing import Standing
from onlinedpo.states.turns import LabelledPair, Round

_JUDGED = ("judge/", "label/human_frac")
"""What a judge or people have to do with, by how the names begin."""


def of_step(
    standing: Standing, pairs: Sequence[LabelledPair], settings: Settings
) -> dict[str, float]:
    """The metrics of sampling and judging for the next step, which is on `pairs`.

    All steps of a round that has several have those of the round.
    """
    tally = standing.round
    if settings.pairs_per_round and not tally.fresh:
        tally = standing.last_round
    measured = of_round(tally, pairs, len(standing.waiting()), standing.steps)
    if settings.offline_pairs:
        # Nobody judges, and what people have to do with the file is not known.
        return {k: v for k, v in measured.items() if not k.startswith(_JUDGED)}
    return measured


def of_round(
    tally: Round, pairs: Sequence[LabelledPair], pending: int, step: int
) -> dict[str, float]:
    """The metrics of sampling and judging between `step` and the step on `pairs`."""
    if not tally.sampled:
        # Nothing was sampled for this step: people's labels came in on older pairs.
        tally = replace(tally)
        for pair in pairs:
            tally.add_sampled(pair.sampled)
    judged, sampled = max(tally.judged, 1), max(tally.sampled, 1)
    completions = max(tally.completions, 1)
    measured = {
        "val/contain_eos_token": tally.ended / completions,
        "completions/mean_length": tally.tokens / completions,
        "judge/agreement": tally.agreed / judged,
        "judge/position_flip_rate": tally.unsettled[Reason.DISAGREED] / judged,
        "judge/failure_rate": tally.unsettled[Reason.FAILED] / judged,
        "label/pending": pending,
        "label/age_steps_mean": sum(step - p.sampled.step for p in pairs) / len(pairs),
        "label/human_frac": sum(p.label.source != "judge" for p in pairs) / len(pairs),
        "pairs/trained": len(pairs),
        "pairs/identical_frac": tally.dropped[Reason.IDENTICAL] / sampled,
        "pairs/truncated_frac": tally.truncated / sampled,
    }
    # Only where a setting has it so: runs from before there was one do not have them.
    if dropped := tally.dropped[Reason.TRUNCATED]:
        measured["pairs/truncated_dropped_frac"] = dropped / sampled
    if split := tally.unsettled[Reason.NO_MAJORITY]:
        measured["judge/no_majority_rate"] = split / judged
    if tied := sum(pair.tied for pair in pairs):
        measured["pairs/tied_frac"] = tied / len(pairs)
    return measured
