"""Which two of several completions became a pair, derived again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from onlinedpo.states import pairing
from onlinedpo.states.config import Settings
from onlinedpo.states.records import Completion, Ranked, Record, Sampled
from onlinedpo.states.rederive.judging import Verdicts
from onlinedpo.states.rederive.mismatch import NOTHING, Mismatch, kind_of


def ranked_in(batch: Sequence[Record]) -> Mapping[int, Ranked]:
    """The rankings of a frame by their tickets: each stands behind its pair."""
    found: dict[int, Ranked] = {}
    for before, record in zip([None, *batch], batch, strict=False):
        if isinstance(record, Ranked):
            own = isinstance(before, Sampled) and before.ticket == record.ticket
            if not own:
                raise Mismatch(kind_of(record), "ticket", record.ticket, NOTHING)
            found[record.ticket] = record
    return found


def check(
    pair: Sampled,
    ranked: Ranked | None,
    settings: Settings,
    read: Verdicts,
    where: object,
) -> None:
    """Raise `Mismatch` unless the pair is made of its draws as the settings say."""
    if settings.num_generations == 2:
        _must_be(pair, "others", len(pair.others), 0)
        _must_be(pair, "drawn", pair.drawn, ())
        _must_be(pair, "ranked", ranked, None)
        return
    _must_be(pair, "others", len(pair.others), settings.num_generations - 2)
    draws = _in_order(pair)
    compared: dict[int, pairing.Places] = {}
    if settings.pairing == "best-worst":
        compared = pairing.to_compare(pair.ticket, draws)
    if bool(compared) != bool(ranked):
        there, wanted = ("ranked", NOTHING) if ranked else (NOTHING, "ranked")
        raise Mismatch("ranked", "", there, wanted, pair=pair.pair)
    verdicts = ranked.verdicts if ranked else ()
    shown = {
        number: replace(pair, ticket=number, first=draws[i], second=draws[j])
        for number, (i, j) in compared.items()
    }
    read.check(verdicts, shown, settings, where)
    seed, ticket = settings.seed, pair.ticket
    if settings.pairing == "best-worst":
        places = pairing.best_and_worst(seed, ticket, draws, verdicts)
    else:
        places = pairing.at_random(seed, ticket, draws)
    _must_be(pair, "drawn", pair.drawn, places)


def _in_order(pair: Sampled) -> list[Completion]:
    """All completions of a turn, in the order of their draws."""
    count = 2 + len(pair.others)
    if len({*pair.drawn} & {*range(count)}) != 2 or len(pair.drawn) != 2:
        raise Mismatch("sampled", "drawn", pair.drawn, NOTHING, pair=pair.pair)
    two = dict(zip(pair.drawn, (pair.first, pair.second), strict=True))
    rest = iter(pair.others)
    return [two[place] if place in two else next(rest) for place in range(count)]


def _must_be(pair: Sampled, field: str, recorded: object, derived: object) -> None:
    if recorded != derived:
        raise Mismatch("sampled", field, recorded, derived, pair=pair.pair)
