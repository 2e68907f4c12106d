"""Pairs that were put back, planned again from the facts before: rewinds, and forks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from onlinedpo.states.config import Settings
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import Record, Restored, Rewound
from onlinedpo.states.rederive.mismatch import Mismatch, must_be
from onlinedpo.states.replanning import (
    Choose,
    Ended,
    as_judged,
    as_people_say,
    only_people,
    plan,
)

Reread = Callable[[Restored], None]
"""Reads the verdicts of a restored pair again."""


def check(
    rewound: Rewound,
    before: Iterable[Record],
    ledger: Ledger,
    settings: Settings,
    labels: str,
    reread: Reread,
) -> None:
    """Raise `Mismatch` unless a rewind is what follows from the facts before it.

    `labels` says whose labels the pairs get: "same" in a run, else as in `Derived`.
    `before` are the facts from which it was planned.
    """
    if ledger.plan() is not None or not 0 <= rewound.to < ledger.steps:
        limit = "none" if ledger.plan() else f"0 to {ledger.steps - 1}"
        raise Mismatch("rewound", "to", rewound.to, limit)
    restored = ledger.restored
    now, rule = rewound.time, settings.resolve
    choose: Choose = as_people_say(rule, now)
    if labels == "human":
        choose = only_people(rule, now)
    elif labels == "rejudged":
        choose = _as_recorded(restored, now, reread)
    planned = plan(before, rewound.to, choose)
    for field, recorded, derived in (
        ("tickets", rewound.tickets, planned.tickets),
        ("batches", rewound.batches, planned.batches),
    ):
        if recorded != derived:
            raise Mismatch("rewound", field, recorded, derived)
    for pair in planned.pairs:
        there = restored.get(pair.sampled.ticket)
        if there is None:
            raise Mismatch("rewound", "tickets", rewound.tickets, tuple(restored))
        if there != pair:
            _must_be(there, pair, ledger)


def _must_be(recorded: Restored, derived: Restored, ledger: Ledger) -> None:
    """Name the field of the pair, or of its label, that is not as derived."""
    name = derived.sampled.pair
    for field in ("sampled", "slots", "was", "votes", "verdicts"):
        one, other = getattr(recorded, field), getattr(derived, field)
        if one != other:
            raise Mismatch("restored", field, one, other, pair=name)
    try:
        must_be(recorded.label, derived.label, ledger)
    except Mismatch as found:
        raise Mismatch(
            "restored",
            f"label.{found.field}",
            found.recorded,
            found.derived,
            pair=name,
        ) from None


def _as_recorded(
    recorded: Mapping[int, Restored], now: float, reread: Reread
) -> Choose:
    """The label that follows from the other judge's verdicts that are recorded.

    Which pairs that judge decided is only known from its own journal.
    """

    def choose(ended: Ended) -> Restored | None:
        pair = ended.turn.sampled
        there = recorded.get(pair.ticket) if pair else None
        if pair is None or (there is None and ended.was):
            return None
        if there is None:
            raise Mismatch("rewound", "tickets", tuple(recorded), pair.ticket)
        if there.verdicts:
            # What it is read with is the pair as it was sampled.
            reread(replace(there, sampled=pair))
        return as_judged(ended, there.verdicts, now)

    return choose
