"""A figure with its interval: as JSON, and in words."""

from __future__ import annotations

from typing import Any

from onlinedpo.states.measuring.agreement import ENOUGH, Measure


def plain(measure: Measure) -> dict[str, Any]:
    """As JSON has it; None where it is undefined."""
    return {
        "value": measure.value,
        "low": measure.low,
        "high": measure.high,
        "n": measure.n,
        "enough": measure.enough,
    }


def told(measure: dict[str, Any], *, share: bool) -> str:
    """A figure with its interval and n, or why there is none."""
    n = measure["n"]
    if not measure["enough"]:
        return f"too few (n={n}; {ENOUGH} are needed)"
    if measure["value"] is None:
        return f"undefined: all answers are the same (n={n})"
    value, low, high = (
        "" if v is None else f"{v:.1%}" if share else f"{v:z.2f}"
        for v in (measure["value"], measure["low"], measure["high"])
    )
    return f"{value} {f'[{low}, {high}]' if low else 'without interval'} (n={n})"
