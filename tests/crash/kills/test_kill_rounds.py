"""Killed at any instant, rounds and runs on offline pairs go on as if nothing was."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from onlinedpo.journal.audit.auditing import audit
from tests.conftest import Count
from tests.crash.kills.test_kill import kill_and_resume
from tests.processes import final_bytes, onlinedpo
from tests.toys import prompts_file, toy_model

pytestmark = pytest.mark.slow

WAYS = {
    "rounds": ("--pairs-per-round", "8"),
    "offline": ("--offline-pairs", "pairs.jsonl"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, prompts and pairs."""
    folder = tmp_path_factory.mktemp("toy")
    toy_model(folder / "model", opinionated=True)
    prompts_file(folder / "data", 10, held_out=3)
    rows = [
        {"prompt": f"Question {i}?", "chosen": f"Yes {i}", "rejected": "No, no"}
        for i in range(20)
    ]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return folder


@pytest.mark.parametrize("way", WAYS)
def test_killed_whenever_a_point_is_reached(
    way: str,
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    count: Count,
) -> None:
    """Killed half-way at every point, the end is equal to the byte."""
    monkeypatch.chdir(place)
    settings = (
        *("--model", "model", "--judge", "model", "--data", "data", *WAYS[way]),
        *("--judge-orders", "1", "--iters", "6", "--batch-size", "3"),
        *("--max-completion-length", "8", "--learning-rate", "1e-4"),
        *("--lora-parameters", "{rank: 4, dropout: 0.1, scale: 2.0}"),
        *("--steps-per-eval", "4", "--save-every", "2"),
    )
    points = tmp_path / "points"
    ended = onlinedpo("run", tmp_path / "whole", *settings, crash=f"list:{points}")
    assert ended.code == 0, ended.output
    expected = final_bytes(tmp_path / "whole")
    passed = Counter(points.read_text().split())
    for point, times in sorted(passed.items()):
        run = tmp_path / point
        kill_and_resume(run, settings, point, (times + 1) // 2)
        assert expected == final_bytes(run), point
        audit(run)
    count("kills at named points", len(passed))
