"""`onlinedpo replay`: the story of a run in order, also while it is written."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from onlinedpo.cli.inspect import is_locked, journal_of
from onlinedpo.cli.story import fate
from onlinedpo.cli.story.replay_train import must_be_alone, train_again
from onlinedpo.cli.story.telling import Event, Teller
from onlinedpo.cli.terminal import say, write
from onlinedpo.journal import codec
from onlinedpo.journal.following import Following
from onlinedpo.journal.reader import Reader
from onlinedpo.states.errors import JournalError, UsageError
from onlinedpo.states.lifecycle import Phase
from onlinedpo.states.records import Sampled, Step
from onlinedpo.states.selection import Selection, tickets_of

PERIOD = 0.5
"""Seconds between two looks at a journal that is followed."""

STATES = [phase.value for phase in Phase if phase is not Phase.QUEUED]


@click.command()
@click.argument("run_folder", metavar="RUN", type=Path)
@click.option("--pair", metavar="PAIR", help="Of one pair: its name or number.")
@click.option("--prompt", metavar="N", type=int, help="Of prompt N of the data.")
@click.option("--state", type=click.Choice(STATES), help="That move a prompt there.")
@click.option("--step", metavar="N", type=int, help="Of the pairs of step N.")
@click.option(
    "--source",
    type=click.Choice(["judge", "human", "file"]),
    help="Verdicts, answers and labels of this source.",
)
@click.option(
    "--kind",
    type=click.Choice([*codec.KINDS]),
    metavar="KIND",
    multiple=True,
    help="Of this kind, as --json names it; may be given again.",
)
@click.option("--to", metavar="N", type=int, help="Only until step N was taken.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one event a line.")
@click.option(
    "--train", is_flag=True, help="Make the adapter again, from the journal alone."
)
@click.option(
    "--into", type=Path, help="Where --train puts it.  [default: RUN-replayed]"
)
@click.option("--model", help="Where the base model lies now, for --train.")
def replay(
    run_folder: Path,
    follow: bool,
    as_json: bool,
    train: bool,
    into: Path | None,
    model: str | None,
    **asked: Any,
) -> None:
    """Tell the story of run RUN in order, one line an event, also while it works.

    A line has the time, the number of the frame in the journal, the pair and what
    happened. Filters may be combined: all that are given have to hold. With --to it
    ends with where every prompt stood then. A step that was taken again, after a
    rewind, counts where it was taken last. --follow ends with Ctrl-C.

    --train tells no story. It takes the steps again (up to --to), from the base model
    and the journal alone, compares each with its record, and writes adapter and
    optimizer to a new folder. On the CPU they come out equal to the byte, or the exit
    code is 5; elsewhere it says from which step on they differ, and by how much.

    \b
    Examples:
      onlinedpo replay runs/demo --pair 42
      onlinedpo replay runs/demo --step 12 --kind verdict --kind label
      onlinedpo replay runs/demo --state dropped --json
      onlinedpo replay runs/demo --follow
      onlinedpo replay runs/demo --train
    """
    if train or into or model:
        given = {**asked, "follow": follow or None, "to": None}
        must_be_alone(train, [n for n, v in given.items() if v not in (None, ())])
        train_again(run_folder, into, to=asked["to"], model=model, as_json=as_json)
        return
    journal_of(run_folder)
    if follow and not (asked["step"] is None and asked["to"] is None):
        raise UsageError(
            "--step and --to ask for what was, --follow for what comes",
            hint="Leave one of them out.",
        )
    selection, last = _selection(run_folder, asked)
    teller = Teller(selection, write, as_json=as_json)
    events = _as_it_grows(run_folder) if follow else _until_now(run_folder)
    if asked["pair"] is not None:
        events = _of_pair(events, asked["pair"], run_folder)
    _tell(events, teller, last)
    if not teller.told:
        say(f"no event of {run_folder} is as was asked for", err=True)


def _tell(events: Iterator[Event], teller: Teller, last: int) -> None:
    """Tell of all events, or of those until the last that is wanted."""
    try:
        for event in events:
            teller.take(event)
            if event.number == last:
                write(teller.standing() + "\n")
                break
    except KeyboardInterrupt:
        # So one stops to follow; of the run there is nothing to say.
        raise click.exceptions.Exit(130) from None
    finally:
        sys.stdout.flush()


def _selection(folder: Path, asked: dict[str, Any]) -> tuple[Selection, int]:
    """What is asked for, and the event at which to end; 0: none."""
    pair, last = asked["pair"], 0
    tickets = None if pair is None else {fate.ticket_of(pair)}
    if asked["step"] is not None:
        of_step, _ = _taken(folder, asked["step"])
        tickets = of_step if tickets is None else tickets & of_step
    if asked["to"] is not None:
        _, last = _taken(folder, asked["to"])
    selection = Selection(
        tickets=tickets,
        prompt=asked["prompt"],
        phase=Phase(asked["state"]) if asked["state"] else None,
        source=asked["source"] or "",
        kinds={codec.KINDS[kind] for kind in asked["kind"]},
    )
    return selection, last


def _taken(folder: Path, index: int) -> tuple[set[int], int]:
    """The pairs of a step, and its event, of the last time if there are several.

    The journal is read once for this, and once more to tell of what came before.
    """
    tickets: set[int] = set()
    steps = last = 0
    damaged = True
    # Whoever tells the story comes upon damage again, and says so there.
    with suppress(JournalError):
        for event in _events(Reader(journal_of(folder))):
            if isinstance(event.record, Step):
                steps = event.record.index
                if steps == index:
                    tickets.update(event.record.tickets)
                    last = event.number
        damaged = False
    if not last and not damaged:
        raise fate.not_taken(index, steps)
    return tickets, last


def _events(reader: Reader, number: int = 0) -> Iterator[Event]:
    for place, batch in reader.batches():
        for record in batch:
            number += 1
            yield Event(place, number, record)


def _until_now(folder: Path) -> Iterator[Event]:
    """All events that are there; raises `UsageError` where there is none."""
    reader, event = Reader(journal_of(folder)), None
    for event in _events(reader):
        yield event
    if event is None:
        raise _not_begun(folder)
    if reader.tail and not is_locked(folder):
        say(
            f"{reader.tail.path.name}: {len(reader.tail.data)} bytes at byte"
            f" {reader.tail.offset} are half a frame that a killed process left; the"
            " next run cuts them off and keeps them",
            err=True,
        )


def _as_it_grows(folder: Path) -> Iterator[Event]:
    """All events that are there and all that come; says so where nobody writes."""
    reader, number, alone = Following(journal_of(folder)), 0, False
    while True:
        before = number
        for event in _events(reader, number):
            number = event.number
            yield event
        if not number:
            raise _not_begun(folder)
        sys.stdout.flush()
        if number > before:
            alone = False
        elif not alone and not is_locked(folder):
            alone = True
            say(
                f"nobody works on {folder} now; what comes next is awaited"
                " (Ctrl-C ends)",
                err=True,
            )
        time.sleep(PERIOD)


def _of_pair(events: Iterator[Event], pair: str, folder: Path) -> Iterator[Event]:
    """The same events; raises `UsageError` if none is of a pair of this name."""
    ticket, name = fate.ticket_of(pair), ""
    for event in events:
        if not name and ticket in tickets_of(event.record):
            record = event.record
            name = record.pair if isinstance(record, Sampled) else f"{ticket:06d}"
            fate.must_be(pair, name, folder)
        yield event
    fate.must_be(pair, name, folder)


def _not_begun(folder: Path) -> UsageError:
    return UsageError(
        f"{folder} has not begun: there is no event in its journal yet",
        hint=f"Start it with: onlinedpo run {folder}",
    )
