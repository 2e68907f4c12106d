"""A cell is trained: an ordinary run, which goes on where it was interrupted."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from onlinedpo.engine.demo import PROMPTS
from onlinedpo.engine.judges.choosing import candidate
from onlinedpo.engine.judges.comparison import Comparison
from onlinedpo.engine.loop import train
from onlinedpo.engine.observer import Silent
from onlinedpo.engine.reports import metrics
from onlinedpo.engine.run import Run
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.engine.saving import publish
from onlinedpo.engine.start import open_run
from onlinedpo.journal.reader import Reader
from onlinedpo.states.answers import Ask, sides
from onlinedpo.states.labelling import decide
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.people.choices import shown_as
from onlinedpo.states.records import Label
from onlinedpo.states.turns import Turn
from tests.bench.learning.cells import BATCH, Cell, source_of_pairs
from tests.processes import onlinedpo


@dataclass
class SlowLabeller(Silent):
    """Labels the oldest batch, and only when the run has to wait for it.

    It says what the demo's model would: so the delay is all that differs.
    """

    run: Run | None = None
    answered: set[int] = field(default_factory=set)

    def waiting(self, files: int, todo: Path) -> None:
        """Drop a file with answers, unless the last one has not been taken in yet."""
        assert self.run is not None
        waiting = self.run.ledger.waiting()
        if any(
            turn.sampled.ticket in self.answered for turn in waiting if turn.sampled
        ):
            return
        rows = self._rows(waiting[:BATCH])
        inbox = todo.parent / "inbox"
        name = f"{rows[0]['id']}.jsonl"
        hidden = inbox / f".{name}"
        hidden.write_text("".join(json.dumps(row) + "\n" for row in rows))
        os.replace(hidden, inbox / name)

    def _rows(self, turns: list[Turn]) -> list[dict[str, str]]:
        assert self.run is not None and self.run.judge is not None
        pairs = [turn.sampled for turn in turns if turn.sampled]
        verdicts = self.run.judge.judge(
            [
                Comparison(p.ticket, p.messages, p.first.text, p.second.text)
                for p in pairs
            ]
        )
        rows = []
        for pair, said in zip(pairs, verdicts, strict=True):
            label = decide(said, 0.0)
            shown = sides(self.run.settings.seed, Ask(pair.pair))
            found = isinstance(label, Label) and label.chosen
            choice = str(shown_as(found, shown)) if found else "tie"
            rows.append({"id": pair.pair, "choice": choice, "annotator": "the model"})
            self.answered.add(pair.ticket)
        return rows


def finished(out: Path, cell: Cell) -> Ledger | None:
    """Where a cell's run stands if it has ended, or None."""
    journal = out / "runs" / cell.folder / "journal"
    if not journal.exists():
        return None
    ledger = Reader(journal).fold()
    return (
        ledger if ledger.steps >= cell.iters and ledger.evaluated(cell.iters) else None
    )


def train_cell(out: Path, cell: Cell) -> None:
    """Train a cell to its end."""
    pairs = out / "pairs" / f"{cell.iters}-seed-{cell.seed}"
    if cell.offline and not pairs.exists():
        make_pairs(out, cell, pairs)
    labeller = SlowLabeller()
    folder = RunFolder(out / "runs" / cell.folder)
    begun = (folder.path / "config.yaml").exists()
    run = open_run(folder, {} if begun else cell.settings(pairs), labeller)
    with run.journal:
        if run.judge is None:
            # Who labels late also takes the win rates, at once.
            judge = {"judge": cell.settings(pairs)["model"]}
            run.judge = candidate(replace(run.settings, **judge)).load()
        labeller.run = run
        with run.desk or nullcontext():
            publish(run)
            metrics.catch_up(run.folder.metrics, run.folder.journal, run.ledger)
            train(run)


def make_pairs(out: Path, cell: Cell, pairs: Path) -> None:
    """Draw all pairs from the initial policy, have them judged, and export them.

    The held-out prompts are those of the others.
    """
    source = source_of_pairs(cell.seed, cell.iters)
    folder = out / "runs" / source.folder
    if not (folder / "journal").exists() or not Reader(folder / "journal").fold().steps:
        begun = (folder / "config.yaml").exists()
        # The first step comes when all are labelled.
        settings = {**source.settings(pairs), "iters": 1, "val_prompts": 0}
        run = open_run(RunFolder(folder), {} if begun else settings, Silent())
        with run.journal:
            train(run)
    half = pairs.with_name(f".{pairs.name}")
    half.mkdir(parents=True, exist_ok=True)
    ended = onlinedpo("export", folder, "-o", half / "train.jsonl")
    assert ended.code == 0, ended.output
    shutil.copy(PROMPTS / "valid.jsonl", half)
    half.rename(pairs)
