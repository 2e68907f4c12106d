"""What a run tells while it works: facts, which the terminal puts into words."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import Evaluated, Step


class Observer(Protocol):
    """Whoever watches a run."""

    def doing(self, what: str, ledger: Ledger | None = None) -> None:
        """The run begins an operation."""

    def said(self, line: str) -> None:
        """Something the user should know once."""

    def stepped(self, step: Step, ledger: Ledger) -> None:
        """A step was committed."""

    def evaluated(self, evaluated: Evaluated, ledger: Ledger) -> None:
        """A held-out win rate was taken."""

    def waiting(self, files: int, folder: Path) -> None:
        """Nothing is left to do until people have answered: so many files wait."""

    def asked_to_stop(self) -> bool:
        """Whether to leave after the operation at hand."""


class Silent:
    """Watches nothing and never stops a run."""

    def doing(self, what: str, ledger: Ledger | None = None) -> None:
        """Ignore it."""

    def said(self, line: str) -> None:
        """Ignore it."""

    def stepped(self, step: Step, ledger: Ledger) -> None:
        """Ignore it."""

    def evaluated(self, evaluated: Evaluated, ledger: Ledger) -> None:
        """Ignore it."""

    def waiting(self, files: int, folder: Path) -> None:
        """Ignore it."""

    def asked_to_stop(self) -> bool:
        """Go on."""
        return False


class Forwarding:
    """Hands on what it is told: for an observer that looks along with another."""

    def __init__(self, inner: Observer) -> None:
        """Hand on to `inner`."""
        self.inner = inner

    def doing(self, what: str, ledger: Ledger | None = None) -> None:
        """Hand it on."""
        self.inner.doing(what, ledger)

    def said(self, line: str) -> None:
        """Hand it on."""
        self.inner.said(line)

    def stepped(self, step: Step, ledger: Ledger) -> None:
        """Hand it on."""
        self.inner.stepped(step, ledger)

    def evaluated(self, evaluated: Evaluated, ledger: Ledger) -> None:
        """Hand it on."""
        self.inner.evaluated(evaluated, ledger)

    def waiting(self, files: int, folder: Path) -> None:
        """Hand it on."""
        self.inner.waiting(files, folder)

    def asked_to_stop(self) -> bool:
        """Ask it."""
        return self.inner.asked_to_stop()
