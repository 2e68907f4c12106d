"""`onlinedpo label`: answer label files in the terminal, one key for each pair."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from onlinedpo.cli.inspect import is_locked, journal_of
from onlinedpo.cli.terminal import say
from onlinedpo.journal.label_folder import LabelFolder, run_name
from onlinedpo.journal.reader import Reader
from onlinedpo.states.errors import UsageError


@click.command()
@click.argument("run_folder", metavar="RUN", type=Path)
@click.option(
    "--annotator",
    metavar="NAME",
    default="",
    help="Your name, kept with each answer.  [default: the owner of the file saved]",
)
def label(run_folder: Path, annotator: str) -> None:
    """Label the pairs that wait for people in the run in folder RUN.

    The label files in RUN/labels are filled in, as an editor would do it: the run may
    work meanwhile or not. Each answer is on the disk before the next pair is shown.

    \b
    Keys:
      1 2       response 1 or 2 is better, and on to the next pair
      3 4       the same, strongly (or ! and @)
      t b s     tie, both bad, skip
      u         undo: back to the pair before, and so on
      n         note, kept with the answer
      d         show which words differ
      g ?       guidelines, help
      space p   page down and up
      q         quit

    \b
    Examples:
      onlinedpo label runs/mine
      onlinedpo label runs/mine --annotator anna
      printf '12t' | onlinedpo label runs/mine
    """
    journal = journal_of(run_folder)
    labels = run_folder / "labels"
    if not (labels / "todo").is_dir():
        raise UsageError(
            f"{run_folder} has no label files",
            hint="A run makes them once it asks people: see human_share,"
            " escalate_below and judge in onlinedpo run --help.",
        )
    LabelFolder(labels).check()
    # A person's name is one line of the label file.
    annotator = " ".join(annotator.split())
    # Loaded here, so that other commands start without it.
    from onlinedpo.cli.label.desk import LabelDesk
    from onlinedpo.cli.label.keys import Keys
    from onlinedpo.cli.label.screen import Screen
    from onlinedpo.cli.label.session import Session

    # Leave by way of the blocks below, which put the terminal back.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    reader = Reader(journal)
    standing = reader.fold()
    run = run_name(reader.position.run) if reader.position else ""
    desk = LabelDesk(labels, standing, run, annotator)
    with Keys() as keys, Screen() as screen:
        session = Session(run_folder, desk, keys, screen, lambda: is_locked(run_folder))
        session.work()
    say(session.farewell())
