"""Two runs side by side: settings, origin, labels, steps, and where they part.

Of each run its facts are taken in once, in order; what is kept of a pair is its name
and what became of it.  A step that a rewind undid does not count.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from onlinedpo.states import records as r
from onlinedpo.states.given import changes, in_force
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.verdicts.judges import differing

Part = Literal["pairs", "labels", "loss", "grad_norm", "state"]


@dataclass(frozen=True, slots=True)
class Taken:
    """A step as it was taken: its pairs by name, and the sides that were chosen."""

    pairs: tuple[str, ...]
    chosen: tuple[str, ...]
    loss: float
    grad_norm: float
    state: str
    metrics: Mapping[str, float]


class Outline:
    """What of a run is compared with another one."""

    def __init__(self) -> None:
        """Nothing has been read yet."""
        self.ledger = Ledger()
        self.steps: list[Taken] = []
        self.origins: dict[str, r.Derived] = {}
        """What this run was forked from, by the other run's id."""
        self._outcomes: dict[str, str] = {}

    def take(self, record: r.Record) -> None:
        """Take one fact in; raises `IllegalMove`, as the ledger does."""
        turns = self.ledger.turns
        match record:
            case r.Step():
                sampled = [(turns[n].sampled, turns[n].label) for n in record.tickets]
                names = tuple(pair.pair for pair, _ in sampled if pair)
                sides = tuple(
                    str(label.chosen or label.reason) for _, label in sampled if label
                )
                self._outcomes |= zip(names, sides, strict=True)
                self.steps.append(
                    Taken(
                        *(names, sides, record.loss, record.grad_norm),
                        *(record.state, record.metrics),
                    )
                )
            case r.Dropped(ticket=ticket) if ticket in turns:
                if pair := turns[ticket].sampled:
                    self._outcomes[pair.pair] = record.reason
            case r.Rewound(to=to):
                del self.steps[to:]
            case r.Derived(source=source):
                self.origins[source] = record
        self.ledger.fold(record)

    def outcomes(self) -> dict[str, str]:
        """By the name of each pair: its side, why it was dropped, or that it waits."""
        found = dict(self._outcomes)
        for turn in self.ledger.turns.values():
            if turn.sampled:
                label = turn.label
                said = (label.chosen or label.reason) if label else "no label yet"
                found[turn.sampled.pair] = said
        return found


@dataclass(frozen=True, slots=True)
class Parting:
    """The first step in which two runs differ, and in what.

    For pairs and labels `one` and `other` are names of pairs, of which each has what
    the other has not; for figures they are these.
    """

    step: int
    part: Part
    one: tuple[Any, ...]
    other: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Differences:
    """Two runs side by side; pairs of values are (one's, the other's)."""

    related: Literal["one", "other", ""]
    """Which of the two was forked from the other."""
    fork: r.Derived | None
    settings: Mapping[str, tuple[Any, Any]]
    origin: Mapping[str, tuple[str, ...]]
    """What they are made of, and what of it differs, where anything does."""
    pairs: tuple[int, int, int]
    """Pairs that are in both, only in one, only in the other."""
    relabelled: tuple[tuple[str, str, str], ...]
    """Pairs that are in both and came to something else: name, and what in each."""
    steps: tuple[int, int]
    parting: Parting | None
    metrics: Mapping[str, tuple[float | None, float | None]]
    """After the last step that both have taken."""
    win_rates: Mapping[int, tuple[float | None, float | None]] = field(
        default_factory=dict
    )

    @property
    def common(self) -> int:
        """The last step that both have taken."""
        return min(self.steps)

    @property
    def equal(self) -> bool:
        """Whether nothing differs; times and speeds do not count."""
        steps = self.steps[0] == self.steps[1] and self.parting is None
        pairs = not any(self.pairs[1:]) and not self.relabelled
        return steps and pairs and not self.settings and not self.origin


