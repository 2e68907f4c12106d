"""What `onlinedpo rejudge` shows while it works, on standard error."""

from __future__ import annotations

from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.text import Text

from onlinedpo.cli.words import safe
from onlinedpo.engine.observer import Silent
from onlinedpo.states.ledger import Ledger

LINES = 10
"""How many lines tell of the progress where there is no terminal."""


class Progress(Silent):
    """A bar on a terminal, else a line now and then."""

    def __init__(self) -> None:
        """Show nothing yet."""
        self._console = Console(stderr=True, highlight=False)
        self._bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=None)
        self._stop = False
        self._told = -1

    def __enter__(self) -> Self:
        """Begin the bar."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._bar.stop()

    def doing(self, what: str, ledger: Ledger | None = None) -> None:
        """Show what is done now."""
        self._bar.update(self._task, description=safe(what))

    def said(self, line: str) -> None:
        """Print a line."""
        self._console.print(Text(safe(line), style="dim"), soft_wrap=True)

    def judged(self, done: int, of: int) -> None:
        """Show how far it is."""
        self._bar.update(self._task, description="judging", completed=done, total=of)
        part = done * LINES // of
        if self._told < part and not self._console.is_terminal:
            self._told = part
            self.said(f"{done} of {of} pairs are judged")

    def stop(self) -> None:
        """Ask to leave after the batch at hand."""
        self._stop = True
        self.said("leaving after the batch at hand (Ctrl-C again to leave at once)")

    def asked_to_stop(self) -> bool:
        """Whether it was asked to."""
        return self._stop
