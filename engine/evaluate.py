"""How good the policy is: its held-out win rate against the reference.

The reference's answers are drawn once.  The policy's are drawn with fixed seeds, so
that two evaluations differ by the policy alone, and the run's judge compares the two.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from onlinedpo.engine.judges.comparison import Comparison, Judge
from onlinedpo.engine.sampler import Request, Sampler
from onlinedpo.states import seeds
from onlinedpo.states.labelling import decide
from onlinedpo.states.records import (
    Completion,
    Evaluated,
    HeldOut,
    Label,
    Messages,
    Reason,
)


def answer(
    sampler: Sampler,
    prompts: Sequence[Sequence[int]],
    *,
    seed: int,
    whose: str,
    at_once: int,
) -> tuple[Completion, ...]:
    """One answer to each held-out prompt, with seeds fixed by `whose`."""
    requests = [
        Request(prompt, [seeds.derive(seed, "held-out", whose, i)])
        for i, prompt in enumerate(prompts)
    ]
    answers: list[Completion] = []
    for start in range(0, len(requests), at_once):
        drawn = sampler.sample(requests[start : start + at_once])
        answers += [completions[0] for completions in drawn]
    return tuple(answers)


def compare(
    judge: Judge,
    held_out: Sequence[Messages],
    reference: HeldOut,
    answers: tuple[Completion, ...],
    *,
    step: int,
    began: float,
) -> Evaluated:
    """Judge the policy's answers (first) against the reference's (second)."""
    comparisons = [
        Comparison(i, messages, ours.text, theirs.text)
        for i, (messages, ours, theirs) in enumerate(
            zip(held_out, answers, reference.completions, strict=True)
        )
    ]
    outcomes = []
    for comparison, verdicts in zip(comparisons, judge.judge(comparisons), strict=True):
        decision = decide(verdicts, began)
        if comparison.first == comparison.second:
            outcomes.append("tie")
        elif isinstance(decision, Label):
            outcomes.append("win" if decision.chosen == "first" else "loss")
        else:
            outcomes.append("failed" if decision.reason == Reason.FAILED else "tie")
    now = time.time()
    return Evaluated(
        step=step,
        completions=answers,
        outcomes=tuple(outcomes),
        seconds=now - began,
        time=now,
    )