def compare(one: Outline, other: Outline) -> Differences:
    """What differs between two runs that were taken in."""
    related, fork = _related(one, other)
    first, second = one.outcomes(), other.outcomes()
    both = first.keys() & second.keys()
    common = min(len(one.steps), len(other.steps))
    return Differences(
        related=related,
        fork=fork,
        settings=_settings(one, other),
        origin=_origin(one, other),
        pairs=(len(both), len(first) - len(both), len(second) - len(both)),
        relabelled=tuple(
            (name, first[name], second[name])
            for name in sorted(both)
            if first[name] != second[name]
        ),
        steps=(len(one.steps), len(other.steps)),
        parting=next(_partings(one, other), None),
        metrics=_metrics(one.steps[common - 1], other.steps[common - 1])
        if common
        else {},
        win_rates=_win_rates(one, other),
    )


def _related(
    one: Outline, other: Outline
) -> tuple[Literal["one", "other", ""], r.Derived | None]:
    ids = [o.ledger.opened.run_id if o.ledger.opened else "" for o in (one, other)]
    if fork := one.origins.get(ids[1]):
        return "one", fork
    fork = other.origins.get(ids[0])
    return ("other", fork) if fork else ("", None)


def _settings(one: Outline, other: Outline) -> dict[str, tuple[Any, Any]]:
    first, second = (in_force(o.ledger.settings) for o in (one, other))
    return {
        name: (getattr(first, name), value)
        for name, value in changes(first, second).items()
    }


def _origin(one: Outline, other: Outline) -> dict[str, tuple[str, ...]]:
    """Model, judge and prompts by content: names of them are among the settings."""
    first, second = one.ledger.opened, other.ledger.opened
    if first is None or second is None:
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for what, a, b in (
        ("model", first.model, second.model),
        ("judge", first.judge, second.judge),
        ("prompts", first.data, second.data),
    ):
        keys = sorted({*differing(a, b), *differing(b, a)})
        if keys:
            found[what] = tuple(keys)
    if first.initial != second.initial:
        found["first adapter"] = ("bytes",)
    return found


def _partings(one: Outline, other: Outline) -> Iterator[Parting]:
    """Every step that differs, in order, with the first thing in it that does."""
    for index, (a, b) in enumerate(zip(one.steps, other.steps, strict=False), start=1):
        if a.pairs != b.pairs:
            yield Parting(index, "pairs", *_without(a.pairs, b.pairs))
        elif a.chosen != b.chosen:
            sides = zip(a.pairs, a.chosen, b.chosen, strict=True)
            turned = tuple(name for name, x, y in sides if x != y)
            yield Parting(index, "labels", turned, turned)
        elif a.loss != b.loss:
            yield Parting(index, "loss", (a.loss,), (b.loss,))
        elif a.grad_norm != b.grad_norm:
            yield Parting(index, "grad_norm", (a.grad_norm,), (b.grad_norm,))
        elif a.state and b.state and a.state != b.state:
            yield Parting(index, "state", (a.state,), (b.state,))


def _without(
    one: tuple[str, ...], other: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return (
        tuple(name for name in one if name not in other),
        tuple(name for name in other if name not in one),
    )


def _metrics(one: Taken, other: Taken) -> dict[str, tuple[float | None, float | None]]:
    first, second = (
        {"loss": t.loss, "grad_norm": t.grad_norm, **t.metrics} for t in (one, other)
    )
    return {
        name: (first.get(name), second.get(name))
        for name in {**first, **second}
        # How fast it was is no matter of the run.
        if not name.startswith("perf/")
    }


def _win_rates(
    one: Outline, other: Outline
) -> dict[int, tuple[float | None, float | None]]:
    first, second = (
        {
            e.step: None if math.isnan(e.win_rate) else e.win_rate
            for e in outline.ledger.evaluations
        }
        for outline in (one, other)
    )
    steps = sorted({*first, *second})
    return {step: (first.get(step), second.get(step)) for step in steps}
