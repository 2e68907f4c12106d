"""Which two of several completions of a prompt become its pair.

The best and the worst: each completion is compared with each other that reads
differently, and scores the mean chance that the judge gives it (Borda's count; Dong et
al. 2024, arXiv 2405.07863, train on the best against the worst of n).  Or two at
random.  Which of the two is called the first is decided by the seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from onlinedpo.states import seeds
from onlinedpo.states.records import Completion, Verdict

Places = tuple[int, int]
"""Two of the draws, counted from 0."""


def distinct(drawn: Sequence[Completion]) -> list[int]:
    """The draws that read differently, each where it came first."""
    places: dict[str, int] = {}
    for place, completion in enumerate(drawn):
        places.setdefault(completion.text, place)
    return [*places.values()]


def to_compare(ticket: int, drawn: Sequence[Completion]) -> dict[int, Places]:
    """The comparisons that rank the draws of a prompt, by their numbers.

    No two prompts share a number; with two texts or fewer there is nothing to rank.
    """
    places = distinct(drawn)
    if len(places) < 3:
        return {}
    most = len(drawn) * (len(drawn) - 1) // 2
    pairs = combinations(places, 2)
    return {ticket * most + number: pair for number, pair in enumerate(pairs)}


def scores(
    compared: dict[int, Places], verdicts: Sequence[Verdict]
) -> dict[int, float]:
    """The mean chance of each draw against the others; a failure counts one half."""
    chances: dict[int, list[float]] = {number: [] for number in compared}
    for verdict in verdicts:
        if verdict.winner is not None:
            chances[verdict.ticket].append(verdict.probability_first())
    total: dict[int, list[float]] = {}
    for number, (one, other) in compared.items():
        said = chances[number]
        chance = sum(said) / len(said) if said else 0.5
        total.setdefault(one, []).append(chance)
        total.setdefault(other, []).append(1.0 - chance)
    return {place: sum(all_) / len(all_) for place, all_ in total.items()}


def best_and_worst(
    seed: int, ticket: int, drawn: Sequence[Completion], verdicts: Sequence[Verdict]
) -> Places:
    """The draws with the highest and the lowest score; of equals, the earlier one."""
    compared = to_compare(ticket, drawn)
    if not compared:
        return at_random(seed, ticket, drawn)
    score = scores(compared, verdicts)
    places = sorted(score, key=lambda place: (-score[place], place))
    best = places[0]
    worst = min((p for p in places if p != best), key=lambda p: (score[p], p))
    return _in_order(seed, ticket, (best, worst))


def at_random(seed: int, ticket: int, drawn: Sequence[Completion]) -> Places:
    """Two draws that read differently, where there are such."""
    places = distinct(drawn)
    if len(places) < 2:
        return (0, 1)
    lot = sorted(places, key=lambda p: seeds.derive(seed, "pairing", ticket, p))
    return (lot[0], lot[1])


def _in_order(seed: int, ticket: int, places: Places) -> Places:
    turned = seeds.derive(seed, "which-first", ticket) % 2
    return places[::-1] if turned else places
