"""The facts of a run and its processes: whether they may stand where they do."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError
from onlinedpo.states.given import FIXED_BY_COPY, in_force
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import (
    Derived,
    Evaluated,
    HeldOut,
    ProcessStarted,
    Record,
    RunOpened,
    TailCut,
)
from onlinedpo.states.rederive.mismatch import NOTHING, Mismatch, kind_of

_RESUMABLE = {f.name for f in fields(Settings) if f.metadata["resumable"]}


def check(record: Record, ledger: Ledger, run: str) -> None:
    """Raise `Mismatch` where a fact cannot follow; `run` is the journal's run id."""
    kind = kind_of(record)
    match record:
        case RunOpened():
            _must_be(kind, "run_id", record.run_id, run)
        case ProcessStarted():
            for name in record.changed.keys() - _RESUMABLE:
                raise Mismatch(kind, f"changed.{name}", record.changed[name], NOTHING)
        case Derived():
            for name in record.changed.keys() & set(FIXED_BY_COPY):
                if record.purpose == "fork":
                    there = record.changed[name]
                    raise Mismatch(kind, f"changed.{name}", there, NOTHING)
        case HeldOut():
            if ledger.reference is not None:
                raise Mismatch(kind, "", kind, NOTHING)
        case Evaluated():
            _evaluated(record, ledger)
        case TailCut():
            pass
        case _:
            raise Mismatch(kind, "", kind, NOTHING)


def settings_of(record: Record, ledger: Ledger) -> Settings:
    """The settings in force since a fact; raises `Mismatch` where they cannot be."""
    kind, opened = kind_of(record), ledger.opened
    try:
        settings = in_force(ledger.settings)
        steps = settings.steps_over(opened.data["train"]) if opened else 0
    except (UsageError, TypeError, KeyError) as error:
        raise Mismatch(kind, "settings", str(error), "ones that fit") from None
    # A fork's are resolved when a process takes it up.
    if opened and not isinstance(record, Derived):
        _must_be(kind, "iters", settings.iters, steps)
    return settings


def _evaluated(found: Evaluated, ledger: Ledger) -> None:
    """A win rate: the verdicts behind it are not kept, but its form follows."""
    kind, reference = kind_of(found), ledger.reference
    _must_be(kind, "step", found.step, ledger.steps)
    settings = in_force(ledger.settings)
    due = found.step % settings.steps_per_eval == 0 or found.step == settings.iters
    if not due or ledger.evaluated(found.step):
        raise Mismatch(kind, "", kind, NOTHING)
    if reference is None:
        raise Mismatch(kind, "", kind, NOTHING)
    count = len(reference.completions)
    _must_be(kind, "completions", len(found.completions), count)
    _must_be(kind, "outcomes", len(found.outcomes), count)
    rows = zip(found.outcomes, found.completions, reference.completions, strict=True)
    for number, (outcome, ours, theirs) in enumerate(rows):
        if ours.text == theirs.text:
            _must_be(kind, f"outcomes.{number}", outcome, "tie")


def _must_be(kind: str, field: str, recorded: Any, derived: Any) -> None:
    if recorded != derived:
        raise Mismatch(kind, field, recorded, derived)
