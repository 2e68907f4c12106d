"""`onlinedpo fork`: a new run from another, from a step of it or under other labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onlinedpo.cli.inspect import journal_of
from onlinedpo.cli.options import SettingsCommand, given, settings_options
from onlinedpo.cli.terminal import say
from onlinedpo.cli.words import safe
from onlinedpo.states.errors import UsageError

if TYPE_CHECKING:
    from onlinedpo.engine.fork import Forked, Labels


@click.command(cls=SettingsCommand)
@click.argument("run_folder", metavar="RUN", type=Path)
@click.argument("new_folder", metavar="NEW", type=Path)
@click.option("--at", type=int, help="The step to begin from.  [default: the last one]")
@click.option(
    "--labels",
    type=click.Choice(["same", "rejudged", "human"]),
    default="same",
    help="Take all steps again under other labels: another judge's, or people's.",
)
@click.option(
    "--rejudged",
    type=Path,
    help="Whose: a folder that 'onlinedpo rejudge' wrote.  [default: the only one below"
    " RUN/rejudged]",
)
@settings_options
def fork(
    run_folder: Path,
    new_folder: Path,
    at: int | None,
    labels: Labels,
    rejudged: Path | None,
    **options: Any,
) -> None:
    """Make a new run NEW that begins as RUN did; RUN may be at work.

    NEW stands after step --at of RUN, with the same adapter and optimizer, and goes on
    as RUN would, or with the settings that are given here. They count from there on:
    what the steps before were taken with stays.

    With --labels, NEW is to take RUN's steps again from the start, on the same pairs
    in the same batches, but as another judge (rejudged) or people (human) label them:
    what would the model have learned then? Pairs without a winner leave their batch;
    what RUN had dropped and has a winner now joins the batch that was next. It stops
    after the last of them; with more --iters it goes on under the new judge.

    \b
    Examples:
      onlinedpo fork runs/mine runs/faster --at 40 --learning-rate 1e-4
      onlinedpo fork runs/mine runs/other-judge --labels rejudged
      onlinedpo run runs/faster
    """
    journal_of(run_folder)
    if labels != "same" and at is not None:
        raise UsageError(
            f"--labels {labels} begins with the first step again, and not at step {at}",
            hint="Leave --at out.",
        )
    if rejudged and labels != "rejudged":
        raise UsageError(
            f"--rejudged {rejudged} is not used with --labels {labels}",
            hint="Add: --labels rejudged",
        )
    if labels == "rejudged":
        rejudged = rejudged or _only_one(run_folder)
        journal_of(rejudged)
    from onlinedpo.engine.fork import fork as make
    from onlinedpo.engine.run_folder import RunFolder

    done = make(
        RunFolder(run_folder),
        RunFolder(new_folder),
        given(options),
        at=at,
        labels=labels,
        rejudged=rejudged,
    )
    say(_text(run_folder, new_folder, done, labels))


def _only_one(run_folder: Path) -> Path:
    """The one folder with another judge's verdicts; raises `UsageError`."""
    found = sorted(
        path.parents[1] for path in run_folder.glob("rejudged/*/journal/000001.odj")
    )
    if not found:
        raise UsageError(
            f"no other judge has judged the pairs of {run_folder}",
            hint=f"Try: onlinedpo rejudge {run_folder} --judge MODEL",
        )
    if len(found) > 1:
        raise UsageError(
            f"several judges have judged the pairs of {run_folder}:"
            f" {', '.join(path.name for path in found)}",
            hint=f"Name one, for example: --rejudged {found[0]}",
        )
    return found[0]


def _text(run_folder: Path, new_folder: Path, done: Forked, labels: str) -> str:
    """What was made, and how to go on."""
    new, old = safe(str(new_folder)), safe(str(run_folder))
    go_on = f"go on with: onlinedpo run {new}"
    if labels == "same":
        kept = (
            "with its checkpoint"
            if done.checkpoint
            else "whose checkpoint is not kept: the next run takes the steps again from"
            " the journal"
        )
        lines = [f"{new} stands after step {done.step} of {old}, {kept}"]
        if done.step >= done.iters:
            go_on += f" --iters {done.step + 100}   (it has all its {done.iters} steps)"
    else:
        who = "people" if labels == "human" else "the other judge"
        lines = [
            f"{new} is to take the steps of {old} again, as {who} labelled its pairs:"
            f" {done.batches} batches",
            f"{done.corrected} pairs have another label than there"
            + (
                f"; {done.left_out} were not judged again and are left out"
                if done.left_out
                else ""
            ),
        ]
    if done.changed:
        values = ", ".join(
            f"{name} is {safe(str(value), width=60)}"
            for name, value in done.changed.items()
        )
        lines.append(f"from there on {values}")
    return "\n".join([*lines, go_on])
