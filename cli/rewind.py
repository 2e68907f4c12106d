"""`onlinedpo rewind`: back to an earlier step, to train on what came after again."""

from __future__ import annotations

from pathlib import Path

import click

from onlinedpo.cli import words
from onlinedpo.cli.inspect import journal_of
from onlinedpo.cli.terminal import say


@click.command()
@click.argument("run_folder", metavar="RUN", type=Path)
@click.option("--to", type=int, required=True, help="The last step that is to stand.")
def rewind(run_folder: Path, to: int) -> None:
    """Go back to just after a step, to train on the later pairs again.

    The same pairs come in the same batches, each with the label that people give it
    now: so a label corrected after its pair was trained on counts. Nothing is sampled
    again, and nothing is erased from the journal.

    \b
    Example:
      onlinedpo rewind runs/mine --to 40
      onlinedpo run runs/mine
    """
    journal_of(run_folder)
    from onlinedpo.engine.observer import Silent
    from onlinedpo.engine.run_folder import RunFolder
    from onlinedpo.engine.start import take_up
    from onlinedpo.journal.rewinding import rewind as go_back

    with take_up(RunFolder(run_folder), Silent()) as journal:
        done = go_back(journal, to)
    say(words.rewound_text(run_folder, to, done.undone, done.corrected))
