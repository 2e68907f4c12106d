"""Processes of the program that start in a moment, since its imports are done already.

A plain start imports MLX and transformers for nearly two seconds.  Here one process for
each process of pytest has imported all that (it is multiprocessing's fork server), and
each run is a child that is forked from it, with a session of its own.  It has computed
nothing: MLX starts threads with its first computation, and a process with threads
cannot be forked soundly.  macOS, where libraries do not bear a fork, spawns instead.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TextIO

PREPARED = (
    "onlinedpo.cli.main",
    "onlinedpo.cli.label.session",
    "onlinedpo.cli.progress",
    "onlinedpo.engine.loop",
    "onlinedpo.engine.rejudge.rejudging",
    "tests.crash.calls",
    "watchdog.observers",
    __name__,
)
"""What the server imports, once for all children."""

HERE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Task:
    """What a child is to do: arguments of the command line, and how it dies, if so."""

    arguments: tuple[str, ...]
    environment: dict[str, str]
    output: str
    keys: bytes = b""
    """Standard input, at most what a pipe holds."""
    operation: str = ""
    """Which change of a file it dies before, as "12", or half-way through as "12 torn";
    "list:FILE" writes down all of them instead."""
    seconds: float = 0.0
    """After how much computing it dies: on a busy machine at the same place."""


def launch(task: Task) -> BaseProcess:
    """Start a child that is the program; it is killed when this process ends."""
    return child_of(perform, task)


def child_of(work: Callable[..., None], *arguments: object) -> BaseProcess:
    """Start a child that does other work."""
    child: BaseProcess
    if sys.platform == "darwin":
        spawn = multiprocessing.get_context("spawn")
        child = spawn.Process(target=work, args=arguments, daemon=True)
    else:
        _prepare()
        fork = multiprocessing.get_context("forkserver")
        child = fork.Process(target=work, args=arguments, daemon=True)
    child.start()
    return child


def _prepare() -> None:
    """Start the server, if it does not run yet, with the paths that we have."""
    forkserver.set_forkserver_preload([*PREPARED])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join((str(HERE / "tests/links"), str(HERE)))
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def perform(task: Task) -> None:
    """In the child: run the command line, as `python -m onlinedpo.cli` does."""
    from onlinedpo.cli.main import main

    os.setsid()
    os.environ.clear()
    os.environ.update(task.environment)
    output = os.open(task.output, os.O_WRONLY | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    # What is printed is there at once: it tells what was acknowledged before a kill.
    sys.stdout, sys.stderr = _printing_to(1), _printing_to(2)
    if task.keys:
        end, keys = os.pipe()
        os.write(keys, task.keys)
        os.close(keys)
        os.dup2(end, 0)
    if task.operation:
        _watch_changes(task.operation)
    if task.seconds:
        # What this signal does to a process that does not heed it is what SIGKILL does.
        signal.setitimer(signal.ITIMER_PROF, task.seconds)
    sys.argv = ["onlinedpo", *task.arguments]
    main()


def _printing_to(fd: int) -> TextIO:
    return open(fd, "w", buffering=1, encoding="utf-8", closefd=False)


def _watch_changes(operation: str) -> None:
    """Die at a change of a file, or write down each.

    Writes into one file, one after the other, are one change.
    """
    from onlinedpo.journal import disk
    from tests.crash.calls import Call, Calls

    log = operation.removeprefix("list:")
    number, _, torn = operation.partition(" ")
    seen, half, last = 0, False, (Path(), "")

    def fault(call: Call) -> int | None:
        nonlocal seen, half, last
        this = (call.path, call.name)
        new, last = call.name != "write" or this != last, this
        if log != operation:
            _write_down(log, call, new)
            return None
        seen += new
        if half or (seen == int(number) and not (torn and call.name == "write")):
            os.kill(os.getpid(), signal.SIGKILL)
        # The rest of it is another write, before which it dies.
        half = seen == int(number)
        return len(call.data) // 2 if half else None

    setattr(disk, "os", Calls(fault))  # noqa: B010


def _write_down(log: str, call: object, new: bool) -> None:
    if new:
        with open(log, "a") as file:
            file.write(f"{call}\n")
