"""Where runs are made whose calls fail, and what they come to if nothing does."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.crash.io_errors.commands import (
    Ended,
    command,
    is_as_undisturbed,
    is_told,
    is_whole,
    outcome,
    sweep,
)
from tests.crash.io_errors.failing import Nth, NthRead

OF_PEOPLE = ("labels", "todo", "done", "inbox")


@dataclass(frozen=True)
class Stopped:
    """A run that was stopped, and how its process ended."""

    folder: Path
    ended: Ended


class Place:
    """Where runs are made, and what they come to if nothing fails."""

    def __init__(self, folder: Path, *settings: str) -> None:
        """Make the run to which nothing happens."""
        self.folder, self.settings = folder, settings
        self.source = folder / "whole"
        self.undisturbed = command("run", self.source, *settings)
        assert self.undisturbed.code == 0, self.undisturbed.err
        self.whole = outcome(self.source)

    @property
    def run(self) -> Path:
        """The run at hand."""
        return self.folder / "run"

    def begin(self, since: Stopped | None = None) -> Path:
        """A run's folder, as nothing was in it yet or as a copy."""
        shutil.rmtree(self.run, ignore_errors=True)
        if since:
            shutil.copytree(since.folder, self.run, symlinks=True)
        return self.run

    def outlived(
        self, ended: Ended, codes: Collection[int], since: Stopped | None = None
    ) -> None:
        """A process told what happened; another ends the run as it would have ended."""
        is_told(ended, self.run, codes)
        is_whole(self.run, ended)
        last = command("run", self.run, *self.settings)
        assert last.code == 0, last.err
        before = [since.ended] if since else []
        is_as_undisturbed(self.run, self.whole, *before, ended, last)

    def sweep(
        self,
        faults: Iterable[Nth | NthRead],
        since: Stopped | None = None,
        also: Callable[[Ended], None] = lambda ended: None,
    ) -> int:
        """Have a run meet each fault, until none fires; returns how many did.

        `also` is asserted before another process takes the run up.
        """

        def given(fault: Nth | NthRead) -> Ended:
            return command("run", self.begin(since), *self.settings, fault=fault)

        def holds(fault: Nth | NthRead, ended: Ended) -> None:
            if isinstance(fault, Nth):
                # Nor are folders, but for those of labels: their drive may come back,
                # and what lies there is journalled before it is moved.
                again = [p for p in fault.synced_again() if p.name not in OF_PEOPLE]
                assert not again, "a failed sync is never tried again"
            also(ended)
            self.outlived(ended, fault.codes, since)

        return sweep(faults, given, holds)
