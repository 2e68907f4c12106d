"""`onlinedpo status`: where a run stands, also while it works."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import click

from onlinedpo.cli import words
from onlinedpo.cli.status_text import status_text
from onlinedpo.cli.terminal import say, say_json
from onlinedpo.journal import snapshot
from onlinedpo.journal.lock import holder
from onlinedpo.journal.reader import begun
from onlinedpo.states.errors import UsageError
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.verdicts.judges import is_none, named_in


@click.command()
@click.argument("run_folder", metavar="RUN", type=Path)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(run_folder: Path, as_json: bool) -> None:
    """Say where the run in folder RUN stands.

    \b
    Example:
      onlinedpo status runs/demo
    """
    ledger, end = snapshot.stand(journal_of(run_folder))
    facts = _facts(run_folder, ledger)
    facts |= {
        "frames": end.number if end else 0,
        "head": end.chain.hex() if end else None,
    }
    if as_json:
        say_json(facts)
    else:
        say(status_text(run_folder, facts))


def journal_of(folder: Path) -> Path:
    """The journal of a run; raises `UsageError` if the folder is none."""
    if not begun(folder / "journal"):
        raise UsageError(
            f"{folder} is not a run", hint="A run is a folder with a journal in it."
        )
    return folder / "journal"


def _facts(folder: Path, ledger: Ledger) -> dict[str, Any]:
    settings, opened = ledger.settings, ledger.opened
    iters, last = int(settings.get("iters", 0)), ledger.last_step
    running, of = is_locked(folder), ledger.derived
    done = bool(iters) and ledger.steps >= iters
    return {
        "state": "running" if running else "finished" if done else "stopped",
        "step": ledger.steps,
        "iters": iters,
        "derived": words.derived_line("it", f"run {of.source[:8]}", of) if of else None,
        "prompts": {phase.value: n for phase, n in ledger.counts().items()},
        "dropped": dict(ledger.dropped),
        "last_step": {"loss": last.loss, "grad_norm": last.grad_norm, **last.metrics}
        if last
        else None,
        "win_rates": [
            {
                "step": e.step,
                "win_rate": None if math.isnan(e.win_rate) else e.win_rate,
                "ended": e.ended,
                "mean_length": e.mean_length,
            }
            for e in ledger.evaluations
        ],
        "people": _people(ledger),
        "model": settings.get("model"),
        "judge": named_in(settings) if opened and not is_none(opened.judge) else None,
        "data": settings.get("offline_pairs") or settings.get("data"),
        "offline": bool(settings.get("offline_pairs")),
        "environment": ledger.environment,
        "torn_tails": [
            f"{t.size} bytes at byte {t.offset} of segment {t.segment}, kept as"
            f" {t.kept_as}"
            for t in ledger.tails
        ],
    }


def _people(ledger: Ledger) -> dict[str, Any] | None:
    """What people were asked, and how long they have been waited for."""
    waiting, now = ledger.waiting(), time.time()
    if not ledger.asked and not ledger.late and not ledger.read:
        return None
    ages = [ledger.steps - turn.sampled.step for turn in waiting if turn.sampled]
    return {
        "asked": ledger.asked,
        "budget": ledger.settings.get("label_budget"),
        "waiting": len(waiting),
        "open": sum(1 for _ in ledger.open_asks()),
        "oldest_steps": max(ages, default=0),
        "oldest_seconds": max((now - turn.since for turn in waiting), default=0.0),
        "late": ledger.late,
    }


def is_locked(folder: Path) -> bool:
    """Whether a process works on the run."""
    return holder(folder / "journal") is not None
