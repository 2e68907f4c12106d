"""What a step measured, under TRL's names, and the file that keeps it for plotting."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from onlinedpo.journal import disk
from onlinedpo.journal.reader import Reader
from onlinedpo.states.ledger import LabelledPair, Ledger, Round
from onlinedpo.states.records import Evaluated, Reason, Rewound, Step


def of_round(
    tally: Round, pairs: Sequence[LabelledPair], pending: int, step: int
) -> dict[str, float]:
    """The metrics of sampling and judging between `step` and the step on `pairs`."""
    if not tally.sampled:
        # Nothing was sampled for this step: people's labels came in on older pairs.
        tally = replace(tally)
        for pair in pairs:
            tally.add_sampled(pair.sampled)
    judged = max(tally.judged, 1)
    completions = max(2 * tally.sampled, 1)
    return {
        "val/contain_eos_token": tally.ended / completions,
        "completions/mean_length": tally.tokens / completions,
        "judge/agreement": tally.agreed / judged,
        "judge/position_flip_rate": tally.unsettled[Reason.DISAGREED] / judged,
        "judge/failure_rate": tally.unsettled[Reason.FAILED] / judged,
        "label/pending": pending,
        "label/age_steps_mean": sum(step - p.sampled.step for p in pairs) / len(pairs),
        "label/human_frac": sum(p.label.source != "judge" for p in pairs) / len(pairs),
        "pairs/trained": len(pairs),
        "pairs/identical_frac": tally.dropped[Reason.IDENTICAL] / max(tally.sampled, 1),
        "pairs/truncated_frac": tally.truncated / max(tally.sampled, 1),
    }


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
    with path.open("a") as file:
        file.write(json.dumps(row_of(record)) + "\n")


def catch_up(path: Path, journal: Path, ledger: Ledger) -> None:
    """Make the file again from the journal, unless it ends where the journal does."""
    last: Step | Evaluated | None = ledger.last_step
    if ledger.evaluations and ledger.evaluations[-1].step == ledger.steps:
        last = ledger.evaluations[-1]
    written = path.read_text().splitlines() if path.exists() else []
    if path.exists() and written[-1:] == ([json.dumps(row_of(last))] if last else []):
        return
    standing: list[Step | Evaluated] = []
    for record in Reader(journal).records():
        if isinstance(record, Step | Evaluated):
            standing.append(record)
        elif isinstance(record, Rewound):
            standing = [each for each in standing if _step(each) <= record.to]
    rows = [json.dumps(row_of(record)) + "\n" for record in standing]
    disk.replace(path, "".join(rows).encode(), durable=False)


def _step(record: Step | Evaluated) -> int:
    return record.index if isinstance(record, Step) else record.step
