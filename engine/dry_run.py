"""A dry run: what a run would begin with and its first batch, and nothing of it kept.

It is an ordinary run in a folder that is thrown away, so it shows the very pairs that
the run will begin with.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlx.core as mx

from onlinedpo.engine import offline, operations
from onlinedpo.engine.observer import Observer
from onlinedpo.engine.people import operations as people
from onlinedpo.engine.run import Run
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.engine.start import open_run
from onlinedpo.journal.reader import Reader
from onlinedpo.states import given
from onlinedpo.states.errors import UsageError
from onlinedpo.states.lifecycle import Phase
from onlinedpo.states.records import Record
from onlinedpo.states.selection import tickets_of


@dataclass(frozen=True, slots=True)
class DryRun:
    """The first batch of a run that was not begun."""

    records: list[Record]
    """What its journal would say of the pairs, in order."""
    seconds: dict[str, float]
    """What sampling and judging took."""
    peak_memory_gb: float
    label_file: str
    """One of the files that people would get; empty if they would get none."""
    held_out: int
    """Prompts that win rates would be taken on, before the first step and later."""


def dry_run(path: Path | None, wanted: Mapping[str, Any], watch: Observer) -> DryRun:
    """Load all, sample and judge one batch, and leave no trace at `path`.

    Raises what beginning a run there would, and `UsageError` if one has begun.
    """
    if path:
        folder = RunFolder(path)
        folder.check()
        if folder.has_journal():
            raise UsageError(
                f"{path} has begun: a dry run shows what a new run would begin with",
                hint=f"See: onlinedpo status {path}. Its settings, from the beginning:"
                f" onlinedpo run --dry-run --config {folder.config}",
            )
        wanted = given.over(folder.read_config(), wanted)
    with TemporaryDirectory(prefix="onlinedpo-") as scratch:
        run = open_run(RunFolder(Path(scratch) / "run"), wanted, watch)
        with run.journal, run.desk or nullcontext():
            _first_batch(run)
            return DryRun(
                [r for r in Reader(run.folder.journal).records() if tickets_of(r)],
                run.clock.seconds,
                mx.get_peak_memory() / 1e9,
                _label_file(run),
                len(run.prompts.held_out) if run.judge else 0,
            )


def _first_batch(run: Run) -> None:
    if run.settings.offline_pairs:
        offline.take(run)
    else:
        operations.sample(run)
    if fresh := run.ledger.pairs(Phase.SAMPLED):
        operations.submit(run, fresh)
    if asked := run.ledger.to_judge():
        operations.judge(run, asked)
    people.take_in(run)


def _label_file(run: Run) -> str:
    files = sorted(run.desk.todo.glob("*.md")) if run.desk else []
    return files[0].read_text() if files else ""
