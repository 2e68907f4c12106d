"""`onlinedpo export`: the pairs of a run, as files that other programs load."""

from __future__ import annotations

from pathlib import Path

import click

from onlinedpo.cli import words
from onlinedpo.cli.export import exported
from onlinedpo.cli.export.pair_files import must_be_free
from onlinedpo.cli.inspect import journal_of
from onlinedpo.cli.terminal import put, say
from onlinedpo.journal import atomic
from onlinedpo.journal.reader import Reader
from onlinedpo.states.answers import sides
from onlinedpo.states.errors import UsageError
from onlinedpo.states.export import preferences
from onlinedpo.states.export.preferences import Style
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.people import tasks
from onlinedpo.states.people.tasks import Task

_BOTH = tuple(dict.fromkeys((*exported.FORMATS, *tasks.FORMATS)))


@click.command()
@click.argument("run_folder", metavar="RUN", type=Path)
@click.option(
    "--pending", is_flag=True, help="The pairs that wait for people, not the labelled."
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(_BOTH),
    default="jsonl",
    show_default=True,
    help=f"What is to load them: of labelled pairs {', '.join(exported.FORMATS)}; with"
    f" --pending {', '.join(tasks.FORMATS)}.",
)
@click.option(
    "--style",
    type=click.Choice(preferences.STYLES),
    help="Prompts and completions as messages or as texts; default: conversational."
    " With jsonl, parquet and datasets.",
)
@click.option(
    "-o",
    "--output",
    type=Path,
    help="File or folder to write; jsonl and --pending write to standard output else.",
)
def export(
    run_folder: Path,
    pending: bool,
    format_: str,
    style: Style | None,
    output: Path | None,
) -> None:
    """Write the labelled pairs of run RUN as preference data, for other trainers.

    Every pair with a winner is written once, with the label that it has now, trained
    on or not: in the columns prompt, chosen and rejected, as TRL's DPOTrainer reads
    them, and odpo_* (pair, step, margin, source, annotators ...). Pairs without a
    winner go, with the reason, to a file of their own beside it, *.undecided.*.

    datasets is a folder for load_from_disk, mlx-lm-lora one for its --data. inspect is
    what the model judge was asked and said, as a log for `inspect view`.

    With --pending: the pairs that wait for people, for another program. Label them
    there, export them from there, and drop the file into RUN/labels/inbox: the format
    is recognised. For label-studio the labelling interface to set up first is written
    beside the tasks, as *.xml.

    \b
    Examples:
      onlinedpo export runs/mine -o pairs.jsonl
      onlinedpo export runs/mine --format datasets --style plain -o pairs
      onlinedpo export runs/mine --format mlx-lm-lora -o data
      onlinedpo export runs/mine --format inspect -o judge.eval
      onlinedpo export runs/mine --pending --format label-studio -o tasks.json
      onlinedpo export runs/mine --pending --format csv > pairs.csv
    """
    _must_fit(pending, format_, style)
    journal = journal_of(run_folder)
    if not pending:
        exported.write(run_folder, journal, format_, style, output)
        return
    waiting = pending_tasks(Reader(journal).fold())
    text = tasks.export(waiting, format_)
    if output is None:
        put(text)
        return
    must_be_free(output)
    written = [output]
    atomic.replace(output, text.encode())
    if format_ == "label-studio":
        written.append(output.with_suffix(".xml"))
        atomic.replace(written[-1], tasks.LABEL_STUDIO_CONFIG.encode())
    say(words.exported_line(len(waiting), written))


def _must_fit(pending: bool, format_: str, style: Style | None) -> None:
    """Raise `UsageError` where options do not go together."""
    formats = tasks.FORMATS if pending else exported.FORMATS
    if format_ not in formats:
        whose = "labelled pairs" if pending else "pairs that wait for people"
        raise UsageError(
            f"--format {format_} is for {whose}",
            hint=f"{'With' if pending else 'Without'} --pending: {', '.join(formats)}.",
        )
    if style and (pending or format_ not in exported.STYLED):
        what = "--pending" if pending else f"--format {format_}"
        raise UsageError(
            f"--style does not go with {what}",
            hint=f"It goes with labelled pairs as {', '.join(exported.STYLED)}.",
        )


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
