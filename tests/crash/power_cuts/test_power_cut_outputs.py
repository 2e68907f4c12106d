"""The power fails while something is written out of a run: it is whole or absent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from onlinedpo.cli.main import cli
from onlinedpo.engine.rebuild import rebuild
from onlinedpo.engine.run_folder import RunFolder
from tests.conftest import Count
from tests.crash.calls import Calls, watched
from tests.crash.fuzzing.fuzz_made import GOLDEN
from tests.crash.power_cuts import simulated
from tests.crash.power_cuts.test_power_cut_forks import below, whole_or_absent
from tests.engine.runs import Listener, go_on
from tests.journal import kit
from tests.toys import prompts_file, toy_model


def test_an_adapter_that_is_made_again_is_whole_or_absent(
    tmp_path: Path, count: Count
) -> None:
    """Out of the journal of a real run, with its optimizer, in a new folder."""
    model, disk = str(toy_model(tmp_path / "toy")), tmp_path / "disk"
    data = str(prompts_file(tmp_path / "data"))
    go_on(disk / "run", model=model, judge=model, data=data, iters=1)
    before = simulated.read(disk)
    with watched() as calls:
        rebuild(RunFolder(disk / "run"), disk / "new", Listener(), to=None, model=None)
    assert len(below(simulated.read(disk), "new")) > 3
    tried = whole_or_absent(disk, before, calls)
    count("crash states of adapters made again", len(tried))


@pytest.mark.parametrize(
    ("format_", "name"),
    [
        ("jsonl", "pairs.jsonl"),
        ("parquet", "pairs.parquet"),
        ("datasets", "pairs"),
        ("mlx-lm-lora", "pairs"),
        ("inspect", "pairs.eval"),
    ],
)
def test_no_export_has_its_name_before_it_is_on_the_disk(
    format_: str, name: str, tmp_path: Path
) -> None:
    """Files are synced, then their folder; then it is renamed, and that is synced."""
    kit.put(tmp_path / "run" / "journal", kit.files(GOLDEN / "hybrid"))
    output = tmp_path / "out" / name
    output.parent.mkdir()
    with watched() as calls:
        words = ["export", tmp_path / "run", "--format", format_, "-o", output]
        cli([*map(str, words)], standalone_mode=False)
    ((renamed, source),) = _named(calls, output)
    before = [*_synced(calls, until=renamed)]
    for file in (output, *output.rglob("*")):
        assert source / file.relative_to(output) in before, file
    assert output.parent in [*_synced(calls, since=renamed)]


def _named(calls: Calls, output: Path) -> list[tuple[int, Path]]:
    """Where among the calls something was given this name, and what it was called."""
    made = enumerate(calls.made)
    return [(n, call.path) for n, call in made if call.to == output]


def _synced(calls: Calls, since: int = 0, until: int | None = None) -> Iterator[Path]:
    return (c.path for c in calls.made[since:until] if c.name == "sync")
