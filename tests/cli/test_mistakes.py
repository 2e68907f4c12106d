"""Every mistake costs one clear line: what, where, why and what to do, and its code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tables.bench import Bench
from tests.tables.errors import made, table
from tests.tables.mistakes import MISTAKES, Mistake


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """What a run needs, and a finished one."""
    return Bench(tmp_path_factory.mktemp("bench"))


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_costs_one_line_and_leaves_nothing_half_made(
    mistake: Mistake, bench: Bench, tmp_path: Path
) -> None:
    """The line says what and where, the next one what to do; no traceback, no folder.

    `python -m tests.tables.errors` prints what they say, as a table.
    """
    place = tmp_path / "place"

    told = made(mistake, bench, place)

    assert told.code == mistake.code, told
    assert mistake.says in told.message
    assert told.hint
    assert "Traceback" not in told.message + told.rest
    # A diff of settings has a line for each.
    diff = told.message.startswith("these settings")
    assert told.message.count("\n") == (1 if diff else 0)
    assert (place / "run").exists() == mistake.begins


def test_the_table_has_a_row_for_each(bench: Bench) -> None:
    """Names are there once; a cell is on one line."""
    names = [mistake.name for mistake in MISTAKES]
    assert len(set(names)) == len(names)

    head, rule, *rows = table(bench)

    assert head.count("|") == rule.count("|") == 5
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == names
    assert not any("\n" in row or str(bench.folder) in row for row in rows)
