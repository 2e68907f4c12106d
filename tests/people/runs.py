"""Runs with people in them, in this process, and what their journals say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from onlinedpo.engine.loop import train
from onlinedpo.engine.observer import Silent
from onlinedpo.engine.reports import metrics
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.engine.saving import publish
from onlinedpo.engine.start import take_up
from onlinedpo.journal.rewinding import Rewind, rewind
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.people import label_file
from onlinedpo.states.records import Record, Sampled, Side, Step
from tests.engine.runs import (
    Listener,
    Scripted,
    opened,
    records,
    state,
)
from tests.people.kit import Person, answer, nothing, read

R = TypeVar("R", bound=Record)


@dataclass
class Ended:
    """Where a run stood when its process ended."""

    ledger: Ledger
    state: str


def work(
    folder: Path,
    person: Listener | None = None,
    script: Scripted | None = None,
    /,
    *,
    patient: bool = True,
    **wanted: Any,
) -> Ended:
    """Begin a run or go on with it, as the program does, until it ends or is left.

    Whatever judge it began with, `script` judges.
    """
    if script and "model" in wanted:
        wanted = {"judge": wanted["model"], **wanted}
    with opened(folder, person or Person(), **wanted) as run:
        run.patient = patient
        run.judge = script or run.judge
        with run.desk or nullcontext():
            publish(run)
            metrics.catch_up(run.folder.metrics, run.folder.journal, run.ledger)
            train(run)
        return Ended(run.ledger, state(run))


def those(folder: Path, kind: type[R]) -> list[R]:
    """The records of one kind in a run's journal."""
    return [record for record in records(folder) if isinstance(record, kind)]


def pairs(folder: Path) -> dict[int, Sampled]:
    """The pairs of a run by ticket."""
    return {pair.ticket: pair for pair in those(folder, Sampled)}


def trained_on(folder: Path) -> list[dict[int, Side]]:
    """Of each step that was ever taken: the sides that its pairs were trained on."""
    found, ledger = [], Ledger()
    for record in records(folder):
        if isinstance(record, Step):
            chosen = {p.sampled.ticket: p.chosen for p in ledger.labelled()}
            found.append({ticket: chosen[ticket] for ticket in record.tickets})
        ledger.fold(record)
    return found


def drop(labels: Path, name: str, *rows: Mapping[str, Any]) -> Path:
    """Drop a file of JSON lines into the inbox."""
    path = labels / "inbox" / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def receipt(labels: Path, name: str) -> str:
    """What is said beside a file in done/."""
    return (labels / "done" / f"{name}.receipt").read_text()


def done_file(run: Path, ticket: int) -> Path:
    """The file in done/ that answers a pair."""
    (path,) = (run / "labels" / "done").glob(f"{ticket:06d}-*.md")
    return path


def correct(run: Path, ticket: int) -> bytes:
    """Turn an answer round that lies in done/; what was saved."""
    path = done_file(run, ticket)
    text = path.read_text()
    choice = label_file.read(text, read(path).ask).choice
    return answer(path, {"1": "2", "2": "1"}[str(choice)])


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


# -- rewinding


def back(run: Path, to: int) -> Rewind:
    """Rewind a run, as the command does."""
    with take_up(RunFolder(run), Silent()) as journal:
        return rewind(journal, to)


def standing(run: Path) -> list[tuple[Any, ...]]:
    """What each step that stands came to."""
    found: dict[int, Step] = {}
    for record in [*those(run, Step)]:
        found[record.index] = record
    return [
        (s.index, s.tickets, s.loss, s.grad_norm, s.margins)
        for _, s in sorted(found.items())
    ]


def again(run: Path, to: int, **wanted: Any) -> Ended:
    """Rewind and go on, with nobody there to answer."""
    back(run, to)
    return work(run, Person(nothing), **wanted)
