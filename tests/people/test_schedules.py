"""Nothing that a person saved is lost, whatever editors and power cuts do."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.people.schedules import LOSSES, MEMORY, play

MANY = 10_000
QUICK = 600
AT_ONCE = 50


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder of real files, in memory where there is such a drive."""
    if not os.access(MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


def play_all(place: Path, first: int, many: int) -> Counter[str]:
    """Play so many schedules and count what happened in them."""
    counts: Counter[str] = Counter()
    for seed in range(first, first + many):
        folder = place / str(seed)
        folder.mkdir()
        try:
            counts += play(folder, seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    return counts


@pytest.mark.parametrize("first", range(0, QUICK, AT_ONCE))
def test_random_editors_lose_nothing(place: Path, first: int) -> None:
    """Every settled version is in the journal and in a file, and labels follow it."""
    counts = play_all(place, first, AT_ONCE)
    assert counts["schedules"] == AT_ONCE
    # All that can go wrong has its part in each fifty.
    for what in ("saves", "versions", "restarts", "power cuts", "races", "events"):
        assert counts[what] > 0, f"no {what}"
    assert counts["steps"] > 0 and counts["late answers"] > 0


@pytest.mark.parametrize("loss", LOSSES)
def test_events_only_hasten(place: Path, loss: float) -> None:
    """The schedules of each kind of loss hear as many events as they should."""
    kind = LOSSES.index(loss)
    counts: Counter[str] = Counter()
    for seed in range(kind, 60, len(LOSSES)):
        folder = place / str(seed)
        folder.mkdir()
        counts += play(folder, seed)
    assert (counts["events"] > 0) == (loss < 1.0)
    assert counts["versions"] > 20


@pytest.mark.slow
@pytest.mark.parametrize("first", range(QUICK, MANY, 200))
def test_ten_thousand_schedules_lose_nothing(place: Path, first: int) -> None:
    """The same for the rest; `python -m tests.people.schedules` prints the counts."""
    assert play_all(place, first, 200)["versions"] > 0
