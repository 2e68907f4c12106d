"""`onlinedpo show`: the whole life of one pair, with all evidence."""

from __future__ import annotations

from pathlib import Path

import click

from onlinedpo.cli.inspect import journal_of
from onlinedpo.cli.story import fate
from onlinedpo.cli.story import words as story
from onlinedpo.cli.story.saved_files import lies
from onlinedpo.cli.terminal import say
from onlinedpo.journal import codec
from onlinedpo.journal.reader import Reader
from onlinedpo.states.lineage import Lineage
from onlinedpo.states.records import Record, Vote
from onlinedpo.states.selection import tickets_of


@click.command()
@click.argument("run_folder", metavar="RUN", type=Path)
@click.argument("pair", metavar="PAIR")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one record a line.")
def show(run_folder: Path, pair: str, as_json: bool) -> None:
    """Show the whole life of one pair, with the raw evidence of each verdict.

    PAIR is the pair's name, as errors and metrics give it (000042-9c1f0a77), or just
    its number (42).

    \b
    Example:
      onlinedpo show runs/demo 42
    """
    ticket = fate.ticket_of(pair)
    lineage, life = Lineage(tickets=[ticket]), list[Record]()
    for place, batch in Reader(journal_of(run_folder)).batches():
        with place.named():
            for record in batch:
                lineage.take(place.number, record)
                if ticket in tickets_of(record):
                    life.append(record)
    fate.must_be(pair, fate.name_of(lineage, ticket), run_folder)
    if as_json:
        say("\n".join(story.as_json(codec.as_map(record)) for record in life))
        return
    say("\n".join(fate.lines(lineage)))
    for record in life:
        say("\n" + story.told(record, ticket))
        if isinstance(record, Vote):
            say(f"  {lies(run_folder, record)}")
