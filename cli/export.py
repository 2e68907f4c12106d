"""`onlinedpo export`: what waits for people, as files that other programs load."""

from __future__ import annotations

from pathlib import Path

import click

from onlinedpo.cli import words
from onlinedpo.cli.inspect import journal_of
from onlinedpo.journal import disk
from onlinedpo.journal.reader import Reader
from onlinedpo.states import tasks
from onlinedpo.states.answers import sides
from onlinedpo.states.errors import UsageError
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.tasks import Task


@click.command()
@click.argument("run_folder", metavar="RUN", type=Path)
@click.option("--pending", is_flag=True, help="The pairs that wait for people.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(tasks.FORMATS),
    default="jsonl",
    show_default=True,
    help="The program that is to load them.",
)
@click.option(
    "-o", "--output", type=Path, help="File to write; default: standard output."
)
def export(run_folder: Path, pending: bool, format_: str, output: Path | None) -> None:
    """Write the pairs of run RUN that wait for people, for another program.

    Label them there, export them from there, and drop the file into RUN/labels/inbox:
    the format is recognised. For label-studio the labelling interface to set up first
    is written beside the tasks, as *.xml.

    \b
    Examples:
      onlinedpo export runs/mine --pending --format label-studio -o tasks.json
      onlinedpo export runs/mine --pending --format csv > pairs.csv
    """
    if not pending:
        raise UsageError(
            "it is not said what to export", hint="Give --pending: the pairs that wait."
        )
    waiting = pending_tasks(Reader(journal_of(run_folder)).fold())
    text = tasks.export(waiting, format_)
    if output is None:
        click.echo(text, nl=False)
        return
    if output.exists():
        raise UsageError(f"{output} exists", hint="Give another name, or remove it.")
    written = [output]
    disk.replace(output, text.encode())
    if format_ == "label-studio":
        written.append(output.with_suffix(".xml"))
        disk.replace(written[-1], tasks.LABEL_STUDIO_CONFIG.encode())
    click.echo(words.exported_line(len(waiting), written))


def pending_tasks(ledger: Ledger) -> list[Task]:
    """Every answer that is wanted of people, in the order it is shown in."""
    seed = int(ledger.settings.get("seed", 0))
    found = []
    for ask in ledger.open_asks():
        sampled = ledger.turns[ask.ticket].sampled
        assert sampled is not None
        one, two = sampled.first.text, sampled.second.text
        if sides(seed, ask) == "second-first":
            one, two = two, one
        found.append(Task(ask, sampled.messages, one, two))
    return found
