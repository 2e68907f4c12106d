"""Killed at any instant, a run goes on as if nothing had happened (promise 1).

Real processes on real MLX die by SIGKILL: at every named point, before and in the midst
of changes of files, and at random moments.  After each kill the journal still holds all
that it held and all that was told, and the end is that of a run left alone, to the
byte.  `pytest -m slow tests/crash` does so more than a thousand times, in three ways of
training, and with the demo.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from subprocess import TimeoutExpired

import pytest

from tests.conftest import Count
from tests.crash.kills.alone import WAYS, Alone, Way
from tests.crash.kills.kills import (
    Death,
    Killed,
    at_change,
    at_moment,
    at_point,
    killed_often,
)
from tests.crash.kills.points import (
    EVERY,
    OF_A_RUN,
    in_the_program,
    matches,
)
from tests.processes import begin, final_bytes, killed, onlinedpo, start


def test_each_named_point_of_the_program_is_one_at_which_processes_are_killed() -> None:
    """The tables of points leave none out; the tests here hold themselves to them."""
    patterns = in_the_program()
    assert len(patterns) > 14
    for pattern in patterns:
        assert any(matches(point, pattern) for point in EVERY), f"{pattern} is left out"
    for point in EVERY:
        assert any(matches(point, p) for p in patterns), f"{point} is no more"


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
    for run in itertools.islice(alone.to_be_killed(place), len(wanted)):
        while wanted and run.dies(wanted[0]):
            where.append(wanted.pop(0).point)
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


DEATHS: dict[str, Callable[[random.Random], Death]] = {
    "changes of files": lambda chance: at_change(chance, 70),
    "random moments": at_moment,
}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("at", DEATHS)
def test_killed_at_any_instant_a_run_ends_like_one_left_alone(
    at: str, seed: int, alone: Way, tmp_path: Path, count: Count
) -> None:
    """Before changes, in the midst of what is written, and whenever; however often."""
    chance, kills, left_alone = random.Random(seed), 15, alone("dropout")
    runs = left_alone.to_be_killed(tmp_path)
    killed_often(kills, runs, lambda: DEATHS[at](chance), left_alone.left)
    count(f"kills at {at}", kills)


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

    killed_often(kills, left_alone.to_be_killed(tmp_path), death, left_alone.left)
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

    before = length()
    with closing(begin(*arguments)) as child:
        while child.lives(0.001) and length() < before + growth:
            pass
        child.kill()
        ended = child.ended()
    assert ended.code in (0, -9), ended.output
    return killed(ended)
