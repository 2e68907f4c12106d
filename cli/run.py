"""`onlinedpo run`: start a run, or go on with one."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click

from onlinedpo.cli.options import SettingsCommand, settings_options
from onlinedpo.cli.sources import sources, together, translations
from onlinedpo.states.errors import UsageError

DEMO_RUN = Path("runs/demo")


@click.command(cls=SettingsCommand)
@click.argument("run_folder", metavar="[RUN]", required=False, type=Path)
@click.option("--demo", is_flag=True, help="Train the small model that is included.")
@click.option(
    "-c", "--config", "config_file", type=Path, help="YAML or JSON file with settings."
)
@click.option(
    "--no-wait",
    is_flag=True,
    help="Leave with exit code 3 where only people can go on.",
)
@click.option(
    "--dry-run",
    "dry",
    is_flag=True,
    help="Sample and judge one batch, show it, and write nothing.",
)
@settings_options
def run(
    run_folder: Path | None,
    demo: bool,
    config_file: Path | None,
    no_wait: bool,
    dry: bool,
    **options: Any,
) -> int:
    """Start the run in folder RUN, or go on with it where it was.

    To go on, RUN is all that is needed. Settings are taken from the flags, then from
    the --config file, then from RUN/config.yaml, then from the defaults.

    Ctrl-C leaves after the operation at hand, a second one at once; either way the run
    goes on exactly where it was.

    \b
    Examples:
      onlinedpo run --demo
      onlinedpo run runs/mine --model mlx-community/Qwen3-0.6B-4bit --data prompts.jsonl
      onlinedpo run runs/mine --iters 300
      onlinedpo run --dry-run --demo
    """
    if run_folder is None and not (demo or dry):
        raise UsageError(
            "no run folder is given",
            hint="Try: onlinedpo run --demo, or: onlinedpo run runs/mine --help",
        )
    found = sources(demo, config_file, options)
    wanted = together(found)
    # MLX is loaded from here on; --help and status do without it.
    from onlinedpo.cli.dry_run import show
    from onlinedpo.cli.progress import Progress
    from onlinedpo.engine.loop import run as train

    folder = run_folder or DEMO_RUN
    watch = Progress(folder)
    with stopping_on_signals(watch), watch:
        for line in translations(found, "'onlinedpo config' says why"):
            watch.said(line)
        if dry:
            return show(run_folder, wanted, watch)
        ledger = train(folder, wanted, watch, patient=not no_wait)
    watch.summary(ledger)
    return 130 if watch.asked_to_stop() else 0


@contextmanager
def stopping_on_signals(watch: Any) -> Iterator[None]:
    """First signal: leave after the operation at hand.  Second: leave at once."""

    def stop(number: int, frame: FrameType | None) -> None:
        if watch.asked_to_stop():
            # All that was acknowledged is on the disk: only the cursor is to be shown
            # again, which the live view had hidden.
            if sys.stdout.isatty():
                sys.stdout.write("\x1b[?25h\n")
                sys.stdout.flush()
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        watch.stop()

    before = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
