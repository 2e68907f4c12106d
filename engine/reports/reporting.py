"""Metrics for wandb, swanlab and TensorBoard: what each does not have yet is sent.

Nothing depends on them: they are told what the journal holds, and one that fails is
left alone for the rest of the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Protocol

from onlinedpo.engine.observer import Forwarding, Observer
from onlinedpo.engine.reports import metrics
from onlinedpo.engine.reports.scalars import Scalars
from onlinedpo.engine.reports.tracking import Tracker, has_a_key
from onlinedpo.engine.run import Run
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import Evaluated, Step

_LIBRARIES = {"wandb": "wandb", "swanlab": "swanlab", "tensorboard": "tensorboardX"}

Report = Step | Evaluated


class Reporter(Protocol):
    """Somewhere that metrics go."""

    def take(self, report: Report) -> None:
        """Take a step or a win rate; may raise anything."""

    def close(self) -> None:
        """Send what is left; may raise anything."""


def must_be_there(settings: Settings) -> None:
    """Raise `UsageError` unless all that `report_to` names can be used.

    For before anything is loaded.
    """
    for name in settings.reporters:
        library = _LIBRARIES[name]
        if find_spec(library) is None:
            raise UsageError(
                f"report_to: {name} needs the package {library}, which is not"
                " installed",
                hint=f"Install it with: pip install {library}. Or leave {name} out.",
            )
    if "wandb" in settings.reporters and not has_a_key():
        raise UsageError(
            "report_to: wandb knows no key of yours",
            hint="Type: wandb login. Or set WANDB_MODE=offline, to send it later.",
        )


@contextmanager
def reporting(run: Run) -> Iterator[None]:
    """As long as this lasts, what the run measures goes to where `report_to` says.

    What the journal has already is sent first, if it is not there yet.
    """
    if not run.settings.reporters:
        yield
        return
    telling = _Telling(run.watch)
    history = metrics.standing(run.folder.journal)
    for name in run.settings.reporters:
        run.watch.doing(f"connecting to {name}", run.ledger)
        telling.begin(name, run, history)
    run.watch = telling
    try:
        yield
    finally:
        run.watch = telling.inner
        telling.close()


class _Telling(Forwarding):
    """Tells reporters what it sees, and whoever watched before of all of it."""

    def __init__(self, inner: Observer) -> None:
        super().__init__(inner)
        self._reporters: dict[str, Reporter] = {}

    def begin(self, name: str, run: Run, history: metrics.Standing) -> None:
        """Begin with a reporter."""
        with self._trying(name):
            self._reporters[name] = _reporter(name, run, history)

    def stepped(self, step: Step, ledger: Ledger) -> None:
        """A step was committed."""
        self._take(step)
        self.inner.stepped(step, ledger)

    def evaluated(self, evaluated: Evaluated, ledger: Ledger) -> None:
        """A held-out win rate was taken."""
        self._take(evaluated)
        self.inner.evaluated(evaluated, ledger)

    def close(self) -> None:
        """End with all reporters."""
        for name, reporter in [*self._reporters.items()]:
            self.inner.doing(f"sending the last metrics to {name}")
            with self._trying(name):
                reporter.close()

    def _take(self, report: Report) -> None:
        for name, reporter in [*self._reporters.items()]:
            with self._trying(name):
                reporter.take(report)

    @contextmanager
    def _trying(self, name: str) -> Iterator[None]:
        """A reporter's failure is told once; the run goes on without it."""
        try:
            yield
        except Exception as error:
            self._reporters.pop(name, None)
            reason = str(error).strip() or type(error).__name__
            self.inner.said(
                f"{name} failed, and gets nothing more from this process: {reason}"
                " (metrics.jsonl has everything; the next start sends it again)"
            )


def _reporter(name: str, run: Run, history: metrics.Standing) -> Reporter:
    if name == "tensorboard":
        return Scalars(run.folder.tensorboard, history.reports)
    return Tracker(name, run, history)
