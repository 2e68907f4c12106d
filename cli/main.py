"""The `onlinedpo` command.  Errors become text and exit codes here, and only here."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

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
from onlinedpo.cli.terminal import say
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


class _Output(io.FileIO):
    """Standard output, whose errors say that it is that."""

    def write(self, data: Any, /) -> int:
        """Write some of it; raises OSError, and from then on writes nothing."""
        try:
            with disk_errors.naming(Path("standard output")):
                return int(super().write(data) or 0)
        except OSError:
            # Else Python would try what is left again when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            raise


def main() -> None:
    """Run the command line; the entry point of the installed program."""
    _open_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        if sys.stdout is sys.__stdout__:
            sys.stdout = io.TextIOWrapper(
                io.BufferedWriter(_Output(1, "w", closefd=False)),
                encoding=sys.stdout.encoding,
                line_buffering=sys.stdout.line_buffering,
            )
        # Whatever a model wrote, and whatever a path holds, can then be printed.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        sys.exit(cli(prog_name="onlinedpo", standalone_mode=False) or 0)
    except OnlineDPOError as error:
        _leave(error)
    except OSError as error:
        _leave(disk_errors.told(error))
    except click.ClickException as error:
        # It may quote what was typed.
        shown = io.StringIO()
        error.show(shown)
        say(shown.getvalue().rstrip("\n"), err=True)
        sys.exit(error.exit_code)
    except click.exceptions.Exit as left:
        sys.exit(left.exit_code)
    except (click.Abort, KeyboardInterrupt):
        say("onlinedpo: stopped; the run goes on where it was", err=True)
        sys.exit(130)


def _leave(error: OnlineDPOError) -> NoReturn:
    """End with what was wrong, what to do, and its exit code."""
    # Where even that cannot be printed, the code says it.
    with suppress(OSError):
        say(f"onlinedpo: {error}", err=True)
        if error.hint:
            say(f"  {error.hint}", err=True)
    sys.exit(error.exit_code)


def _open_streams() -> None:
    """Let nothing be read from, or printed to, a stream that was closed (`>&-`).

    Else a file of a run gets its number, and what any library prints goes into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # It gets the lowest number that is free: this one.
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))
