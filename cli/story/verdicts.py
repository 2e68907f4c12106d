"""Verdicts in words: who said what, and what it is read from."""

from __future__ import annotations

from collections.abc import Iterator

from onlinedpo.cli.story.quoting import quoted, wrapped
from onlinedpo.cli.words import safe
from onlinedpo.states.records import Verdict
from onlinedpo.states.verdicts.judges import name_of
from onlinedpo.states.verdicts.parsing import GENERATED, SERVED
from onlinedpo.states.verdicts.texts import as_told

SIDES = ("first", "second")
_NAME = 40
"""Characters of a judge's name that are shown in a line."""


def headline(verdict: Verdict) -> str:
    """What a judge says of a pair in one order, in one line."""
    again = f", attempt {verdict.attempt}" if verdict.attempt > 1 else ""
    if verdict.winner is None:
        told = f"none ({safe(verdict.failure)})"
    elif verdict.logprobs:
        told = f"{verdict.winner} (P(first) {verdict.probability_first():.2f})"
    else:
        told = verdict.winner
    by = safe(name_of(verdict.judge))
    # The end of a path tells more than its beginning.
    by = by if len(by) <= _NAME else f"…{by[1 - _NAME :]}"
    return f"verdict {verdict.shown}{again}: {told}, by {by}"


def evidence(verdict: Verdict) -> Iterator[str]:
    """What the judge put out, who it is in full, and what it was asked."""
    took = f"{verdict.seconds * 1000:.1f} ms"
    kind, raw = verdict.judge.get("kind"), verdict.raw
    if kind == "reward":
        yield f"  scores of first and second: {safe(raw)}; {took}"
    elif kind == "python":
        yield f"  its function returned {safe(raw)}; {took}"
    elif verdict.judge.get("parser") in (GENERATED, SERVED):
        yield f"  {_chances(verdict)}answered in {took}"
        for title, text in as_told(raw):
            yield from quoted(title, text)
    elif verdict.logprobs:
        yield f"  {_chances(verdict)}would say {safe(raw)!r}; {took}"
    else:
        yield f"  answered in {took}"
        yield from quoted("said", raw)
    if any(verdict.penalties):
        lost = [
            f"the {n} loses {p:g}"
            for n, p in zip(SIDES, verdict.penalties, strict=True)
            if p
        ]
        yield f"  missing_eos_penalty: {', '.join(lost)}"
    yield from wrapped("judge", verdict.judge)
    if verdict.prompt:
        tokens = len(verdict.prompt_tokens)
        yield from quoted(
            f"asked ({tokens} tokens)" if tokens else "asked", verdict.prompt
        )


def _chances(verdict: Verdict) -> str:
    if not verdict.logprobs:
        return ""
    a, b = verdict.logprobs
    return f"log p(A) {a:.4f}, log p(B) {b:.4f}, "
