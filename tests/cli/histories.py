"""Runs with a history: a model judged, or people, and steps were taken again."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from onlinedpo.cli.main import cli
from tests.people.kit import Parts, Person, in_a_hurry, nothing
from tests.people.runs import back, correct, work
from tests.toys import prompts_file, toy_model

RAW = "ann\x1b[31m"
"""An annotator who would colour the terminal."""


def judged_run(folder: Path) -> Path:
    """Two steps on two pairs each, judged by a model in one order."""
    model = str(toy_model(folder / "model", opinionated=True))
    data = str(prompts_file(folder / "data", 6, held_out=2))
    wanted: Parts = {"model": model, "judge": model, "data": data, "judge_orders": 1}
    size: Parts = {
        "iters": 2,
        "batch_size": 2,
        "max_completion_length": 8,
        "val_prompts": 2,
    }
    work(folder / "run", **wanted, **size)
    return folder / "run"


def rewound_run(folder: Path) -> Path:
    """Three steps, a late correction of pair 1, a rewind to the beginning, four steps.

    Pairs 0 to 2 are in step 1, 3 to 5 in step 2, and so on; people judged all of them.
    """
    model = toy_model(folder / "model")
    settings: Parts = {"model": str(model), "data": str(prompts_file(folder / "data"))}
    run = folder / "run"
    with in_a_hurry():
        work(run, Person(stop_after=2, annotator=RAW), **settings, judge="human")
        correct(run, 1)
        work(run, Person(annotator="bea"))
        back(run, 0)
        work(run, Person(nothing), iters=3)
        work(run, Person(annotator="bea"), iters=4)
    return run


def asked(*arguments: str | Path) -> str:
    """What the command line prints, in this process; its errors are raised."""
    done = CliRunner().invoke(cli, [*map(str, arguments)])
    if done.exception:
        raise done.exception
    return done.stdout
