"""Every mistake that a user can make, what it costs, and what is said: as a table.

`python -m tests.tables.errors [FILE]` writes it in Markdown.  The mistakes stand in
`tests.tables.mistakes`.
"""

from __future__ import annotations

import io
import resource
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from onlinedpo.cli.main import main
from tests.tables.bench import Bench
from tests.tables.mistakes import MISTAKES, Mistake


@dataclass(frozen=True)
class Told:
    """What a command ended with."""

    code: int
    message: str
    hint: str
    rest: str
    """Whatever else it printed."""


def told(arguments: list[str], most_bytes: int | None = None) -> Told:
    """Run the command line in this process, as its entry point does.

    No file may grow beyond `most_bytes`.
    """
    out, err = io.StringIO(), io.StringIO()
    code = 0
    try:
        with (
            patch.object(sys, "argv", ["onlinedpo", *arguments]),
            redirect_stdout(out),
            redirect_stderr(err),
            limited(most_bytes),
        ):
            main()
    except SystemExit as left:
        code = int(left.code or 0)
    message, hint = _apart(err.getvalue())
    return Told(code, message, hint, out.getvalue())


def _apart(text: str) -> tuple[str, str]:
    """Message and hint; click's own errors have them the other way round."""
    if "Error: " in text and "onlinedpo: " not in text:
        usage, _, message = text.partition("Error: ")
        return message.strip(), usage.strip().splitlines()[-1]
    lines = text.partition("onlinedpo: ")[2].splitlines()
    hint = lines.pop().strip() if len(lines) > 1 else ""
    return "\n".join(lines), hint


@contextmanager
def limited(most_bytes: int | None) -> Iterator[None]:
    """Let no file of this process grow beyond a size, as on a disk that is full."""
    if most_bytes is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def made(mistake: Mistake, bench: Bench, place: Path) -> Told:
    """Make a mistake in a folder of its own."""
    with bench.at(place), mistake.environment():
        return told(mistake.provoke(bench), mistake.most_bytes)


def table(bench: Bench) -> Iterator[str]:
    """The table's lines."""
    yield "| mistake | exit code | what is said | what to do |"
    yield "| --- | --- | --- | --- |"
    for number, mistake in enumerate(MISTAKES):
        place = bench.folder / f"{number:02d}"
        found = made(mistake, bench, place)
        cells = (mistake.name, str(found.code), found.message, found.hint)
        shown = (_cell(cell, place, bench.folder) for cell in cells)
        yield f"| {' | '.join(shown)} |"


def _cell(text: str, *folders: Path) -> str:
    for folder in folders:
        text = text.replace(f"{folder}/", "")
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        lines = [*table(Bench(Path(scratch).resolve()))]
    text = "\n".join(lines) + "\n"
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text)
    else:
        sys.stdout.write(text)
