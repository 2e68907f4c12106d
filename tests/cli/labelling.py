"""A run that waits for people, built by hand, and a terminal to label it in."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from onlinedpo.cli.label.desk import LabelDesk
from onlinedpo.journal.reader import Reader
from onlinedpo.journal.writer import Journal
from onlinedpo.states.answers import Ask, sides
from onlinedpo.states.lifecycle import by_table
from onlinedpo.states.people import label_file
from onlinedpo.states.people.label_file import Answer
from onlinedpo.states.records import Record, Sampled
from tests.journal.kit import RUN
from tests.processes import LINKS
from tests.states import facts

NAME = RUN.hex()[:8]
GUIDELINES = "# What counts\n\nThe kinder answer is better.\n"


def pair(ticket: int, one: str = "", two: str = "") -> Sampled:
    """A pair whose texts bear its number, unless they are given."""
    drawn = facts.sampled(
        ticket, facts.completion(4, ticket), facts.completion(5, ticket)
    )
    return replace(
        drawn,
        messages=({"role": "user", "content": f"Question {ticket}?"},),
        first=replace(drawn.first, text=one or f"first of {ticket}"),
        second=replace(drawn.second, text=two or f"second of {ticket}"),
    )


@dataclass
class Waiting:
    """A run folder in which people are asked."""

    folder: Path
    pairs: list[Sampled]

    @property
    def labels(self) -> Path:
        """Where the label files are."""
        return self.folder / "labels"

    def offer(self, ask: Ask) -> Path:
        """Write a label file as the run does."""
        sampled = self.pairs[ask.ticket]
        text = label_file.render(sampled, ask, sides(0, ask), NAME)
        path = self.todo(ask.ticket, ask.slot)
        path.write_text(text)
        return path

    def ask(self, ticket: int, slot: int = 1) -> Ask:
        """What is asked about a pair."""
        return Ask(self.pairs[ticket].pair, slot)

    def todo(self, ticket: int, slot: int = 1) -> Path:
        """Where an ask's file is offered."""
        return self.labels / "todo" / f"{self.ask(ticket, slot)}.md"

    def done(self, ticket: int, slot: int = 1) -> Path:
        """Where it goes once its answer is in the journal."""
        return self.labels / "done" / self.todo(ticket, slot).name

    def said(self, ticket: int, slot: int = 1) -> Answer:
        """What a file in todo/ says."""
        return read(self.todo(ticket, slot), self.ask(ticket, slot))

    def choices(self) -> list[str]:
        """The choices in todo/, in order; empty where there is none yet."""
        return [str(self.said(p.ticket).choice or "") for p in self.pairs]

    def journalled(self, *records: Record) -> None:
        """Append to the journal, as a run that has ended since."""
        with Journal.open(self.folder / "journal", {}, by_table) as journal:
            journal.append(records)

    def taken_in(self, ticket: int, **wanted: Any) -> None:
        """Journal what a file in todo/ says, and move it to done/, as the run does."""
        raw, name = self.todo(ticket).read_bytes(), self.todo(ticket).name
        about = {"path": f"todo/{name}", "kept_as": f"done/{name}"} | wanted
        self.journalled(facts.vote(ticket, raw=raw, **about))
        self.todo(ticket).rename(self.done(ticket))

    def desk(self, annotator: str = "anna") -> LabelDesk:
        """The files as one person sees them, without a screen."""
        standing = Reader(self.folder / "journal").fold()
        return LabelDesk(self.labels, standing, NAME, annotator)


def read(path: Path, ask: Ask) -> Answer:
    """What a label file says."""
    return label_file.read(path.read_text(), ask)


def waiting(folder: Path, *pairs: Sampled, slots: int = 1) -> Waiting:
    """A run that waits for answers to these pairs."""
    for name in ("todo", "done", "inbox"):
        (folder / "labels" / name).mkdir(parents=True)
    (folder / "labels" / "guidelines.md").write_text(GUIDELINES)
    run = Waiting(folder, list(pairs))
    with Journal.create(folder / "journal", RUN, by_table) as journal:
        journal.append([facts.run_opened(), facts.process_started()])
        for sampled in pairs:
            journal.append([sampled])
            journal.append([facts.submitted(sampled.ticket)])
            journal.append([facts.escalated(sampled.ticket, slots)])
            for slot in range(1, slots + 1):
                run.offer(Ask(sampled.pair, slot))
    return run


class Terminal:
    """`onlinedpo label` in a terminal of its own; it is gone when the block ends."""

    def __init__(
        self, run: Waiting, *options: str, columns: int = 80, rows: int = 24, **env: str
    ) -> None:
        """Start it.  `env` is added to the environment."""
        self._fd, inner = pty.openpty()
        # Open on this side too, so that its mode can be asked for at the end.
        self._inner = inner
        self.resize(columns, rows)
        self.mode = termios.tcgetattr(inner)
        plain = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "onlinedpo.cli", "label", str(run.folder), *options],
            env={**plain, "TERM": "xterm", "PYTHONPATH": str(LINKS), **env},
            stdin=inner,
            stdout=inner,
            stderr=inner,
        )
        self.output = ""

    def __enter__(self) -> Self:
        """It runs already."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it, if it has not ended."""
        self.process.kill()
        self.process.wait()
        os.close(self._fd)
        os.close(self._inner)

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._fd, keys.encode())

    def lines(self) -> list[str]:
        """What the screen shows now: the last drawing that is whole."""
        for drawn in reversed(self.output.split("\x1b[H")):
            plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "", drawn)
            lines = plain.split("\n")
            if len(lines) == self._rows and len(lines[-1]) == self._columns:
                return [line.rstrip() for line in lines]
        return []

    def shows(self, text: str) -> str:
        """Wait until the screen shows a text; returns all that it shows."""
        return self.until(lambda: text in "\n".join(self.lines()), repr(text))

    def until(self, met: Callable[[], bool], what: str = "it") -> str:
        """Wait until something is so; returns the screen."""
        end = time.monotonic() + 10
        while not met():
            assert time.monotonic() < end, f"no {what} in:\n" + "\n".join(self.lines())
            self._read(0.05)
        return "\n".join(self.lines())

    def ended(self) -> int:
        """Wait for its end; returns the exit code."""
        self.until(lambda: self.process.poll() is not None, "end")
        while self._read(0.05):
            pass
        return self.process.wait()

    def mode_now(self) -> list[Any]:
        """The terminal's settings."""
        return termios.tcgetattr(self._inner)

    def resize(self, columns: int, rows: int) -> None:
        """Change the window's size."""
        self._columns, self._rows = columns, rows
        size = struct.pack("4H", rows, columns, 0, 0)
        fcntl.ioctl(self._inner, termios.TIOCSWINSZ, size)

    def _read(self, seconds: float) -> bool:
        if not select.select([self._fd], [], [], seconds)[0]:
            return False
        with suppress(OSError):
            self.output += os.read(self._fd, 65536).decode(errors="replace")
        return True


def piped(run: Waiting, keys: str, *options: str, **env: str) -> tuple[int, str]:
    """The command with keys from a pipe: its exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "onlinedpo.cli", "label", str(run.folder), *options],
        env={**os.environ, "PYTHONPATH": str(LINKS), **env},
        input=keys.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=30,
    )
    return done.returncode, done.stdout.decode()
