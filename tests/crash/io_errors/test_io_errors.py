"""The n-th call fails, for n = 1, 2, ... until none is left to fail.

Calls that write, sync, name and remove are made to fail in this process, at the one
module through which they go; the numerics are hashes, all else is the program, from its
command line on.  The quick tier takes some of the calls, `pytest -m slow tests/crash`
each of them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Count
from tests.crash.io_errors.commands import Ended, command, is_told, is_whole, sweep
from tests.crash.io_errors.failing import CHANGES, CTRL_C, SHORT, Nth
from tests.crash.io_errors.place import SETTINGS, Place, hashed_runs
from tests.journal import kit


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Runs that cost nothing."""
    with hashed_runs(tmp_path_factory.mktemp("runs")) as runs:
        yield runs


# -- calls that change ------------------------------------------------------------

WAYS = [(how, lasting) for how in (*CHANGES, SHORT) for lasting in (False, True)]
WAYS += [("close", False), ("close", True), (CTRL_C, False)]


def test_some_failing_calls_lose_nothing(place: Place, count: Count) -> None:
    """In every way that a call can fail, though not each call in each way."""
    tried = 0
    for number, (how, lasting) in enumerate(WAYS):
        by = 9 if how == SHORT else 37
        tried += _fail(place, how, lasting, first=1 + 2 * number % by, by=by)
    assert tried > 60
    count("failed calls that change a run", tried)


@pytest.mark.slow
@pytest.mark.parametrize(("how", "lasting"), WAYS)
def test_no_failing_call_loses_anything(
    how: str, lasting: bool, place: Place, count: Count
) -> None:
    """Each call of a run, once and for good, until no fault fires."""
    tried = _fail(place, how, lasting)
    assert tried > (50 if how == SHORT else 150)
    count("failed calls that change a run", tried)


def _fail(place: Place, how: str, lasting: bool, *, first: int = 1, by: int = 1) -> int:
    codes = {0, 11}
    if lasting:
        # A labels folder that fails is waited for, until somebody leaves.
        codes |= {130}
    if how == "EINTR":
        # No error of a disk: Python makes such a call again by itself.
        codes |= {1}
    if how == CTRL_C:
        codes = {130}
    if how == SHORT and not lasting:
        codes = {0}

    def tried(n: int) -> bool:
        run, fault = place.begin(), Nth(n, how, lasting)
        ended = command("run", run, *SETTINGS, fault=fault)
        if not fault.fired:
            return False
        told = f"{how}{' for good' if lasting else ''} from call {n}: {fault.what}"
        try:
            is_told(ended, run, codes)
            is_whole(run, ended)
            assert not _synced_again(fault), "a failed sync is never tried again"
            place.goes_on(ended)
        except AssertionError as error:
            error.add_note(f"{told}\n{ended.out}{ended.err}")
            raise
        return True

    return sweep(tried, first=first, by=by)


def _synced_again(fault: Nth) -> list[Path]:
    """Files synced again, and folders: but for those of labels.

    Their drive may come back, and what lies there is journalled before it is moved.
    """
    of_people = ("labels", "todo", "done", "inbox")
    return [path for path in fault.synced_again() if path.name not in of_people]


# -- runs that are made of another ------------------------------------------------

MADE = (("fork", "RUN", "NEW"), ("journal", "salvage", "RUN", "NEW"))


@pytest.mark.parametrize("words", MADE)
def test_some_failing_calls_leave_no_half_of_a_new_run(
    words: tuple[str, ...], place: Place, count: Count
) -> None:
    """It appears whole or not at all, and the run that it is made of is left alone."""
    tried = _half(place, words, "EIO", lasting=False, first=3, by=7)
    tried += _half(place, words, "ENOSPC", lasting=True, first=5, by=7)
    assert tried > 5
    count("failed calls that make a run of another", tried)


@pytest.mark.slow
@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("how", CHANGES)
@pytest.mark.parametrize("words", MADE)
def test_no_failing_call_leaves_half_of_a_new_run(
    words: tuple[str, ...], how: str, lasting: bool, place: Place, count: Count
) -> None:
    """Each call in turn."""
    tried = _half(place, words, how, lasting=lasting)
    assert tried > 20
    count("failed calls that make a run of another", tried)


def _half(
    place: Place,
    words: tuple[str, ...],
    how: str,
    *,
    lasting: bool,
    first: int = 1,
    by: int = 1,
) -> int:
    source, beside = place.folder / "whole", place.folder / "beside"
    before = _files(source)

    def tried(n: int) -> bool:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        names = {"RUN": str(source), "NEW": str(beside / "new")}
        arguments = [names.get(word, word) for word in words]
        fault = Nth(n, how, lasting)
        ended = command(*arguments, fault=fault)
        if not fault.fired:
            return False
        try:
            is_told(ended, place.folder, (0, 1, 11) if how == "EINTR" else (0, 11))
            is_whole(beside / "new", Ended(0, "", ""))
            assert _files(source) == before
            # What the failure came after is there already, and is whole.
            there = (beside / "new").exists()
            assert command(*arguments).code == (2 if there else 0)
            assert kit.recorded(beside / "new" / "journal")
        except AssertionError as error:
            error.add_note(f"{how} at {fault.what}\n{ended.out}{ended.err}")
            raise
        return True

    return sweep(tried, first=first, by=by)


def _files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
