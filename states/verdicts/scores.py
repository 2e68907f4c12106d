"""How a verdict is read from scores of two completions, or from a choice between them.

What is stored of such a verdict is what came back, as JSON.
"""

from __future__ import annotations

import json
import math
import sys
from typing import TypeGuard

from onlinedpo.states.answers import Shown
from onlinedpo.states.verdicts.reading import Reading, side_shown

_LAST_BITS = 1e-12
"""The exp of two C libraries differs in the last bit."""


def scores(logprobs: tuple[float, ...], shown: Shown, raw: str) -> Reading:
    """Version 4: `raw` has the scores of both completions in the order shown.

    The higher one wins, and equal ones tie.  Where either is not a finite number, the
    judge has failed.
    """
    found = _loaded(raw)
    if not isinstance(found, list) or len(found) != 2:
        return None, f"there are not two scores: {raw!r}"
    for place, score in enumerate(found):
        if not is_number(score):
            side = side_shown(place, shown)
            return None, f"the score of the {side} completion is {json.dumps(score)}"
    one, other = found
    if one == other:
        return "tie", ""
    return side_shown(0 if one > other else 1, shown), ""


def preference(one: float, other: float) -> tuple[float, float]:
    """Natural-log probabilities that either of two scored completions is better.

    sigmoid(one - other) and its rest: Bradley and Terry 1952, doi 10.2307/2334029.
    """
    # Between whole numbers there may be more than a float can hold.
    apart = float(one) - float(other)
    return _log_sigmoid(apart), _log_sigmoid(-apart)


def choice(logprobs: tuple[float, ...], shown: Shown, raw: str) -> Reading:
    """Version 5: `raw` is 0 or 1, the place of the better completion as shown.

    Anything else, such as -1 and null (for "no verdict"), is a failure.
    """
    place = _loaded(raw)
    # In Python, true equals 1.
    if place not in (0, 1) or isinstance(place, bool | float):
        return None, f"it chose neither: {raw}"
    return side_shown(place, shown), ""


def scores_fit(logprobs: tuple[float, ...], raw: str) -> bool:
    """Whether the log-probabilities are those of the scores; none without scores."""
    found = _loaded(raw)
    if not _are_scores(found):
        return logprobs == ()
    derived = preference(*found)
    return len(logprobs) == 2 and all(
        math.isclose(a, b, rel_tol=_LAST_BITS, abs_tol=_LAST_BITS)
        for a, b in zip(logprobs, derived, strict=True)
    )


def choice_fits(logprobs: tuple[float, ...], raw: str) -> bool:
    """A choice comes without any probability."""
    return logprobs == ()


def is_number(value: object) -> TypeGuard[float]:
    """Whether a score can be compared with another."""
    # No comparison holds for NaN, and an int may be too large for a float.
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) <= sys.float_info.max
    )


def _are_scores(found: object) -> TypeGuard[list[float]]:
    return isinstance(found, list) and len(found) == 2 and all(map(is_number, found))


def _log_sigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x)) if x > 0 else x - math.log1p(math.exp(x))


def _loaded(raw: str) -> object:
    try:
        found: object = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return found
