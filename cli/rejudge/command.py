"""`onlinedpo rejudge`: a run's pairs under another judge or rubric, beside the old."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import click

from onlinedpo.cli.inspect import journal_of
from onlinedpo.cli.options import SettingsCommand, add_settings, given
from onlinedpo.cli.rejudge import rejudged, rejudged_text
from onlinedpo.cli.run import stopping_on_signals
from onlinedpo.cli.terminal import say, say_json
from onlinedpo.states.errors import UsageError
from onlinedpo.states.settings.judging import JudgingSettings

F = TypeVar("F", bound=Callable[..., Any])


def _judging_options(command: F) -> F:
    """Who is asked, and how: as in a run; the rubric comes in a file."""
    names = {field.name for field in fields(JudgingSettings)} - {"judge_system"}
    return add_settings(command, names, defaults=False)


@click.command(cls=SettingsCommand)
@click.argument("run_folder", metavar="RUN", type=Path)
@click.option(
    "--rubric", "rubric_file", type=Path, help="Text file with the rubric to judge by."
)
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    help="So many pairs, drawn by the run's seed: the same ones for every judge.",
)
@click.option(
    "--into",
    type=Path,
    help="Folder for the verdicts; default: one in RUN/rejudged for each judge, rubric"
    " and sample.",
)
@click.option("--flips", is_flag=True, help="Print all pairs that flipped.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with all flips.")
@_judging_options
def rejudge(
    run_folder: Path,
    rubric_file: Path | None,
    sample: int | None,
    into: Path | None,
    flips: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Judge the pairs of RUN again, by another judge or rubric, and compare.

    RUN is only read, also while it goes on; nothing is trained. The verdicts have a
    journal of their own, as a run does: status and show work on its folder. Give the
    same command again to go on after an interruption, or to see the table again: no
    pair is asked about twice.

    The judge is asked as in RUN, but for what is given here.

    With RUN's own judge and rubric it shows whether the verdicts come out again. Any
    judge will do that a run can have, but people: they are asked in the run itself.

    \b
    Examples:
      onlinedpo rejudge runs/mine --judge mlx-community/Qwen3-4B-4bit --sample 200
      onlinedpo rejudge runs/mine --rubric kinder.txt
      onlinedpo rejudge runs/mine --judge reward:Skywork/Skywork-Reward-V2-Qwen3-0.6B
      onlinedpo rejudge runs/mine --judge python:prefer:shorter
    """
    journal_of(run_folder)
    rubric = _text(rubric_file) if rubric_file else None
    # MLX is loaded from here on; --help does without it.
    from onlinedpo.cli.rejudge.progress import Progress
    from onlinedpo.engine.rejudge.rejudging import rejudge as judge_again
    from onlinedpo.engine.rejudge.request import Request

    watch = Progress()
    with stopping_on_signals(watch), watch:
        request = Request(rubric=rubric, sample=sample, into=into, **_asked(options))
        outcome = judge_again(run_folder, request, watch)
    done, wanted = outcome.done, outcome.wanted
    if done < wanted:
        watch.said(rejudged_text.stopped(run_folder, outcome.folder, done, wanted))
        return 130
    facts = rejudged.facts(run_folder, outcome.folder)
    if as_json:
        say_json(facts)
    else:
        say("\n".join(rejudged_text.lines(facts, whole=flips)))
    return 0


def _asked(options: Mapping[str, Any]) -> dict[str, Any]:
    """The judge, and how it is asked, as they were given."""
    how = given(options)
    return {"judge": how.pop("judge", None), "how": how}


def _text(path: Path) -> str:
    """The rubric in a file; raises `UsageError`."""
    hint = "A rubric is plain text, such as: Prefer the answer that is kinder."
    try:
        rubric = path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(f"{path} cannot be read: {reason}", hint=hint) from error
    if not rubric:
        raise UsageError(f"{path} holds no rubric", hint=hint)
    return rubric
