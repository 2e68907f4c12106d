"""Other processes that hold, write or fail to write a journal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

LINKS = Path(__file__).parents[1] / "links"

PRELUDE = """
import resource, signal, sys
from pathlib import Path
from onlinedpo.journal import atomic, disk, writer
from onlinedpo.journal.writer import Journal
from onlinedpo.states.errors import JournalError, OnlineDPOError, RunLocked
from onlinedpo.states.lifecycle import by_table
from onlinedpo.states.records import Dropped
folder = Path(sys.argv[1])
def fact(ticket):
    return Dropped(ticket=ticket, reason="tie", detail="", time=0.0)
def say(*words):
    print(*words, flush=True)
"""


def start(program: str, folder: Path, **environment: str) -> subprocess.Popen[str]:
    """Start a program with a folder as its argument."""
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + program, str(folder)],
        env={**os.environ, "PYTHONPATH": str(LINKS), **environment},
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def finish(program: str, folder: Path, **environment: str) -> tuple[int, list[str]]:
    """Run a program to its end; returns its exit code and its lines."""
    process = start(program, folder, **environment)
    output, _ = process.communicate(timeout=60)
    return process.returncode, output.splitlines()


def line(process: subprocess.Popen[str]) -> str:
    """The next line that a program says."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def kill(process: subprocess.Popen[str]) -> None:
    """As `kill -9` does."""
    process.kill()
    process.communicate(timeout=60)
