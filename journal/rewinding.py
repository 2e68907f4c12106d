"""Going back to an earlier step: what is undone, and how it is to be done again.

Nothing is erased.  The pairs of the undone steps are put into the journal again, as
they stood, with the label that people's answers give them now; the same batches come
again, in the same order.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import islice

from onlinedpo.journal.reader import Reader
from onlinedpo.journal.writer import Journal
from onlinedpo.states.errors import UsageError
from onlinedpo.states.given import in_force
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import Rewound
from onlinedpo.states.replanning import Plan, as_people_say, plan

CHUNK = 256
"""Pairs in one frame of the journal."""


@dataclass(frozen=True, slots=True)
class Rewind:
    """What a rewind did."""

    undone: int
    batches: int
    corrected: tuple[str, ...]
    """Names of the pairs that have another label than they were trained on with."""


def rewind(journal: Journal, to: int) -> Rewind:
    """Go back to just after step `to`; the next run trains on what came after again.

    Raises `UsageError` if there is no such step.
    """
    steps = journal.ledger.steps
    if not 0 <= to < steps:
        raise UsageError(
            f"step {to} is not one to go back to: the run stands after step {steps}",
            hint=f"Give --to a number from 0 to {steps - 1}." if steps else "",
        )
    must_be_trained_through(journal.ledger)
    now = time.time()
    rule = in_force(journal.ledger.settings).resolve
    planned = plan(Reader(journal.folder).records(), to, as_people_say(rule, now))
    write(journal, planned, to, now)
    return Rewind(planned.undone, len(planned.batches), planned.corrected())


def write(journal: Journal, planned: Plan, to: int, now: float) -> None:
    """Undo the steps after `to`, and have what is planned come again."""
    chunks = iter(planned.pairs)
    while chunk := list(islice(chunks, CHUNK)):
        journal.append(chunk)
    journal.append(
        [Rewound(to=to, tickets=planned.tickets, batches=planned.batches, time=now)]
    )


def must_be_trained_through(ledger: Ledger) -> None:
    """Raise `UsageError` where batches of an earlier rewind are still to come."""
    if ledger.plan() is not None:
        raise UsageError(
            "an earlier rewind has not been trained through yet",
            hint="Let the run go on until its steps are taken again, then rewind.",
        )
