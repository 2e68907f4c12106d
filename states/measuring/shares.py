"""Shares that were taken on pairs, where one pair may count more than once.

The verdicts on one pair are not independent of each other: how sure a share is follows
from how it varies from pair to pair, not from verdict to verdict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist

from onlinedpo.states.measuring.agreement import Measure, wilson

_NORMAL = NormalDist()

Tally = tuple[int, int]
"""(how many have it, of how many): within one pair."""


def of_pairs(counted: Mapping[Tally, int]) -> Measure:
    """The share over all pairs, Σ have it / Σ of; `n` is the pairs that say anything.

    Its variance v is what drawing the pairs again without end comes to: to first order
    Σ (have it - p·of)² / (Σ of)², the infinitesimal jackknife (Efron 1982).  The
    interval is Wilson's for the p(1-p)/v independent items that would vary as much
    (Korn and Graubard 1998); where no pair counts twice these are the pairs.
    Percentiles of the draws themselves hold a rare share too seldom: where it is 5 or
    10 % of 30 to 60 pairs in 90 %, these in 93 to 95 %.
    """
    tallies = {tally: times for tally, times in counted.items() if tally[1] and times}
    n = sum(tallies.values())
    if not n:
        return Measure(None, None, None, 0)
    hits = sum(hits * times for (hits, _), times in tallies.items())
    of = sum(of * times for (_, of), times in tallies.items())
    p = hits / of
    if len({hits / of for hits, of in tallies}) == 1:
        return _all_alike(p, n)
    off = ((hits - p * of) ** 2 * times for (hits, of), times in tallies.items())
    return wilson(p, n, like=p * (1 - p) * of**2 / math.fsum(off))


def difference(one: Measure, other: Measure, *, looks: int = 1) -> Measure:
    """How much more `other` is than `one`, taken on other pairs; `n` is of the fewer.

    From the intervals of both: the distances from figure to end, squared and added
    (Newcombe 1998, method 10; Zou and Donner 2008 for intervals of any kind).  Where it
    is one of several `looks`, it is as much wider as lets all of them hold together in
    95 % (Bonferroni).
    """
    n = min(one.n, other.n)
    if one.value is None or other.value is None:
        return Measure(None, None, None, n)
    value = other.value - one.value
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return Measure(value, None, None, n)
    wider = _NORMAL.inv_cdf(1 - 0.025 / looks) / _NORMAL.inv_cdf(0.975)
    down = math.hypot(other.value - other.low, one.high - one.value) * wider
    up = math.hypot(other.high - other.value, one.value - one.low) * wider
    return Measure(value, max(-1.0, value - down), min(1.0, value + up), n)


def _all_alike(p: float, n: int) -> Measure:
    """The same in every pair: what was never seen may be in as many as Wilson says."""
    unseen = wilson(0.0, n).high or 0.0
    return Measure(p, p - unseen * p, p + unseen * (1 - p), n)
