"""Killed at any instant, a run goes on as if nothing had happened (promise 1).

The quick tier kills a toy run at every named point.  `pytest -m slow tests/crash` kills
the demo run at 30 random moments, and the toy at the first, middle and last time that
each point is reached, for each way of training.
"""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.processes import final_bytes, killed, onlinedpo, start
from tests.toys import prompts_file, toy_model

WAYS = {
    "plain": ("--save-every", "1"),
    "dropout": (
        "--save-every",
        "1",
        "--lora-parameters",
        "{rank: 4, dropout: 0.1, scale: 2.0}",
    ),
    "sparse": (
        "--save-every",
        "3",
        "--lora-parameters",
        "{rank: 4, dropout: 0.1, scale: 2.0}",
    ),
}


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The arguments of a short run on a toy."""
    folder = tmp_path_factory.mktemp("toy")
    model = toy_model(folder / "model", opinionated=True)
    data = prompts_file(folder / "data", 10, held_out=3)
    return (
        *("--model", str(model), "--judge", str(model), "--data", str(data)),
        *("--judge-orders", "1", "--iters", "7", "--batch-size", "3"),
        *("--max-completion-length", "8", "--learning-rate", "1e-4"),
        *("--steps-per-eval", "4"),
    )


@pytest.fixture(scope="module")
def reference(
    toy: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[dict[str, str], Counter[str]]]:
    """For each way: what an uninterrupted run leaves, and the points it passes."""
    found = {}
    for way, flags in WAYS.items():
        folder = tmp_path_factory.mktemp(way)
        points = folder / "points"
        ended = onlinedpo("run", folder / "run", *toy, *flags, crash=f"list:{points}")
        assert ended.code == 0, ended.output
        passed = Counter(points.read_text().split())
        found[way] = (final_bytes(folder / "run"), passed)
    return found


Reference = dict[str, tuple[dict[str, str], Counter[str]]]

# Every name that `reached` is given, wherever it stands.
POINTS = (
    "000001.odj.write",
    "000001.odj.rename",
    "config.yaml.write",
    "config.yaml.rename",
    "journal.append",
    "journal.sync",
    "state.move",
    "checkpoint.adapters.safetensors",
    "checkpoint.optimizer.safetensors",
    "checkpoint.manifest",
    "checkpoint.sync",
    "checkpoint.prune",
    "folder.rename",
    "folder.sync",
    "adapters.rename",
    "adapter_config.json.write",
    "adapter_config.json.rename",
    "metrics.jsonl.write",
    "metrics.jsonl.rename",
)


def test_the_list_of_points_is_complete(reference: Reference) -> None:
    """A run passes every point that is listed here, and no other."""
    assert set(POINTS) == set(reference["plain"][1])


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_point_a_run_resumes_to_the_same_bytes(
    point: str, toy: tuple[str, ...], reference: Reference, tmp_path: Path
) -> None:
    """Killed half-way at this point, then resumed, a run ends like one left alone."""
    expected, passed = reference["dropout"]
    kill_and_resume(
        tmp_path / "run", (*toy, *WAYS["dropout"]), point, (passed[point] + 1) // 2
    )

    assert expected == final_bytes(tmp_path / "run")


@pytest.mark.parametrize(
    "times",
    [
        11,
        pytest.param(4, marks=pytest.mark.slow),
        pytest.param(19, marks=pytest.mark.slow),
    ],
)
def test_sparse_checkpoints_resume_to_the_same_bytes(
    times: int, toy: tuple[str, ...], reference: Reference, tmp_path: Path
) -> None:
    """With a checkpoint every third step, the steps after it are applied again."""
    kill_and_resume(tmp_path / "run", (*toy, *WAYS["sparse"]), "journal.sync", times)

    assert reference["sparse"][0] == final_bytes(tmp_path / "run")


def test_a_run_without_its_checkpoints_is_rebuilt_from_the_journal(
    toy: tuple[str, ...], reference: Reference, tmp_path: Path
) -> None:
    """With the checkpoints deleted half-way, and again at the end, nothing is lost."""
    run = tmp_path / "run"
    ended = onlinedpo("run", run, *toy, *WAYS["dropout"], crash="folder.sync@4")
    assert killed(ended), ended.output
    shutil.rmtree(run / "checkpoints")
    ended = onlinedpo("run", run)
    assert ended.code == 0, ended.output
    assert "re-applying steps 1 to 3" in ended.output
    assert reference["dropout"][0] == final_bytes(run)

    shutil.rmtree(run / "checkpoints")
    shutil.rmtree(run / "adapters")
    ended = onlinedpo("run", run)
    assert ended.code == 0, ended.output

    assert reference["dropout"][0] == final_bytes(run)


def test_a_torn_frame_is_cut_told_and_kept(
    toy: tuple[str, ...], reference: Reference, tmp_path: Path
) -> None:
    """A frame cut short by a crash is set aside, also if the repair crashes too."""
    run = tmp_path / "run"
    assert killed(
        onlinedpo("run", run, *toy, *WAYS["dropout"], crash="journal.append@9")
    )
    segment = run / "journal" / "000001.odj"
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-5])
    assert killed(onlinedpo("run", run, crash="tail.cut@1"))
    segment.write_bytes(segment.read_bytes() + b"garbage")

    ended = onlinedpo("run", run)

    assert ended.code == 0, ended.output
    assert "torn tail: 7 bytes" in ended.output
    kept = sorted((run / "quarantine").iterdir())
    assert len(kept) == 2
    assert {k.read_bytes() for k in kept} >= {b"garbage"}
    assert reference["dropout"][0] == final_bytes(run)


def test_killed_at_random_moments_a_run_resumes_to_the_same_bytes(
    toy: tuple[str, ...], reference: Reference, tmp_path: Path
) -> None:
    """However often the process is killed, and whenever, the end is the same."""
    run, chance = tmp_path / "run", random.Random(7)
    arguments = ("run", str(run), *toy, *WAYS["dropout"])
    kills = sum(kill_after(chance.randrange(8_000), run, arguments) for _ in range(5))
    ended = onlinedpo(*arguments)

    assert ended.code == 0, ended.output
    assert kills >= 3
    assert reference["dropout"][0] == final_bytes(run)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_killed_whenever_a_point_is_reached(
    way: str, toy: tuple[str, ...], reference: Reference, tmp_path: Path
) -> None:
    """Killed at the first, middle and last passing of every point, the end is equal."""
    expected, passed = reference[way]
    for point, count in sorted(passed.items()):
        for times in sorted({1, (count + 1) // 2, count}):
            run = tmp_path / f"{point}-{times}"
            kill_and_resume(run, (*toy, *WAYS[way]), point, times)
            assert expected == final_bytes(run), (point, times)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_the_demo_killed_at_thirty_random_moments(way: str, tmp_path: Path) -> None:
    """The demo, killed 30 times at random moments, ends with the same bytes."""
    flags = ("--demo", *WAYS[way])
    ended = onlinedpo("run", tmp_path / "whole", *flags)
    assert ended.code == 0, ended.output
    run, chance = tmp_path / "killed", random.Random(way)
    arguments = ("run", str(run), *flags)
    # Its journal is about 1.7 MB long in the end.
    kills = sum(kill_after(chance.randrange(80_000), run, arguments) for _ in range(30))
    ended = onlinedpo(*arguments)

    assert ended.code == 0, ended.output
    assert kills == 30
    assert final_bytes(tmp_path / "whole") == final_bytes(run)


def kill_after(growth: int, run: Path, arguments: tuple[str, ...]) -> bool:
    """Kill the run once its journal has grown so far; False if it ended before."""

    def length() -> int:
        return sum(path.stat().st_size for path in run.glob("journal/*.odj"))

    before = length()
    process = start(*arguments)
    while process.poll() is None and length() < before + growth:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    output, _ = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), output
    return process.returncode == -signal.SIGKILL


def kill_and_resume(
    run: Path, arguments: tuple[str, ...], point: str, times: int
) -> None:
    """Die at the point, then go on with the same command until the end."""
    died = onlinedpo("run", run, *arguments, crash=f"{point}@{times}")
    assert killed(died), died.output
    ended = onlinedpo("run", run, *arguments)
    assert ended.code == 0, ended.output
