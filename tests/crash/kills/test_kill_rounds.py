"""Killed at any instant, rounds and runs on offline pairs go on as if nothing was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Count
from tests.crash.kills.kills import Killed, at_point, passed
from tests.processes import final_bytes, onlinedpo
from tests.toys import toy_flags

pytestmark = pytest.mark.slow

Ways = dict[str, tuple[str, ...]]


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Ways:
    """A short run on a toy for each way of training."""
    folder = tmp_path_factory.mktemp("toy")
    rows = [
        {"prompt": f"Question {i}?", "chosen": f"Yes {i}", "rejected": "No, no"}
        for i in range(20)
    ]
    pairs = folder / "pairs.jsonl"
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    toy = toy_flags(
        folder,
        held_out=3,
        iters=6,
        batch_size=3,
        max_completion_length=8,
        learning_rate="1e-4",
        lora_parameters="{rank: 4, dropout: 0.1, scale: 2.0}",
        steps_per_eval=4,
        save_every=2,
    )
    return {
        "rounds": (*toy, "--pairs-per-round", "8"),
        "offline": (*toy, "--offline-pairs", str(pairs)),
    }


@pytest.mark.parametrize("way", ["rounds", "offline"])
def test_killed_whenever_a_point_is_reached(
    way: str, ways: Ways, tmp_path: Path, count: Count
) -> None:
    """Killed half-way at every point, the end is equal to the byte."""
    settings, points = ways[way], tmp_path / "points"
    ended = onlinedpo("run", tmp_path / "whole", *settings, crash=f"list:{points}")
    assert ended.code == 0, ended.output
    expected = final_bytes(tmp_path / "whole")
    for point, times in sorted(passed(points).items()):
        run = Killed(tmp_path / point, *settings)
        assert run.dies(at_point(point, (times + 1) // 2)), point
        run.ends_like(expected)
    count("kills at named points", len(passed(points)))
