"""The n-th call fails, for n = 1, 2, ... until none is left to fail.

Calls that write, sync, name and remove are made to fail in this process, at the one
module through which they go; the numerics are hashes, all else is the program, from its
command line on.  The quick tier takes some of the calls, `pytest -m slow tests/crash`
each of them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.conftest import Count
from tests.crash.io_errors.commands import Ended, command, is_told, is_whole, sweep
from tests.crash.io_errors.failing import CHANGES, CTRL_C, EACH, SHORT, Nth
from tests.crash.io_errors.place import Place
from tests.journal import kit

# -- calls that change ------------------------------------------------------------

WAYS = [(how, lasting) for how in (*CHANGES, SHORT) for lasting in (False, True)]
WAYS += [("close", False), ("close", True), (CTRL_C, False)]


def test_some_failing_calls_lose_nothing(place: Place, count: Count) -> None:
    """In every way that a call can fail, though not each call in each way."""
    tried = 0
    for number, (how, lasting) in enumerate(WAYS):
        by = 9 if how == SHORT else 37
        some = EACH[2 * number % by :: by]
        tried += place.sweep(Nth(n, how, lasting) for n in some)
    assert tried > 60
    count("failed calls that change a run", tried)


@pytest.mark.slow
@pytest.mark.parametrize(("how", "lasting"), WAYS)
def test_no_failing_call_loses_anything(
    how: str, lasting: bool, place: Place, count: Count
) -> None:
    """Each call of a run, once and for good, until no fault fires."""
    tried = place.sweep(Nth(n, how, lasting) for n in EACH)
    assert tried > (50 if how == SHORT else 150)
    count("failed calls that change a run", tried)


# -- runs that are made of another ------------------------------------------------

MADE = (("fork", "RUN", "NEW"), ("journal", "salvage", "RUN", "NEW"))


@pytest.mark.parametrize("words", MADE)
def test_some_failing_calls_leave_no_half_of_a_new_run(
    words: tuple[str, ...], place: Place, count: Count
) -> None:
    """It appears whole or not at all, and the run that it is made of is left alone."""
    tried = _half(place, words, (Nth(n, "EIO") for n in EACH[2::7]))
    tried += _half(place, words, (Nth(n, "ENOSPC", True) for n in EACH[4::7]))
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
    tried = _half(place, words, (Nth(n, how, lasting) for n in EACH))
    assert tried > 20
    count("failed calls that make a run of another", tried)


def _half(place: Place, words: tuple[str, ...], faults: Iterable[Nth]) -> int:
    new, before = place.folder / "beside" / "new", _files(place.source)
    names = {"RUN": str(place.source), "NEW": str(new)}
    arguments = [names.get(word, word) for word in words]

    def given(fault: Nth) -> Ended:
        shutil.rmtree(new.parent, ignore_errors=True)
        new.parent.mkdir()
        return command(*arguments, fault=fault)

    def holds(fault: Nth, ended: Ended) -> None:
        # Nobody waits here.
        is_told(ended, place.folder, fault.codes - {130})
        is_whole(new, Ended(0, "", ""))
        assert _files(place.source) == before
        # What the failure came after is there already, and is whole.
        there = new.exists()
        assert command(*arguments).code == (2 if there else 0)
        assert kit.recorded(new / "journal")

    return sweep(faults, given, holds)


def _files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
