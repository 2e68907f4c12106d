"""Runs that cannot learn end in progress or in one clear message, and never spin.

Each is the real command line on real files and a real model: `degenerate_cases` is the
table.  A run that went on for ever would fill its journal up to what a file may hold
here, and would so end with another code.
"""

from __future__ import annotations

import json
import re
from itertools import groupby
from pathlib import Path

import pytest

from onlinedpo.engine.fruitless import MOST
from onlinedpo.states.records import ProcessStarted, Sampled, Step
from tests.conftest import Count
from tests.crash.degenerate.degenerate import FUNCTIONS, Parts, begun
from tests.crash.degenerate.degenerate_cases import CASES, MORE, Case, given
from tests.engine.runs import records, steps
from tests.engine.scorers import module


@pytest.mark.parametrize(
    "case",
    [*CASES, *(pytest.param(case, marks=pytest.mark.slow) for case in MORE)],
    ids=lambda case: case.name,
)
def test_a_run_that_cannot_learn_says_so(
    case: Case, parts: Parts, tmp_path: Path, count: Count
) -> None:
    """With its exit code and one message, and again when it is resumed.

    The journal follows from what happened, there is an adapter only if a step was
    taken, and the number of batches without a step is bounded.
    """
    run, file = tmp_path / "run", tmp_path / "settings.json"
    file.write_text(json.dumps(given(case.settings, parts)))
    with module(tmp_path / "here", FUNCTIONS, "dull"):
        first = begun(run, "-c", file)
        assert first.code == case.code, first
        assert re.search(case.says, first.message or first.rest), first
        assert run.exists() == case.begins
        # No adapter is spoken of where there is none.
        assert case.steps or "the adapter is" not in first.hint
        if case.begins:
            must_be_sound(run, case)
            again = begun(run)
            assert again.code == case.code, again
            assert re.search(case.says, again.message or again.rest), again
            must_be_sound(run, case)
    count("degenerate runs", 1)


def must_be_sound(run: Path, case: Case) -> None:
    """Nothing was trained but in steps, and not for ever tried."""
    assert len(steps(run)) == case.steps
    assert (run / "adapters").exists() == bool(case.steps)
    assert bool([*(run / "checkpoints").iterdir()]) == bool(case.steps)
    size = int({"batch_size": 1, **case.settings}["batch_size"])
    assert longest_without_a_step(run) <= (MOST + 2) * size


def longest_without_a_step(run: Path) -> int:
    """The most pairs that were sampled in a row by one process without a step."""
    kinds = [
        type(r) for r in records(run) if isinstance(r, ProcessStarted | Step | Sampled)
    ]
    rows = groupby(kinds, key=lambda kind: kind is Sampled)
    return max((sum(1 for _ in row) for sampled, row in rows if sampled), default=0)
