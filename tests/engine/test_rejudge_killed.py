"""Killed while it judges a run's pairs again, a process loses and repeats nothing.

Real processes die by SIGKILL; what goes on is asked for the same again, in this one.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.cli.rejudge import rejudged
from onlinedpo.engine.observer import Silent
from onlinedpo.engine.rejudge.rejudging import rejudge
from onlinedpo.engine.rejudge.request import Request
from onlinedpo.journal.reader import Reader
from onlinedpo.states.errors import OnlineDPOError
from onlinedpo.states.records import TailCut, Verdict
from tests.engine.polite import JUDGE, polite_run
from tests.engine.runs import records
from tests.processes import killed, onlinedpo, start


class Watch(Silent):
    """Watches nothing."""

    def judged(self, done: int, of: int) -> None:
        """Ignore it."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 40 pairs, which are judged two at a time."""
    return polite_run(tmp_path_factory.mktemp("killed") / "run", 40)


@pytest.fixture(scope="module")
def whole(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The verdicts of a process that was left alone."""
    folder = tmp_path_factory.mktemp("whole") / "verdicts"
    go_on(run, folder)
    moves = rejudged.facts(run, folder)["moves"]
    assert moves["same"] > 5 < moves["flipped"] and moves["now decided"] > 5
    return folder


def go_on(run: Path, folder: Path) -> None:
    """Judge all that has no verdicts."""
    outcome = rejudge(run, Request(judge=JUDGE, into=folder), Watch())
    assert outcome.done == outcome.wanted


def verdicts(folder: Path) -> list[Verdict]:
    """Those in the journal, which may end in half a frame, or not have begun."""
    try:
        found = list(Reader(folder / "journal").records())
    except OnlineDPOError:
        return []
    return [record for record in found if isinstance(record, Verdict)]


def table(run: Path, folder: Path) -> dict[str, Any]:
    """All that the command tells, but for times and places."""
    told = rejudged.facts(run, folder)
    del told["folder"]
    for which in ("old", "new"):
        del told[which]["cost"]["seconds"]
    return told


def nothing_is_lost_or_asked_twice(run: Path, whole: Path, folder: Path) -> None:
    """Go on, and compare with the one that was left alone."""
    before = [(v.ticket, v.shown, v.time) for v in verdicts(folder)]

    go_on(run, folder)

    found = verdicts(folder)
    asked = Counter((v.ticket, v.shown) for v in found)
    assert set(asked.values()) == {1}
    assert asked == Counter((v.ticket, v.shown) for v in verdicts(whole))
    # What had been judged was not asked about again.
    assert [(v.ticket, v.shown, v.time) for v in found][: len(before)] == before
    assert table(run, folder) == table(run, whole)


@pytest.mark.parametrize(
    ("point", "some"),
    [
        pytest.param("000001.odj.rename@1", False, marks=pytest.mark.slow),
        pytest.param("journal.append@1", False, marks=pytest.mark.slow),
        pytest.param("config.yaml.write@1", False, marks=pytest.mark.slow),
        pytest.param("journal.append@9", True, marks=pytest.mark.slow),
        ("journal.sync@9", True),
    ],
)
def test_killed_at_a_point_it_goes_on_with_the_next_pair(
    point: str, some: bool, run: Path, whole: Path, tmp_path: Path
) -> None:
    """Before its first frame, within one, and between two."""
    folder = tmp_path / "verdicts"
    died = onlinedpo("rejudge", run, "--judge", JUDGE, "--into", folder, crash=point)
    assert killed(died), died.output

    assert (0 < len(verdicts(folder)) < len(verdicts(whole))) == some
    nothing_is_lost_or_asked_twice(run, whole, folder)


def test_killed_half_way_at_any_moment_it_asks_about_no_pair_twice(
    run: Path, whole: Path, tmp_path: Path
) -> None:
    """Once its journal has grown so far: each pair has its verdicts once in the end."""
    folder = tmp_path / "verdicts"
    process = start("rejudge", run, "--judge", JUDGE, "--into", folder)
    while process.poll() is None and length(folder) < length(whole) / 3:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    output, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, output

    assert 0 < len(verdicts(folder)) < len(verdicts(whole))
    nothing_is_lost_or_asked_twice(run, whole, folder)


def test_half_a_frame_is_kept_aside_and_told(
    run: Path, whole: Path, tmp_path: Path
) -> None:
    """As in any run; its pairs are judged, since their verdicts were not there."""
    folder = tmp_path / "verdicts"
    died = onlinedpo(
        *("rejudge", run, "--judge", JUDGE, "--into", folder), crash="journal.append@6"
    )
    assert killed(died), died.output
    segment = folder / "journal" / "000001.odj"
    segment.write_bytes(segment.read_bytes()[:-9])

    nothing_is_lost_or_asked_twice(run, whole, folder)

    (cut,) = [record for record in records(folder) if isinstance(record, TailCut)]
    assert (folder / cut.kept_as).stat().st_size == cut.size


def length(folder: Path) -> int:
    """Bytes in its journal."""
    return sum(path.stat().st_size for path in folder.glob("journal/*.odj"))
