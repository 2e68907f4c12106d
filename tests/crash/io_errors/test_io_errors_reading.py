"""The n-th look at a run's files fails, for n = 1, 2, ... until none is left to fail.

To open a file, to list a folder, to ask what bears a name, and to read a file's bytes:
what cannot be read this once is not taken for damaged, torn, absent or empty.  The
quick tier takes some of the looks, `pytest -m slow tests/crash` each of them.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Count
from tests.crash.io_errors.commands import Ended, command, is_told, is_whole, sweep
from tests.crash.io_errors.failing import CTRL_C, READS, Nth, NthRead
from tests.crash.io_errors.place import SETTINGS, Place, hashed_runs
from tests.journal import kit

NEVER = 10**9


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Runs that cost nothing."""
    with hashed_runs(tmp_path_factory.mktemp("runs")) as runs:
        yield runs


@pytest.fixture(scope="module", params=["answers wait", "a step is not committed"])
def stopped(request: pytest.FixtureRequest, place: Place) -> tuple[Path, Ended]:
    """A run that was stopped, with a torn tail: its files are all to be read again."""
    all_calls = Nth(NEVER, "EIO")
    command("run", place.begin(), *SETTINGS, fault=all_calls)
    calls = [call for call, _ in all_calls.calls]
    if request.param == "answers wait":
        # The append of the second batch's answers, before their files are moved.
        done = [n for n, c in enumerate(calls) if c.to and c.to.parent.name == "done"]
        stop = max(n for n in range(done[2]) if _appends(calls[n]))
    else:
        last = next(n for n, c in enumerate(calls) if c.to and "step-000003" in str(c))
        stop = next(n for n in range(last, len(calls)) if _appends(calls[n]))
    ended = command("run", place.begin(), *SETTINGS, fault=Nth(stop + 1, CTRL_C))
    assert ended.code == 130
    kept = place.folder / f"stopped-{stop}"
    place.run.rename(kept)
    segment = max((kept / "journal").glob("*.odj"))
    with segment.open("ab") as file:
        file.write(b"half a frame")
    return kept, ended


def _appends(call: Any) -> bool:
    return bool(call.name == "write" and call.path.suffix == ".odj")


LOOKS = [(how, False) for how in READS] + [("EIO", True)]
"""What fails, and whether that is only the reading of a file's bytes."""


def test_some_files_that_cannot_be_read_are_not_taken_for_none(
    place: Place, stopped: tuple[Path, Ended], count: Count
) -> None:
    """Nor for damaged, torn or empty ones."""
    tried = 0
    for number, (how, reading) in enumerate(LOOKS):
        for lasting in (False, True):
            by = 9 if reading else 47
            first = 1 + 3 * number % by
            tried += _unreadable(
                place, stopped, how, lasting, reading, first=first, by=by
            )
    assert tried > 25
    count("failed looks at a run", tried)


@pytest.mark.slow
@pytest.mark.parametrize(("how", "reading"), LOOKS)
@pytest.mark.parametrize("lasting", [False, True])
def test_no_file_that_cannot_be_read_is_taken_for_none(
    how: str,
    reading: bool,
    lasting: bool,
    place: Place,
    stopped: tuple[Path, Ended],
    count: Count,
) -> None:
    """Each opened file, listed folder and name that is looked for, one by one."""
    tried = _unreadable(place, stopped, how, lasting, reading)
    assert tried > (20 if reading else 80)
    count("failed looks at a run", tried)


def _unreadable(
    place: Place,
    stopped: tuple[Path, Ended],
    how: str,
    lasting: bool,
    reading: bool,
    *,
    first: int = 1,
    by: int = 1,
) -> int:
    kept, before = stopped
    there = kit.recorded(kept / "journal")
    checkpoints = {path.name for path in kept.glob("checkpoints/step-*")}

    def tried(n: int) -> bool:
        run = place.begin(kept)
        reads = NthRead(run, n, how, lasting=lasting, reading=reading)
        ended = command("run", run, *SETTINGS, reads=reads)
        if not reads.fired:
            return False
        try:
            is_told(ended, run, (0, 11, 130))
            is_whole(run, ended)
            assert kit.recorded(run / "journal")[: len(there)] == there
            aside = {path.name[:11] for path in run.glob("quarantine/step-*")}
            assert not aside, "a checkpoint that cannot be read may be sound"
            if not ended.acknowledged:
                now = {path.name for path in run.glob("checkpoints/step-*")}
                assert now >= checkpoints - {"step-000003"}
            place.goes_on(before, ended)
        except AssertionError as error:
            error.add_note(f"{how} at {reads.where[:3]}\n{ended.out}{ended.err}")
            raise
        return True

    return sweep(tried, first=first, by=by)


def test_a_limit_of_open_files_is_told(
    place: Place, stopped: tuple[Path, Ended], count: Count
) -> None:
    """The system itself refuses: one file fewer each time, down to none at all."""
    kept, before = stopped
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    codes = []
    for room in range(0, 12):
        run = place.begin(kept)
        free = _free_descriptor()
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (free + room, hard))
            ended = command("run", run, *SETTINGS)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        is_told(ended, run, (0, 11, 130))
        is_whole(run, ended)
        place.goes_on(before, ended)
        codes.append(ended.code)
        if ended.code == 0:
            break
    assert codes[0] == 11 and codes[-1] == 0
    count("limits of open files", len(codes))


def _free_descriptor() -> int:
    with open("/dev/null") as file:
        return file.fileno()
