"""What a judge's score loses where a completion did not end by itself.

TRL's online trainer takes `missing_eos_penalty` off the score of each such completion
before it compares the two.  A judge that compares two completions has no scores: the
logarithm of the odds that it gives stands for their difference, as in Bradley and Terry
1952 (doi 10.2307/2334029), and the penalty is taken off the one that was cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from onlinedpo.states.errors import UsageError
from onlinedpo.states.records import Completion, Sampled, Verdict
from onlinedpo.states.verdicts.reading import Winner, side_shown


def on_pairs(
    said: Sequence[Sequence[Verdict]], pairs: Sequence[Sampled], penalty: float | None
) -> list[list[Verdict]]:
    """What was said of the first of these pairs, or of all, with the penalty off."""
    return [
        [penalised(verdict, pair.first, pair.second, penalty) for verdict in verdicts]
        for verdicts, pair in zip(said, pairs, strict=False)
    ]


def penalised(
    verdict: Verdict, first: Completion, second: Completion, penalty: float | None
) -> Verdict:
    """A verdict as its judge gave it, with the penalty taken off; None: nothing is.

    A failure stays one.  Raises `UsageError` where the judge gave no probabilities.
    """
    if penalty is None or verdict.winner is None:
        return verdict
    if not verdict.logprobs:
        name = verdict.judge.get("id") or verdict.judge.get("kind") or "this one"
        raise UsageError(
            "missing_eos_penalty cannot be taken off what the judge says: it gives no"
            f" probabilities ({name})",
            hint="Take a judge that does, or --truncated drop instead of the penalty.",
        )
    taken = of(first, second, penalty)
    verdict = replace(verdict, penalties=taken)
    return replace(verdict, winner=winner(verdict, verdict.winner))


def of(first: Completion, second: Completion, penalty: float) -> tuple[float, ...]:
    """What the first and the second completion of a pair lose, in nats."""
    return tuple(0.0 if c.finish == "stop" else penalty for c in (first, second))


def winner(verdict: Verdict, read: Winner | None) -> Winner | None:
    """Who wins once penalties are taken off, where `read` did as the judge put it.

    Where both completions lose the same, nothing changes.
    """
    if read is None or len(set(verdict.penalties)) < 2:
        return read
    a, b = verdict.scores()
    return "tie" if a == b else side_shown(0 if a > b else 1, verdict.shown)


def said(verdicts: Iterable[Verdict]) -> float | None:
    """The penalty under which verdicts were given, as far as they tell."""
    taken = [penalty for verdict in verdicts for penalty in verdict.penalties]
    return max(taken) if taken else None
