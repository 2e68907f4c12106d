"""Named points at which tests kill a process; nothing happens there otherwise."""

from __future__ import annotations

import os
import signal
from multiprocessing import get_context
from pathlib import Path

import pytest

from onlinedpo.journal.crashpoint import reached


def pass_twice(wanted: str, log: Path) -> None:
    """A process that passes a point two times, and says so each time."""
    os.environ["ONLINEDPO_CRASH"] = wanted
    for _ in range(2):
        reached("here")
        with log.open("a") as file:
            file.write("passed\n")


@pytest.mark.parametrize(
    ("wanted", "code", "passed"),
    [
        ("", 0, 2),
        ("there@1", 0, 2),
        ("here@3", 0, 2),
        ("here@1", -signal.SIGKILL, 0),
        ("here@2", -signal.SIGKILL, 1),
    ],
)
def test_a_process_is_killed_where_it_was_wished(
    wanted: str, code: int, passed: int, tmp_path: Path
) -> None:
    """At one point, the n-th time that it comes by, and not elsewhere."""
    log = tmp_path / "log"
    log.write_text("")
    process = get_context("spawn").Process(target=pass_twice, args=(wanted, log))
    process.start()
    process.join(60)
    assert process.exitcode == code
    assert log.read_text() == "passed\n" * passed


def test_the_points_that_are_passed_can_be_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a test knows them all."""
    log = tmp_path / "log"
    monkeypatch.setenv("ONLINEDPO_CRASH", f"list:{log}")
    for point in ("here", "there", "here"):
        reached(point)
    assert log.read_text() == "here\nthere\nhere\n"
    monkeypatch.setenv("ONLINEDPO_CRASH", "elsewhere@1")
    reached("here")
    assert log.read_text() == "here\nthere\nhere\n"
