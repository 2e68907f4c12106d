"""The n-th look at a run's files fails, for n = 1, 2, ... until none is left to fail.

To open a file, to list a folder, to ask what bears a name, and to read a file's bytes:
what cannot be read this once is not taken for damaged, torn, absent or empty.  The
quick tier takes some of the looks, `pytest -m slow tests/crash` each of them.
"""

from __future__ import annotations

import itertools
import os
import resource
from contextlib import suppress

import pytest

from tests.conftest import Count
from tests.crash.io_errors.commands import Ended, command
from tests.crash.io_errors.failing import EACH, READS, NthRead
from tests.crash.io_errors.place import Place, Stopped
from tests.journal import kit

LOOKS = [(how, False) for how in READS] + [("EIO", True)]
"""What fails, and whether that is only the reading of a file's bytes."""


def test_some_files_that_cannot_be_read_are_not_taken_for_none(
    place: Place, stopped: Stopped, count: Count
) -> None:
    """Nor for damaged, torn or empty ones."""
    tried = 0
    for number, (how, reading) in enumerate(LOOKS):
        for lasting in (False, True):
            by = 9 if reading else 47
            some = EACH[3 * number % by :: by]
            tried += _unreadable(place, stopped, how, lasting, reading, some)
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
    stopped: Stopped,
    count: Count,
) -> None:
    """Each opened file, listed folder and name that is looked for, one by one."""
    tried = _unreadable(place, stopped, how, lasting, reading, EACH)
    assert tried > (20 if reading else 80)
    count("failed looks at a run", tried)


def _unreadable(
    place: Place, stopped: Stopped, how: str, lasting: bool, reading: bool, which: range
) -> int:
    run = place.run
    there = kit.recorded(stopped.folder / "journal")
    checkpoints = {path.name for path in stopped.folder.glob("checkpoints/step-*")}

    def nothing_is_put_aside(ended: Ended) -> None:
        assert kit.recorded(run / "journal")[: len(there)] == there
        aside = {path.name[:11] for path in run.glob("quarantine/step-*")}
        assert not aside, "a checkpoint that cannot be read may be sound"
        if not ended.acknowledged:
            now = {path.name for path in run.glob("checkpoints/step-*")}
            assert now >= checkpoints - {"step-000003"}

    looks = (NthRead(run, n, how, lasting=lasting, reading=reading) for n in which)
    return place.sweep(looks, stopped, nothing_is_put_aside)


def test_a_limit_of_open_files_is_told(
    place: Place, stopped: Stopped, count: Count
) -> None:
    """The system itself refuses: one file fewer each time, down to none at all."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    codes = []
    for room in range(0, 12):
        run = place.begin(stopped)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (_limit(room), hard))
            ended = command("run", run, *place.settings)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        place.outlived(ended, NthRead.codes, stopped)
        codes.append(ended.code)
        if ended.code == 0:
            break
    assert codes[0] == 11 and codes[-1] == 0
    count("limits of open files", len(codes))


def _limit(room: int) -> int:
    """The limit below which so many descriptors are free."""
    listed = map(int, os.listdir("/dev/fd"))
    used = {number for number in listed if _is_open(number)}
    free = (number for number in itertools.count() if number not in used)
    return next(itertools.islice(free, room, None))


def _is_open(number: int) -> bool:
    """Not so for the one that the folder was listed with."""
    with suppress(OSError):
        os.fstat(number)
        return True
    return False
