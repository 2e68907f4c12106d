"""What a run shows while it works: a live panel on a terminal, else a line a report."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from onlinedpo.cli import words
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import Evaluated, Step
from onlinedpo.states.visible import visible


class Progress:
    """Watches a run and prints what it tells."""

    def __init__(self, folder: Path) -> None:
        """Print on standard output."""
        self._folder = folder
        self._console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
        self._live: Live | None = None
        self._stop = False
        self._doing = "starting"
        self._step: Step | None = None
        self._first: tuple[int, float] | None = None
        self._steps: list[Step] = []
        self._waiting = 0
        self._ledger: Ledger | None = None

    def __enter__(self) -> Self:
        """Begin the live view, on a terminal."""
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the live view."""
        self.close()

    def close(self) -> None:
        """End the live view."""
        if self._live:
            self._live.update(Text(""))
            self._live.stop()
            self._live = None

    # -- what the run tells ------------------------------------------------------

    def stop(self) -> None:
        """Ask the run to leave after the operation at hand."""
        self._stop = True
        if self._waiting:
            self.said("leaving; the label files stay where they are")
        else:
            self.said(
                f"leaving after this: {self._doing} (Ctrl-C again to leave at once)"
            )

    def asked_to_stop(self) -> bool:
        """Whether it was asked to."""
        return self._stop

    def doing(self, what: str, ledger: Ledger | None = None) -> None:
        """Show what the run does now."""
        self._doing, self._waiting, self._ledger = words.safe(what), 0, ledger
        self._refresh(ledger)

    def said(self, line: str) -> None:
        """Print a line."""
        # File names and what people wrote may hold anything.
        self._console.print(Text(words.safe(line), style="dim"))

    def stepped(self, step: Step, ledger: Ledger) -> None:
        """Show a step; print a line every `steps_per_report`."""
        self._step = step
        self._steps.append(step)
        if self._first is None:
            self._first = (step.index, step.time)
        every, iters = (ledger.settings[k] for k in ("steps_per_report", "iters"))
        if step.index % every == 0 or step.index == iters:
            recent = self._steps[-every:]
            self._console.print(Text(words.step_line(recent, iters)))
            self._steps = recent
        self._refresh(ledger)

    def evaluated(self, evaluated: Evaluated, ledger: Ledger) -> None:
        """Print a win rate."""
        self._console.print(Text(words.win_rate_line(evaluated), style="bold"))

    def waiting(self, files: int, folder: Path) -> None:
        """Say, once for each number of files, that they wait and where."""
        if files != self._waiting:
            self._waiting = files
            line = words.safe(words.waiting_line(files, folder))
            self._console.print(Text(line, style="bold"))
        self._doing = "waiting for people"
        self._refresh(self._ledger)

    def summary(self, ledger: Ledger) -> None:
        """Print what came out."""
        self._console.print(Text(visible(words.summary(self._folder, ledger))))

    # -- drawing ------------------------------------------------------------------

    def _refresh(self, ledger: Ledger | None) -> None:
        if not self._live:
            return
        if ledger is None or ledger.opened is None:
            self._live.update(Text(self._doing), refresh=True)
            return
        iters = ledger.settings["iters"]
        head = Table.grid(padding=(0, 1))
        head.add_row(
            f"step {ledger.steps}/{iters}",
            ProgressBar(total=iters, completed=ledger.steps, width=30),
            words.time_left(self._first, ledger.steps, iters, time.time()),
            Text(self._doing, style="cyan"),
        )
        body: list[RenderableType] = [head, Text(words.counts_line(ledger))]
        if self._step:
            body.append(Text(words.measures_line(self._step)))
        self._live.update(Group(*body), refresh=True)
