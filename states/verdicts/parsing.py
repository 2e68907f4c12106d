"""How a verdict is read from what a judge put out, by the version of the reading.

A verdict names the version that read it, and every version stays here: so an audit can
read what was stored again, without a model, and must come to the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from onlinedpo.states.records import Shown, Verdict
from onlinedpo.states.verdicts.reading import MIN_MASS as MIN_MASS
from onlinedpo.states.verdicts.reading import Reading, side_shown
from onlinedpo.states.verdicts.scores import choice, choice_fits, scores, scores_fit
from onlinedpo.states.verdicts.texts import (
    generated,
    served,
    served_fits,
    without_chances,
)

_SPELLED = ("A", " A", "B", " B")
_SPELLINGS = math.log(2)
"""A letter is a token at most two times, with and without a space before it."""
_ROUNDING = 1e-3
"""Log-probabilities are float32, summed by the judge in an order of its own."""


def letters(logprobs: tuple[float, ...], shown: Shown, raw: str) -> Reading:
    """Version 1: the likelier letter of A and B, unless neither is likely.

    `logprobs` are the natural-log probabilities of the letters, `raw` is the token
    that is likeliest of all.
    """
    a, b = logprobs
    if math.isnan(a) or math.isnan(b):
        return None, "the answer's log-probabilities are not numbers"
    mass = math.exp(a) + math.exp(b)
    if mass < MIN_MASS:
        return None, f"neither A nor B is likely ({mass:.2g}); it would say {raw!r}"
    if a == b:
        return "tie", ""
    return side_shown(0 if a > b else 1, shown), ""


def letters_fit(logprobs: tuple[float, ...], raw: str) -> bool:
    """Whether `raw` can be the likeliest token where A and B have these chances.

    A letter's chance is that of two tokens at most, so where `raw` is one of them the
    other letter is at most twice as likely; and where it is neither, one of its chance
    and what both letters have must make room for each other.
    """
    a, b = logprobs
    if math.isnan(a) or math.isnan(b):
        return True
    if raw.strip() in ("A", "B"):
        own, other = (a, b) if raw.strip() == "A" else (b, a)
        # With other blanks around it, it is a token that was not asked for.
        return raw not in _SPELLED or other <= own + _SPELLINGS + _ROUNDING
    least = math.exp(max(a, b) - _SPELLINGS)
    return math.exp(a) + math.exp(b) + least <= 1 + _ROUNDING


LETTERS, GENERATED, SERVED, SCORES, CHOICE = range(1, 6)
"""Versions of the reading; each is recorded with the verdicts that it read.

The letters' log-probabilities; generated text; letters of a server; scores of each
completion; a choice between the two.
"""

PARSERS: Mapping[int, Callable[[tuple[float, ...], Shown, str], Reading]] = {
    LETTERS: letters,
    GENERATED: generated,
    SERVED: served,
    SCORES: scores,
    CHOICE: choice,
}

FITS: Mapping[int, Callable[[tuple[float, ...], str], bool]] = {
    LETTERS: letters_fit,
    GENERATED: without_chances,
    SERVED: served_fits,
    SCORES: scores_fit,
    CHOICE: choice_fits,
}
"""Whether what is recorded of an output can have been put out together."""


def read_again(verdict: Verdict) -> Reading:
    """What the recorded version reads in a verdict; raises KeyError if unknown."""
    parser = PARSERS[verdict.judge["parser"]]
    return parser(verdict.logprobs, verdict.shown, verdict.raw)
