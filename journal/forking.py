"""A journal that begins as another run's does, and then goes on in its own way.

The other run is only read: up to a whole frame, and without its lock, so it may be at
work.  Its facts are copied as they stand into frames of a new chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from onlinedpo.journal import rewinding
from onlinedpo.journal.reader import Reader
from onlinedpo.journal.writer import Journal
from onlinedpo.states import labelling
from onlinedpo.states.errors import UsageError
from onlinedpo.states.given import in_force
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.lifecycle import Phase
from onlinedpo.states.records import (
    Derived,
    Dropped,
    Evaluated,
    Reason,
    Record,
    Rewound,
    RunOpened,
    Step,
    TailCut,
)
from onlinedpo.states.replanning import Choose, Plan, plan
from onlinedpo.states.undone import standing_steps


@dataclass(frozen=True, slots=True)
class Source:
    """The run that another one begins from, as far as it was read."""

    journal: Path
    ledger: Ledger
    frame: int
    chain: bytes
    steps: Mapping[int, tuple[int, bytes]]
    """The frame of each step that stands, and the chain there."""


def read(journal: Path) -> Source:
    """Read a run's journal; raises `JournalError`, and `UsageError` if it is empty."""
    ledger = Ledger()
    chains: dict[int, bytes] = {}
    steps: list[tuple[int, Record]] = []
    frame, chain = 0, b""
    for place, batch in Reader(journal).folded(ledger):
        frame, chain = place.number, place.chain
        steps += [(frame, record) for record in batch if _moves_steps(record)]
        chains |= {frame: chain} if any(map(_moves_steps, batch)) else {}
    if ledger.opened is None:
        raise UsageError(f"{journal.parent} has not begun", hint="Let it run first.")
    stands = standing_steps(steps)
    return Source(
        journal, ledger, frame, chain, {i: (n, chains[n]) for i, n in stands.items()}
    )


def copy(
    source: Source, into: Journal, frame: int, now: float, *, win_rates: bool = True
) -> None:
    """Copy the facts up to a frame: under the new run's name, and all else as it was.

    Tails that were cut off stay with the run that has them, and so do its win rates
    where they are not wanted.
    """
    left = (TailCut,) if win_rates else (TailCut, Evaluated)
    for place, batch in Reader(source.journal).batches():
        if place.number > frame:
            return
        facts: list[Record] = []
        for record in batch:
            if isinstance(record, RunOpened):
                facts.append(replace(record, run_id=into.run.hex(), time=now))
            elif not isinstance(record, left):
                facts.append(record)
        if facts:
            into.append(facts)


def derive(
    into: Journal,
    source: Source,
    *,
    step: int,
    labels: Literal["same", "rejudged", "human"],
    changed: Mapping[str, Any],
    judge: Mapping[str, Any],
    now: float,
) -> None:
    """Say what the facts before are, and what is otherwise from here on."""
    opened = source.ledger.opened
    assert opened is not None
    frame, chain = source.frame, source.chain
    if labels == "same":
        frame, chain = source.steps[step]
    said = Derived(
        purpose="fork",
        source=opened.run_id,
        frame=frame,
        chain=chain,
        step=step,
        labels=labels,
        changed=dict(changed),
        judge=dict(judge),
        time=now,
    )
    into.append([said])


def replan(
    into: Journal, choose: Choose, labels: str, settings: Mapping[str, Any]
) -> Plan:
    """What is to be trained on again from the start, under the labels of `choose`.

    Raises `UsageError` where these `settings` let no pair be trained on.
    """
    rewinding.must_be_trained_through(into.ledger)
    planned = plan(Reader(into.folder).records(), 0, choose)
    if not planned.steps(settings):
        who = "people" if labels == "human" else "the other judge"
        raise UsageError(
            f"{who} found no winner in any pair that the run is through with",
            hint="There is nothing to train on.",
        )
    return planned


def begin_again(into: Journal, planned: Plan, now: float) -> None:
    """Undo all steps and have them come again; a judge's own labels in flight go."""
    left = [
        Dropped(ticket=turn.label.ticket, reason=Reason.LEFT_OUT, detail="", time=now)
        for turn in into.ledger.in_phase(Phase.LABELLED)
        if turn.label and turn.label.source == "judge"
    ]
    if left:
        into.append(left)
    rewinding.write(into, planned, 0, now)


def ask_people(into: Journal, now: float) -> None:
    """Where people judge from here on, ask them what a judge was about to be asked."""
    asked = [pair.ticket for pair in into.ledger.to_judge()]
    settings = in_force(into.ledger.settings)
    if asked and settings.people_judge:
        into.append(labelling.people_judge(asked, settings, into.ledger.asked, now))


def _moves_steps(record: Record) -> bool:
    return isinstance(record, Step | Rewound)
