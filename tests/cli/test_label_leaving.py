"""Leaving `onlinedpo label` in any way: the terminal comes back, no answer is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.labelling import Terminal, pair, waiting
from tests.processes import LINKS


def test_quit_gives_the_terminal_back(tmp_path: Path) -> None:
    """Its mode, its first screen and its cursor; and says how to go on."""
    run = waiting(tmp_path, pair(0), pair(1))

    with Terminal(run) as terminal:
        terminal.shows("Question 0?")
        assert terminal.mode_now() != terminal.mode
        terminal.press("1q")
        assert terminal.ended() == 0
        assert terminal.mode_now() == terminal.mode
        rest = terminal.output.rpartition("\x1b[?1049l")[2]
    assert "\x1b[?25h" in terminal.output
    assert "1 answer given, 1 left to label" in rest
    assert "onlinedpo run" in rest


def test_ctrl_c_and_the_end_of_input_give_it_back_too(tmp_path: Path) -> None:
    """All that was answered stays."""
    run = waiting(tmp_path, *map(pair, range(3)))

    ends = ((signal.SIGINT, 130), (signal.SIGTERM, 143), (None, 0))
    for pressed, (number, code) in enumerate(ends):
        with Terminal(run) as terminal:
            terminal.shows(f"Question {pressed}?")
            terminal.press("1")
            terminal.shows(f"{pressed + 1}/3 labelled")
            if number:
                terminal.process.send_signal(number)
            else:
                terminal.press("\x04")
            assert terminal.ended() == code
            assert terminal.mode_now() == terminal.mode
            assert "\x1b[?1049l" in terminal.output
            assert "Traceback" not in terminal.output
    assert run.choices() == ["1", "1", "1"]


def test_kill_9_once_the_next_pair_is_shown_loses_nothing(tmp_path: Path) -> None:
    """The answer was on the disk before."""
    run = waiting(tmp_path, *map(pair, range(3)))

    with Terminal(run) as terminal:
        for n, key in enumerate("12"):
            terminal.shows(f"Question {n}?")
            terminal.press(key)
        terminal.shows("Question 2?")
        terminal.process.kill()
        terminal.process.wait()
    assert run.choices() == ["1", "2", ""]


@pytest.mark.parametrize(("point", "choice"), [("write", ""), ("rename", "1")])
def test_the_next_pair_is_not_shown_before_the_answer_is_saved(
    point: str, choice: str, tmp_path: Path
) -> None:
    """Killed while it saves, the old file or the new one is there, whole."""
    run = waiting(tmp_path, pair(0), pair(1))
    crash = f"{run.todo(0).name}.{point}@1"

    with Terminal(run, ONLINEDPO_CRASH=crash) as terminal:
        terminal.shows("Question 0?")
        terminal.press("1")
        assert terminal.ended() == -signal.SIGKILL
        assert "Question 1?" not in terminal.output
    assert run.choices() == [choice, ""]


def test_what_could_not_be_saved_is_asked_again(tmp_path: Path) -> None:
    """With a full disk the pair stays, the reason is told, and nothing is changed."""
    run = waiting(tmp_path, pair(0), pair(1))
    before = run.todo(0).read_bytes()
    command = f"{sys.executable} -m onlinedpo.cli label {tmp_path}"

    # No file may grow: writing fails as it does on a full disk.
    done = subprocess.run(
        ["bash", "-c", f"ulimit -f 0; exec {command}"],
        env={**os.environ, "PYTHONPATH": str(LINKS)},
        input=b"1",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=30,
    )

    told = done.stdout.decode()
    assert done.returncode == 0
    assert "not saved: File too large" in told and "Question 1?" not in told
    assert [path.name for path in sorted(run.todo(0).parent.iterdir())] == [
        run.todo(n).name for n in range(2)
    ]
    assert run.todo(0).read_bytes() == before
