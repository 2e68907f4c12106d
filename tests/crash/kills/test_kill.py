"""Killed at any instant, a run goes on as if nothing had happened (promise 1).

Real processes on real MLX die by SIGKILL: at every named point, before and in the midst
of changes of files, and at random moments.  After each kill the journal still holds all
that it held and all that was told, and the end is that of a run left alone, to the
byte.  `pytest -m slow tests/crash` does so more than a thousand times, in three ways of
training, and with the demo.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from subprocess import TimeoutExpired

import pytest

from tests.conftest import Count
from tests.crash.kills.kills import (
    Death,
    Killed,
    at_change,
    at_moment,
    at_point,
    killed_often,
    passed,
)
from tests.crash.kills.points import (
    EVERY,
    OF_A_REPAIR,
    OF_A_RUN,
    general,
    in_the_program,
    matches,
)
from tests.processes import begin, final_bytes, killed, onlinedpo, start
from tests.toys import prompts_file, toy_model

DROPOUT = ("--lora-parameters", "{rank: 4, dropout: 0.1, scale: 2.0}")
WAYS = {
    "plain": ("--save-every", "1"),
    "dropout": ("--save-every", "1", *DROPOUT),
    "sparse": ("--save-every", "3", *DROPOUT),
}


@dataclass(frozen=True)
class Alone:
    """A run that was left alone: what it left, and the points that it passed."""

    arguments: tuple[str, ...]
    left: dict[str, str]
    points: Counter[str]


Way = Callable[[str], Alone]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Way:
    """A short run on a toy for each way of training, made when it is asked for."""
    folder = tmp_path_factory.mktemp("toy")
    model = str(toy_model(folder / "model", opinionated=True))
    data = str(prompts_file(folder / "data", 10, held_out=3))
    toy = (
        *("--model", model, "--judge", model, "--data", data, "--judge-orders", "1"),
        *("--iters", "5", "--batch-size", "3", "--max-completion-length", "6"),
        *(
            "--learning-rate",
            "1e-4",
            "--steps-per-eval",
            "4",
            "--steps-per-report",
            "1",
        ),
    )

    @cache
    def ended(way: str) -> Alone:
        at, arguments = folder / way, (*toy, *WAYS[way])
        done = onlinedpo("run", at, *arguments, crash=f"list:{folder / 'points'}")
        assert done.code == 0, done.output
        points = passed(folder / "points")
        (folder / "points").unlink()
        return Alone(arguments, final_bytes(at), points)

    return ended


def test_each_named_point_of_the_program_is_one_at_which_processes_are_killed() -> None:
    """The tables of points leave none out; the tests below hold themselves to them."""
    patterns = in_the_program()
    assert len(patterns) > 14
    for pattern in patterns:
        assert any(matches(point, pattern) for point in EVERY), f"{pattern} is left out"
    for point in EVERY:
        assert any(matches(point, p) for p in patterns), f"{point} is no more"


def killed_run(alone: Alone, place: Path) -> Callable[[int], Killed]:
    """Runs like this one, that are to be killed."""
    return lambda number: Killed(place / f"run{number}", *alone.arguments)


def deaths_at(points: Counter[str], chance: random.Random) -> Iterator[Death]:
    """One at each point, in an order by lot: the first time it is passed, or later."""
    names = sorted(points)
    chance.shuffle(names)
    # What a run passes but once comes first, while there is a run that has not begun.
    for name in sorted(names, key=lambda name: points[name] > 1):
        yield at_point(name, chance.randint(1, min(3, max(1, points[name] // 5))))


def killed_at_each(alone: Alone, place: Path, chance: random.Random) -> list[str]:
    """Kill a run at each point, and another one where it had ended; returns where."""
    wanted, where = [*deaths_at(alone.points, chance)], list[str]()
    for number in range(len(wanted)):
        run = killed_run(alone, place)(number)
        while wanted and run.dies(wanted[0]):
            where.append(wanted.pop(0).crash.split("@")[0])
        run.ends_like(alone.left)
        if not wanted:
            break
    return where


def test_killed_at_every_point_a_run_ends_like_one_left_alone(
    alone: Way, tmp_path: Path, count: Count
) -> None:
    """At each point that it passes, and there is no point that is not listed."""
    left_alone = alone("dropout")
    assert set(left_alone.points) == OF_A_RUN

    where = killed_at_each(left_alone, tmp_path, random.Random(0))

    assert set(where) == OF_A_RUN
    count("kills at named points", len(where))


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_changes_of_files_a_run_ends_like_one_left_alone(
    seed: int, alone: Way, tmp_path: Path, count: Count
) -> None:
    """Before any of them, and in the midst of what is written."""
    chance, kills, left_alone = random.Random(seed), 15, alone("dropout")
    runs = killed_run(left_alone, tmp_path)
    killed_often(kills, runs, lambda: at_change(chance, 70), left_alone.left)
    count("kills at changes of files", kills)


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_random_moments_a_run_ends_like_one_left_alone(
    seed: int, alone: Way, tmp_path: Path, count: Count
) -> None:
    """However often the process is killed, and whenever, the end is the same."""
    chance, kills, left_alone = random.Random(seed), 15, alone("dropout")
    runs = killed_run(left_alone, tmp_path)
    killed_often(kills, runs, lambda: at_moment(chance), left_alone.left)
    count("kills at random moments", kills)


def test_a_process_that_was_started_as_users_do_is_killed(
    alone: Way, tmp_path: Path, count: Count
) -> None:
    """At a point, and from outside; one left alone ends with the same bytes as all."""
    run, left_alone = tmp_path / "run", alone("dropout")
    died = start("run", run, *left_alone.arguments, crash="folder.rename@2")
    output, _ = died.communicate(timeout=600)
    assert died.returncode == -9, output
    died = start("run", run)
    while died.poll() is None and not (run / "checkpoints" / "step-000003").exists():
        with suppress(TimeoutExpired):
            died.wait(0.01)
    died.kill()
    died.communicate(timeout=600)
    ended = start("run", run)
    output, _ = ended.communicate(timeout=600)

    assert ended.returncode == 0, output
    assert final_bytes(run) == left_alone.left
    count("kills of plain processes", 2)


@pytest.mark.parametrize(
    "times",
    [
        11,
        pytest.param(4, marks=pytest.mark.slow),
        pytest.param(19, marks=pytest.mark.slow),
    ],
)
def test_sparse_checkpoints_resume_to_the_same_bytes(
    times: int, alone: Way, tmp_path: Path, count: Count
) -> None:
    """With a checkpoint every third step, the steps after it are applied again."""
    run = killed_run(alone("sparse"), tmp_path)(0)
    assert run.dies(at_point("journal.sync", times))
    run.ends_like(alone("sparse").left)
    count("kills at named points", 1)


def test_a_run_without_its_checkpoints_is_rebuilt_from_the_journal(
    alone: Way, tmp_path: Path
) -> None:
    """With the checkpoints deleted half-way, and again at the end, nothing is lost."""
    run, left_alone = tmp_path / "run", alone("dropout")
    ended = onlinedpo("run", run, *left_alone.arguments, crash="folder.sync@4")
    assert killed(ended), ended.output
    shutil.rmtree(run / "checkpoints")
    ended = onlinedpo("run", run)
    assert ended.code == 0, ended.output
    assert "re-applying steps 1 to 3" in ended.output
    assert left_alone.left == final_bytes(run)

    shutil.rmtree(run / "checkpoints")
    shutil.rmtree(run / "adapters")
    ended = onlinedpo("run", run)
    assert ended.code == 0, ended.output

    assert left_alone.left == final_bytes(run)


def test_a_torn_frame_is_cut_told_and_kept(
    alone: Way, tmp_path: Path, count: Count
) -> None:
    """A frame cut short by a crash is set aside, also if the repair crashes too."""
    run, left_alone = tmp_path / "run", alone("dropout")
    died = onlinedpo("run", run, *left_alone.arguments, crash="journal.append@9")
    assert killed(died), died.output
    segment = run / "journal" / "000001.odj"
    segment.write_bytes(segment.read_bytes()[:-5])
    # Each time at another point of the repair.
    points = tmp_path / "points"
    copy = shutil.copytree(run, tmp_path / "copy")
    assert onlinedpo("run", copy, crash=f"list:{points}").code == 0
    repair = {name for name in passed(points) if general(name) in OF_A_REPAIR}
    assert {*map(general, repair)} == OF_A_REPAIR
    for end in ("write", "rename", "cut"):
        (point,) = {name for name in repair if name.endswith(end)}
        died = onlinedpo("run", run, crash=f"{point}@1")
        assert killed(died), died.output
    segment.write_bytes(segment.read_bytes() + b"garbage")

    ended = onlinedpo("run", run)

    assert ended.code == 0, ended.output
    assert "torn tail: 7 bytes" in ended.output
    kept = sorted((run / "quarantine").iterdir())
    assert len(kept) == 2
    assert {k.read_bytes() for k in kept} >= {b"garbage"}
    assert left_alone.left == final_bytes(run)
    count("kills at named points", 1 + len(repair))


# -- the slow tier -----------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_killed_whenever_a_point_is_reached(
    way: str, alone: Way, tmp_path: Path, count: Count
) -> None:
    """Killed at the first, middle and last passing of every point, the end is equal."""
    left_alone, kills = alone(way), 0
    for point, times in sorted(left_alone.points.items()):
        for number in sorted({1, (times + 1) // 2, times}):
            run = Killed(tmp_path / f"{point}-{number}", *left_alone.arguments)
            assert run.dies(at_point(point, number)), (point, number)
            run.ends_like(left_alone.left)
            kills += 1
    count("kills at named points", kills)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 14))
@pytest.mark.parametrize("way", WAYS)
def test_killed_hundreds_of_times_a_run_ends_like_one_left_alone(
    way: str, seed: int, alone: Way, tmp_path: Path, count: Count
) -> None:
    """At changes of files and at random moments, in turn."""
    chance, kills, left_alone = random.Random(seed), 90, alone(way)

    def death() -> Death:
        if chance.random() < 0.5:
            return at_change(chance, 100)
        return at_moment(chance)

    killed_often(kills, killed_run(left_alone, tmp_path), death, left_alone.left)
    count("kills at changes of files and at random moments", kills)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_the_demo_killed_at_thirty_random_moments(
    way: str, tmp_path: Path, count: Count
) -> None:
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
    count("kills of the demo", kills)


def kill_after(growth: int, run: Path, arguments: tuple[str, ...]) -> bool:
    """Kill the run once its journal has grown so far; False if it ended before."""

    def length() -> int:
        return sum(path.stat().st_size for path in run.glob("journal/*.odj"))

    before, child = length(), begin(*arguments)
    try:
        while child.lives(0.001) and length() < before + growth:
            pass
        child.kill()
        ended = child.ended()
    finally:
        child.close()
    assert ended.code in (0, -9), ended.output
    return killed(ended)


def kill_and_resume(
    run: Path, arguments: tuple[str, ...], point: str, times: int
) -> None:
    """Die at the point, then go on with the same command until the end."""
    died = onlinedpo("run", run, *arguments, crash=f"{point}@{times}")
    assert killed(died), died.output
    ended = onlinedpo("run", run, *arguments)
    assert ended.code == 0, ended.output
