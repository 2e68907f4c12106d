"""Drawing items again: how sure a figure is that was taken on them.

The bootstrap of Efron (1979), with percentiles.  All draws are from seeds, so that the
same items give the same interval on any machine, for ever.
"""

from __future__ import annotations

import hashlib
import math
import struct
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from statistics import NormalDist
from typing import TypeVar

from onlinedpo.states import seeds

DRAWS = 1000
"""How often the items are drawn again; 0 leaves the interval out."""
_MAY_FAIL = 0.05
_TABLE = 300
"""Means up to which a Poisson number is looked up; beyond, it is nearly normal."""
_NORMAL = NormalDist()

_Item = TypeVar("_Item", bound=Hashable)
_Draw = TypeVar("_Draw")


def one_by_one(items: Sequence[_Item], draws: int) -> Iterator[Counter[_Item]]:
    """As many items each time, drawn with replacement; the cost is theirs.

    32 bits of SHAKE-256 decide each.
    """
    n = len(items)
    for k in range(draws):
        numbers = _numbers(n, "bootstrap", k)
        yield Counter([items[number * n >> 32] for number in numbers])


def by_category(counted: Mapping[_Item, int], draws: int) -> Iterator[dict[_Item, int]]:
    """The same for items of few kinds, however many they are; the cost is the kinds'.

    Each item is drawn a Poisson(1) number of times (Chamandy et al. 2012, "Estimating
    Uncertainty for Massive Data Streams"), so of a kind that has m items Poisson(m) are
    drawn.  Given how many come in all, that is drawing with replacement; as the number
    varies, intervals are wider by about 1 part in 2n.
    """
    columns = [
        _poisson(m, _numbers(draws, "bootstrap", "category", place))
        for place, m in enumerate(counted.values())
    ]
    for row in zip(*columns, strict=True):
        drawn = zip(counted, row, strict=True)
        yield {item: times for item, times in drawn if times}


def interval(
    draws: Iterable[_Draw], statistic: Callable[[_Draw], float | None]
) -> tuple[float, float] | None:
    """The middle 95 % of what the statistic is in the draws.

    None where one draw in twenty or more leaves it undefined: the rest would be a
    choice among the draws.
    """
    values = [statistic(drawn) for drawn in draws]
    found = sorted(v for v in values if v is not None)
    if len(found) <= len(values) * (1 - _MAY_FAIL):
        return None
    cut = int(len(found) * 0.025)
    return found[cut], found[-1 - cut]


def _numbers(count: int, *purpose: str | int) -> tuple[int, ...]:
    """So many numbers of 32 bits for one purpose."""
    stream = hashlib.shake_256(seeds.derive(0, *purpose).to_bytes(8, "little"))
    return struct.unpack(f"<{count}I", stream.digest(4 * count))


def _poisson(mean: int, numbers: Sequence[int]) -> list[int]:
    """The Poisson quantile at each number, which is taken as a share of 2**32.

    Large means go by the normal quantile z and the first term for skewness: m + z √m +
    (z² - 1)/6 (Cornish and Fisher 1938), which is off by one at most.
    """
    shares = [(number + 0.5) / 2**32 for number in numbers]
    if mean <= _TABLE:
        top = mean + 10 * math.isqrt(mean) + 20
        chances = accumulate(range(1, top), lambda p, k: p * mean / k, initial=1.0)
        below = list(accumulate(p * math.exp(-mean) for p in chances))
        return [bisect(below, share) for share in shares]
    root = math.sqrt(mean)
    normal = map(_NORMAL.inv_cdf, shares)
    return [max(0, round(mean + root * z + (z * z - 1) / 6)) for z in normal]
