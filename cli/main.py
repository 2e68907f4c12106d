"""The `onlinedpo` command.  Errors become text and exit codes here, and only here."""

from __future__ import annotations

import io
import sys
from importlib.metadata import version
from typing import NoReturn

import click

from onlinedpo.cli.agreement import agreement
from onlinedpo.cli.audit.command import audit
from onlinedpo.cli.config import config
from onlinedpo.cli.diff import diff
from onlinedpo.cli.export.command import export
from onlinedpo.cli.fork import fork
from onlinedpo.cli.inspect import status
from onlinedpo.cli.journal import journal
from onlinedpo.cli.label.command import label
from onlinedpo.cli.rejudge.command import rejudge
from onlinedpo.cli.rewind import rewind
from onlinedpo.cli.run import run
from onlinedpo.cli.runs import runs
from onlinedpo.cli.story.replay import replay
from onlinedpo.cli.story.show import show
from onlinedpo.cli.story.trace import trace
from onlinedpo.journal import disk_errors
from onlinedpo.states.errors import OnlineDPOError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("onlinedpo"), prog_name="onlinedpo")
def cli() -> None:
    """Online DPO on MLX: sample, judge, train, and go on after any interruption.

    \b
    Examples:
      onlinedpo run --demo
      onlinedpo run runs/mine --model mlx-community/Qwen3-0.6B-4bit --data prompts.jsonl
      onlinedpo run runs/mine                (goes on where it was)
      onlinedpo status runs/mine
    """


cli.add_command(run)
cli.add_command(config)
cli.add_command(status)
cli.add_command(runs)
cli.add_command(show)
cli.add_command(replay)
cli.add_command(trace)
cli.add_command(label)
cli.add_command(rewind)
cli.add_command(rejudge)
cli.add_command(fork)
cli.add_command(diff)
cli.add_command(export)
cli.add_command(agreement)
cli.add_command(audit)
cli.add_command(journal)


def main() -> None:
    """Run the command line; the entry point of the installed program."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Whatever a model wrote, and whatever a path holds, can then be printed.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        sys.exit(cli(prog_name="onlinedpo", standalone_mode=False) or 0)
    except OnlineDPOError as error:
        _leave(error)
    except OSError as error:
        _leave(disk_errors.told(error))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.Exit as left:
        sys.exit(left.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("onlinedpo: stopped; the run goes on where it was", err=True)
        sys.exit(130)


def _leave(error: OnlineDPOError) -> NoReturn:
    """End with what was wrong, what to do, and its exit code."""
    click.echo(f"onlinedpo: {error}", err=True)
    if error.hint:
        click.echo(f"  {error.hint}", err=True)
    sys.exit(error.exit_code)
