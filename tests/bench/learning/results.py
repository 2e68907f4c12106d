"""What came out, read from the journals: rows, and a table over the seeds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean

from onlinedpo.journal.reader import Reader
from onlinedpo.states.records import Completion, Evaluated, Step
from tests.bench.learning.cells import TITLES, Cell


@dataclass(frozen=True, slots=True)
class Row:
    """The held-out answers of one run after a step."""

    part: str
    name: str
    seed: int
    step: int
    pairs: int
    """Pairs trained on so far."""
    age: float
    """Steps between the drawing and the training of a pair, on the mean so far."""
    win_rate: float
    length: float
    ended: float
    bigrams: float


MEASURES = {
    "win_rate": "held-out win rate",
    "length": "length in tokens",
    "ended": "ended by itself (EOS)",
    "bigrams": "distinct bigrams",
}
"""What is measured, and how it is called."""


def distinct_bigrams(completions: Iterable[Completion]) -> float:
    """Different pairs of neighbouring tokens over all of them (Li et al. 2016).

    Taken over all answers together: it falls where they come to resemble each other.
    """
    found = [pair for c in completions for pair in pairwise(c.tokens)]
    return len({*found}) / max(len(found), 1)


def rows(out: Path, cell: Cell) -> list[Row]:
    """What the journal of a cell says."""
    found, pairs, ages = [], 0, 0.0
    for record in Reader(out / "runs" / cell.folder / "journal").records():
        if isinstance(record, Step):
            count = len(record.tickets)
            pairs += count
            age = record.metrics["label/age_steps_mean"]
            # A file's pairs are all from before the first step.
            ages += count * (record.index - 1 if cell.offline else age)
        elif isinstance(record, Evaluated):
            row = Row(
                *(cell.part, cell.name, cell.seed, record.step, pairs),
                age=ages / max(pairs, 1),
                win_rate=record.win_rate,
                length=record.mean_length,
                ended=record.ended,
                bigrams=distinct_bigrams(record.completions),
            )
            found.append(row)
    return found


def write(out: Path, found: Sequence[Row]) -> None:
    """The rows as JSON lines, and the tables."""
    lines = "".join(json.dumps(asdict(row)) + "\n" for row in found)
    (out / "results.jsonl").write_text(lines)
    parts = dict.fromkeys(row.part for row in found)
    tables = [
        f"## {TITLES[part]}\n\n" + table([row for row in found if row.part == part])
        for part in parts
    ]
    (out / "results.md").write_text("\n".join(tables))


def table(found: Sequence[Row]) -> str:
    """One part: after the last step, the mean over the seeds and their range.

    `over the run` is the mean win rate over all points after step 0.
    """
    last = max(row.step for row in found)
    lines = [
        f"After step {last}: mean over the seeds (lowest to highest).",
        "",
        "| | win rate | win rate over the run | length | ended | distinct bigrams"
        " | pairs | age in steps | seeds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(row.name for row in found):
        own = [row for row in found if row.name == name]
        ends = [row for row in own if row.step == last]
        over = [
            fmean(r.win_rate for r in own if r.seed == end.seed and r.step)
            for end in ends
        ]
        if not ends:
            continue
        cells = (
            _percent([row.win_rate for row in ends]),
            _percent(over),
            _range([row.length for row in ends], ".1f"),
            _percent([row.ended for row in ends]),
            _range([row.bigrams for row in ends], ".3f"),
            f"{fmean(row.pairs for row in ends):.0f}",
            f"{fmean(row.age for row in ends):.1f}",
            str(len(ends)),
        )
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _percent(values: Sequence[float]) -> str:
    return _range([100 * value for value in values], ".0f", " %")


def _range(values: Sequence[float], form: str, unit: str = "") -> str:
    low, high = min(values), max(values)
    return f"{fmean(values):{form}}{unit} ({low:{form}} to {high:{form}})"
