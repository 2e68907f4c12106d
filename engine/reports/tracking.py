"""wandb and swanlab, by way of mlx-lm's callbacks, in a thread of their own.

They connect, retry and wait for servers; a run waits for none of it.
"""

from __future__ import annotations

import netrc
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from queue import SimpleQueue
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from onlinedpo.engine.reports import metrics
from onlinedpo.engine.run import Run
from onlinedpo.states.records import Evaluated, Step

PROJECT = "onlinedpo"
"""Where a run is filed if `project_name` says nothing."""

PATIENCE = 30
"""Seconds that the end of a process waits for what is left to be sent."""


class Tracker:
    """A run at wandb or swanlab, begun or resumed."""

    def __init__(self, name: str, run: Run, history: metrics.Standing) -> None:
        """Begin to connect, and to send what is not there yet."""
        self._name = name
        # After a rewind it is another run there: no tracker takes steps back.
        rewound = f"-{history.rewinds}" if history.rewinds else ""
        self._id = run.journal.run.hex() + rewound
        self._place: dict[str, Any] = {
            "report_to": name,
            "project_name": run.settings.project_name or PROJECT,
            "log_dir": str(run.folder.path.resolve()),
            "config": run.settings.as_dict(),
        }
        self._failure: Exception | None = None
        self._left = SimpleQueue[Step | Evaluated | None]()
        for report in history.reports:
            self._left.put(report)
        self._thread = Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def take(self, report: Step | Evaluated) -> None:
        """Have a step or a win rate sent; raises what sending the last ones did."""
        if self._failure:
            raise self._failure
        self._left.put(report)

    def close(self) -> None:
        """Wait for what is left; raises what went wrong, or TimeoutError."""
        self._left.put(None)
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            raise TimeoutError(f"not everything was sent within {PATIENCE} seconds")
        if self._failure:
            raise self._failure

    def _work(self) -> None:
        try:
            library: Any = import_module(self._name)
            callback = self._begin()
            # Of a run that is resumed there, wandb says which step it wants next; 0
            # if it does not know: then it gets all of them.
            begun = library.run.step if self._name == "wandb" else 0
            while report := self._left.get():
                if metrics.step_of(report) < begun:
                    continue
                if isinstance(report, Step):
                    callback.on_train_loss_report(row_of(report))
                else:
                    callback.on_val_loss_report(row_of(report))
            library.finish()
        except Exception as error:
            self._failure = error

    def _begin(self) -> Any:
        from mlx_lm.tuner.callbacks import get_reporting_callbacks

        with _environment(
            {
                f"{self._name.upper()}_RUN_ID": self._id,
                f"{self._name.upper()}_RESUME": "allow",
                # What is printed is for the terminal; and nobody can answer there.
                "WANDB_CONSOLE": "off",
                "SWANLAB_INTERACTIVE": "false",
                "WANDB_INIT_TIMEOUT": str(PATIENCE),
                "WANDB_FINISH_TIMEOUT": str(PATIENCE),
            }
        ):
            return get_reporting_callbacks(**self._place)


def row_of(report: Step | Evaluated) -> dict[str, object]:
    """A row of metrics, with the keys that mlx-lm reports under beside ours."""
    row = metrics.row_of(report)
    del row["step"], row["time"]
    row["iteration"] = metrics.step_of(report)
    if isinstance(report, Evaluated):
        row["val_time"] = report.seconds
    else:
        seconds = sum(report.seconds.values())
        row |= {
            "train_loss": report.loss,
            "tokens_per_second": report.metrics.get("perf/tokens_per_second"),
            "peak_memory": report.metrics.get("perf/peak_memory_gb"),
            "iterations_per_second": 1 / seconds if seconds else None,
        }
    return {name: value for name, value in row.items() if value is not None}


def has_a_key() -> bool:
    """Whether wandb can log in, as far as can be told without a network.

    It would ask for a key in the middle of the run's own output.
    """
    wandb: Any = import_module("wandb")
    try:
        known = wandb.setup().settings
        if known.mode not in ("online", "shared"):
            return True
        if known.api_key or known.identity_token_file:
            return True
        with suppress(OSError, netrc.NetrcParseError):
            host = urlsplit(known.base_url).hostname or ""
            return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
        return False
    finally:
        # It reads the environment once, and the run's name there is not known yet.
        wandb.teardown()


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment that the user has not set, for a while."""
    ours = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]
