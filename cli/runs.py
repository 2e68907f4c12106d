"""`onlinedpo runs`: every run below a folder, a line each."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onlinedpo.cli import words
from onlinedpo.cli.terminal import say, say_json
from onlinedpo.journal import runs_below, snapshot
from onlinedpo.journal.disk_errors import reason
from onlinedpo.journal.lock import holder
from onlinedpo.journal.reader import begun
from onlinedpo.states.due import due
from onlinedpo.states.errors import JournalError, JournalNewer, UsageError
from onlinedpo.states.given import in_force
from onlinedpo.states.ledger import Ledger

if TYPE_CHECKING:
    from rich.table import Table

USUAL = Path("runs")
"""Where runs lie if no folder is given, and else below the one that one is in."""


@click.command()
@click.argument("folder", metavar="[DIR]", required=False, type=Path)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def runs(folder: Path | None, as_json: bool) -> None:
    """List every run below DIR, the one that was written last first.

    DIR is runs/ if it is not given, or else the folder you are in. A run is finished,
    stopped, running (with its process), waiting (only people can go on, and nobody has
    to wait with it), damaged, newer (than this program) or rejudged (another judge's
    verdicts). Its size is what it takes on the disk.

    \b
    Examples:
      onlinedpo runs
      onlinedpo runs ~/experiments --json
    """
    below = folder or (USUAL if USUAL.is_dir() else Path("."))
    if not below.is_dir():
        raise UsageError(
            f"{below} is {'a file' if below.exists() else 'not there'}",
            hint="Give a folder that runs lie below.",
        )
    unreadable: list[OSError] = []
    found = [_facts(run) for run in runs_below.find(below, unreadable.append)]
    found.sort(key=lambda facts: (-(facts["written"] or 0.0), facts["run"]))
    for error in unreadable:
        where = words.safe(str(error.filename))
        say(f"{where} could not be read: {error.strerror}", err=True)
    if as_json:
        say_json(found)
    elif found:
        _show(found)
    else:
        say(f"there is no run below {words.safe(str(below))}")


def _facts(run: Path) -> dict[str, Any]:
    """What there is to say of one run; a damaged one has an error."""
    told: dict[str, Any] = {"run": str(run), "state": "", "error": None}
    told |= dict.fromkeys(("pid", "step", "iters", "win_rate", "waiting"))
    try:
        told |= _standing(run)
    except JournalNewer as error:
        told |= {"state": "newer", "error": str(error)}
    except (JournalError, UsageError) as error:
        told |= {"state": "damaged", "error": str(error)}
    except OSError as error:
        told |= {"state": "unreadable", "error": reason(error)}
    told |= {"bytes": runs_below.size(run), "written": runs_below.written(run)}
    return told


def _standing(run: Path) -> dict[str, Any]:
    if not begun(run / "journal"):
        raise JournalError(f"{run / 'journal'} holds no journal any more")
    ledger, pid = snapshot.fold(run / "journal"), holder(run / "journal")
    rates = [e.win_rate for e in ledger.evaluations if not math.isnan(e.win_rate)]
    return {
        "state": "running" if pid else _resting(ledger),
        "pid": int(pid) if pid and pid.isdecimal() else None,
        "step": ledger.steps,
        "iters": ledger.settings.get("iters"),
        "win_rate": rates[-1] if rates else None,
        "waiting": len(ledger.waiting()),
    }


def _resting(ledger: Ledger) -> str:
    """The state of a run that nobody works on."""
    if ledger.opened is None:
        return "stopped"
    if ledger.derived and ledger.derived.purpose == "rejudge":
        return "rejudged"
    match due(ledger, in_force(ledger.settings)):
        case "nothing":
            return "finished"
        case "wait":
            return "waiting"
    return "stopped"


# -- for people -----------------------------------------------------------------------


def _show(found: list[dict[str, Any]]) -> None:
    from rich.console import Console

    # A pipe is not cut or folded at the width of anything.
    wide = None if sys.stdout.isatty() else 10_000
    console = Console(highlight=False, width=wide, markup=False, emoji=False)
    console.print(_table(found))
    for facts in found:
        if facts["error"]:
            console.print(words.safe(facts["error"]))
    if any(facts["state"] == "damaged" for facts in found):
        console.print("what can be done: onlinedpo journal doctor RUN")


def _table(found: list[dict[str, Any]]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("run", overflow="fold")
    table.add_column("state", no_wrap=True)
    for name in ("step", "win rate", "waiting", "size", "written"):
        table.add_column(name, justify="right", no_wrap=True)
    for facts in found:
        table.add_row(
            words.safe(facts["run"]),
            f"running, {facts['pid']}" if facts["pid"] else facts["state"],
            "" if facts["step"] is None else f"{facts['step']}/{facts['iters'] or '?'}",
            "" if facts["win_rate"] is None else words.percent(facts["win_rate"]),
            str(facts["waiting"] or ""),
            room(facts["bytes"]),
            _ago(facts["written"]),
        )
    return table


def _ago(written: float | None) -> str:
    """How long ago a time was; a clock that was put back is no matter."""
    if written is None:
        return ""
    return f"{words.duration(max(0.0, time.time() - written))} ago"


def room(size: float) -> str:
    """Bytes as people say them."""
    units = ["B", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        del units[0]
    return f"{size:.{1 if size < 100 and units[0] != 'B' else 0}f} {units[0]}"
