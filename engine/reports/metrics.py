"""What a step measured, under TRL's names, and the file that keeps it for plotting."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from onlinedpo.journal import atomic, disk
from onlinedpo.journal.plain_files import LARGEST, held
from onlinedpo.journal.reader import Reader
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import Evaluated, Rewound, Step


def row_of(record: Step | Evaluated) -> dict[str, object]:
    """One line of metrics.jsonl."""
    if isinstance(record, Evaluated):
        return {
            "step": record.step,
            "time": record.time,
            "eval/win_rate": None if math.isnan(record.win_rate) else record.win_rate,
            "eval/contain_eos_token": record.ended,
            "eval/mean_length": record.mean_length,
        }
    return {
        "step": record.index,
        "time": record.time,
        "loss": record.loss,
        "grad_norm": record.grad_norm,
        **record.metrics,
        **{f"seconds/{name}": value for name, value in record.seconds.items()},
    }


def write(path: Path, record: Step | Evaluated) -> None:
    """Add a line.  The journal has it all: a lost line is made again at the start."""
    disk.add_line(path, json.dumps(row_of(record)) + "\n")


def catch_up(path: Path, journal: Path, ledger: Ledger) -> None:
    """Make the file again from the journal, unless it has all that the journal has."""
    there = held(path, LARGEST, follow=True)
    if there is not None and _is_whole(there, ledger):
        return
    rows = [json.dumps(row_of(each)) + "\n" for each in standing(journal).reports]
    atomic.replace(path, "".join(rows).encode(), durable=False)


def _is_whole(there: bytes, ledger: Ledger) -> bool:
    """Whether the file has a line for each step and ends where the journal does.

    It is never synced: a power cut may have left anything in it.
    """
    last: Step | Evaluated | None = ledger.last_step
    if ledger.evaluations and ledger.evaluations[-1].step == ledger.steps:
        last = ledger.evaluations[-1]
    try:
        lines = there.decode().splitlines()
        rows = [json.loads(line) for line in lines]
        steps = [row["step"] for row in rows if "loss" in row]
    except (ValueError, TypeError, KeyError):
        return False
    ends = [json.dumps(row_of(last))] if last else []
    return lines[-1:] == ends and steps == [*range(1, ledger.steps + 1)]


@dataclass(frozen=True, slots=True)
class Standing:
    """The steps and win rates of a journal that no rewind undid."""

    reports: list[Step | Evaluated]
    rewinds: int
    """How often the run was rewound."""


def standing(journal: Path) -> Standing:
    """Read what a journal measured; raises `JournalError`."""
    reports: list[Step | Evaluated] = []
    rewinds = 0
    for record in Reader(journal).records():
        if isinstance(record, Step | Evaluated):
            reports.append(record)
        elif isinstance(record, Rewound):
            reports = [each for each in reports if step_of(each) <= record.to]
            rewinds += 1
    return Standing(reports, rewinds)


def step_of(report: Step | Evaluated) -> int:
    """The step after which something was measured."""
    return report.index if isinstance(report, Step) else report.step
