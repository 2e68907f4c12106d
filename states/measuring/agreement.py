"""How far raters agree beyond chance, and how sure that figure is.

Items are what was rated.  An undefined measure is None: it is neither 0 nor 1.

The intervals are 95 %.  For kappa and alpha items are drawn again (see `bootstrap`);
for shares they are Wilson's (1927), which do not shrink to a point at 0 and 1.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeVar

from onlinedpo.states.measuring import bootstrap
from onlinedpo.states.measuring.bootstrap import DRAWS

ENOUGH = 30
"""Items below which a figure says too little to be read."""
EXACT = 2000
"""Items up to which they are drawn again one by one, beyond by how many are alike."""
_Z = 1.959963984540054

_Item = TypeVar("_Item", bound=Hashable)
_Rated = TypeVar("_Rated", bound=tuple[Hashable, Hashable])

Distance = Callable[[int, int, Mapping[int, int]], float]
"""(lower value, higher value, how often each value was given) -> squared distance."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure taken on `n` items, with its interval; None where undefined."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    @property
    def enough(self) -> bool:
        """Whether it was taken on enough items to be read."""
        return self.n >= ENOUGH


def share(parts: Sequence[float]) -> Measure:
    """The mean of numbers from 0 to 1, each of one item, with Wilson's interval.

    Numbers between 0 and 1 vary less than p(1-p), so it is never too narrow for them.
    """
    if not parts:
        return Measure(None, None, None, 0)
    return wilson(math.fsum(parts) / len(parts), len(parts))


def wilson(p: float, n: int, like: float | None = None) -> Measure:
    """The share p of n items, whose values vary as `like` independent ones (else n).

    With z = 1.96, and n what they vary as, its interval is
    (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n).
    """
    m = like or n
    middle = p + _Z**2 / (2 * m)
    half = _Z * math.sqrt(max(0.0, p * (1 - p)) / m + (_Z / (2 * m)) ** 2)
    low, high = ((middle + s * half) / (1 + _Z**2 / m) for s in (-1, 1))
    return Measure(p, min(p, max(0.0, low)), max(p, min(1.0, high)), n)


def raw(items: Sequence[Sequence[Hashable]]) -> Measure:
    """The share of two ratings of an item that are equal, as a mean over the items.

    Items with fewer than two ratings do not count.
    """
    return share(
        [
            sum(a == b for a, b in combinations(item, 2)) / math.comb(len(item), 2)
            for item in items
            if len(item) > 1
        ]
    )


def kappa(items: Sequence[tuple[Hashable, Hashable]], *, draws: int = DRAWS) -> Measure:
    """Cohen's kappa (1960) of two raters who both rated all items.

    (po - pe) / (1 - pe), with po the share of items rated equally and pe what it would
    be by chance, from how often each rater gives each value.  Undefined where chance
    alone makes them equal, because both give one and the same value only.
    """
    return measured(list(items), cohen, draws)


def nominal(low: int, high: int, given: Mapping[int, int]) -> float:
    """Any two values are equally far apart."""
    return 1.0


def ordinal(low: int, high: int, given: Mapping[int, int]) -> float:
    """Krippendorff's ordinal distance: how many ratings lie between two values."""
    between = sum(n for value, n in given.items() if low <= value <= high)
    return (between - (given[low] + given[high]) / 2) ** 2


def alpha(
    items: Sequence[Sequence[int]], distance: Distance = nominal, *, draws: int = DRAWS
) -> Measure:
    """Krippendorff's alpha (2011) of any number of raters; ratings may be missing.

    1 - Do/De: the mean distance within items over that between any two ratings.  With
    n_c ratings c in all items that have two or more, and o_ck pairs of c and k within
    one item, each weighted by 1/(ratings of the item - 1), it is
    1 - (n-1) Σ o_ck d²_ck / Σ n_c n_k d²_ck.  Undefined where only one value is given.
    """
    rated = [tuple(sorted(item)) for item in items if len(item) > 1]
    shapes = {item: _shape(item) for item in rated}

    def statistic(counted: Mapping[tuple[int, ...], int]) -> float | None:
        given: Counter[int] = Counter()
        within: dict[tuple[int, int], float] = {}
        for item, times in counted.items():
            values, apart = shapes[item]
            for value, count in values:
                given[value] += count * times
            for pair, weight in apart:
                within[pair] = within.get(pair, 0.0) + weight * times
        if len(given) < 2:
            return None
        far = {(c, k): distance(c, k, given) for c, k in combinations(sorted(given), 2)}
        observed = math.fsum(n * far[pair] for pair, n in within.items())
        expected = math.fsum(given[c] * given[k] * d for (c, k), d in far.items())
        return 1 - (given.total() - 1) * observed / expected

    return measured(rated, statistic, draws)


def mcnemar(b: int, c: int) -> float:
    """The p value of McNemar's test (1947), exact: are the two that differ as likely?

    Of items that two raters or two runs rate differently, `b` differ one way and `c`
    the other; by chance each way is a coin's (Binomial(b + c, 1/2), two-sided).  It is
    1 where nothing differs.
    """
    n, fewer = b + c, min(b, c)
    # From the middle outwards each chance follows from the one before it.
    tail = term = 1.0
    for k in range(fewer, 0, -1):
        term *= k / (n - k + 1)
        tail += term
        if term < tail * 1e-17:
            break
    ways = math.lgamma(n + 1) - math.lgamma(fewer + 1) - math.lgamma(n - fewer + 1)
    return min(1.0, 2 * math.exp(ways - n * math.log(2)) * tail)


def _shape(
    item: tuple[int, ...],
) -> tuple[list[tuple[int, int]], list[tuple[tuple[int, int], float]]]:
    """How often an item has each value, and each two values, weighted."""
    values = sorted(Counter(item).items())
    apart = [
        ((c, k), m * n / (len(item) - 1)) for (c, m), (k, n) in combinations(values, 2)
    ]
    return values, apart


def cohen(counted: Mapping[_Rated, int]) -> float | None:
    """Kappa alone, of how often each two ratings were given."""
    ones: Counter[Hashable] = Counter()
    others: Counter[Hashable] = Counter()
    for (one, other), times in counted.items():
        ones[one] += times
        others[other] += times
    n = ones.total()
    # Whole numbers, so that undefined is told apart from nearly so.
    chance = sum(times * others[value] for value, times in ones.items())
    if chance == n * n:
        return None
    equal = sum(times for (one, other), times in counted.items() if one == other)
    return (n * equal - chance) / (n * n - chance)


def measured(
    items: list[_Item],
    statistic: Callable[[Mapping[_Item, int]], float | None],
    draws: int = DRAWS,
) -> Measure:
    """The statistic of the items, with its interval by drawing them again."""
    counted = Counter(items)
    value = statistic(counted) if items else None
    if value is None:
        return Measure(None, None, None, len(items))
    drawn: Iterable[Mapping[_Item, int]] = (
        bootstrap.one_by_one(items, draws)
        if len(items) <= EXACT
        else bootstrap.by_category(counted, draws)
    )
    low, high = bootstrap.interval(drawn, statistic) or (None, None)
    return Measure(value, low, high, len(items))
