"""What sampling and judging measured between two steps, from the facts alone.

An audit takes these figures again and compares them with those that the step recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from onlinedpo.states.reasons import Reason
from onlinedpo.states.turns import LabelledPair, Round


def of_round(
    tally: Round, pairs: Sequence[LabelledPair], pending: int, step: int
) -> dict[str, float]:
    """The metrics of sampling and judging between `step` and the step on `pairs`."""
    if not tally.sampled:
        # Nothing was sampled for this step: people's labels came in on older pairs.
        tally = replace(tally)
        for pair in pairs:
            tally.add_sampled(pair.sampled)
    judged = max(tally.judged, 1)
    completions = max(2 * tally.sampled, 1)
    return {
        "val/contain_eos_token": tally.ended / completions,
        "completions/mean_length": tally.tokens / completions,
        "judge/agreement": tally.agreed / judged,
        "judge/position_flip_rate": tally.unsettled[Reason.DISAGREED] / judged,
        "judge/failure_rate": tally.unsettled[Reason.FAILED] / judged,
        "label/pending": pending,
        "label/age_steps_mean": sum(step - p.sampled.step for p in pairs) / len(pairs),
        "label/human_frac": sum(p.label.source != "judge" for p in pairs) / len(pairs),
        "pairs/trained": len(pairs),
        "pairs/identical_frac": tally.dropped[Reason.IDENTICAL] / max(tally.sampled, 1),
        "pairs/truncated_frac": tally.truncated / max(tally.sampled, 1),
    }
