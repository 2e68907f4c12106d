"""Output that goes to a full disk, to nobody, or nowhere: told, and no traceback."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from onlinedpo.cli.main import main
from onlinedpo.journal.audit.auditing import audit
from onlinedpo.states.errors import StorageError
from tests import starter
from tests.conftest import Count

NOISY = """
import os
def longer(prompts, completions):
    for number in (0, 1, 2):
        os.write(number, b"a library says something, below Python")
    return [int(len(b) > len(a)) for a, b in completions]
"""


@pytest.fixture(scope="module")
def place(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run, and a noisy judge."""
    folder = tmp_path_factory.mktemp("place")
    shutil.copytree(whole, folder / "run")
    (folder / "noisy.py").write_text(NOISY)
    return folder


def to_full() -> None:
    """Standard output is on a full disk."""
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)


def to_nobody() -> None:
    """Whoever was to read it has left, as `head` does."""
    end, output = os.pipe()
    os.dup2(output, 1)
    os.close(end)


def to_nowhere() -> None:
    """It was closed, as `>&-` does, and so were the others."""
    for number in (0, 1, 2):
        os.close(number)
    sys.stdin = sys.__stdin__ = None  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = None  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = None  # type: ignore[misc]


WAYS = {"full": to_full, "nobody": to_nobody, "nowhere": to_nowhere}


def child(place: str, way: str, arguments: tuple[str, ...]) -> None:
    """The program with its output sent that way, and its errors to a file."""
    os.chdir(place)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.dup2(os.open("errors", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", closefd=False)  # type: ignore[misc]
    WAYS[way]()
    sys.argv = ["onlinedpo", *arguments]
    main()


def sent(place: Path, way: str, *arguments: str) -> tuple[int | None, str]:
    """The exit code of the program, and what it said on standard error."""
    process = starter.child_of(child, str(place), way, arguments)
    process.join(600)
    return process.exitcode, (place / "errors").read_text()


COMMANDS = (
    *("status run", "status run --json", "runs .", "runs . --json", "show run 1"),
    *("journal verify run", "journal cat run", "journal cat run --raw"),
    *("journal doctor run", "audit run", "audit run --json", "replay run"),
    *("replay run --json", "trace run --step 2", "diff run run", "export run"),
    *("config run", "config run --json", "run run", "--help", "run --help"),
    *("--version", "journal --help"),
)
"""Every command that prints."""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("command", COMMANDS)
def test_output_that_cannot_be_written_is_told(
    command: str, place: Path, count: Count
) -> None:
    """Exit code 11, and one message that names what is full."""
    code, said = sent(place, "full", *command.split())
    assert code == StorageError.exit_code, said
    assert said.startswith("onlinedpo: standard output: No space left on device\n")
    assert len(said.splitlines()) == 2, "the message and what to do"
    count("commands whose output went astray", 1)


@pytest.mark.parametrize("command", COMMANDS)
def test_who_stops_reading_is_no_error_to_tell(
    command: str, place: Path, count: Count
) -> None:
    """As with other programs: nothing is said, and the code is not 0."""
    assert sent(place, "nobody", *command.split()) == (1, "")
    count("commands whose output went astray", 1)


@pytest.mark.parametrize("command", COMMANDS)
def test_without_standard_streams_a_command_does_its_work(
    command: str, place: Path, count: Count
) -> None:
    """What would be printed is not, and that is all."""
    code, said = sent(place, "nowhere", *command.split())
    assert (code, said) == (0, "")
    count("commands whose output went astray", 1)


def test_what_libraries_print_never_goes_into_a_run(
    place: Path, flags: tuple[str, ...]
) -> None:
    """Where the streams are closed, no file of a run takes their numbers."""
    noisy = (*flags, "--judge", "python:noisy:longer")
    code, said = sent(place, "nowhere", "run", "quiet", *noisy)
    assert (code, said) == (0, "")
    audit(place / "quiet")
    for path in (place / "quiet").rglob("*"):
        assert path.is_dir() or b"a library says" not in path.read_bytes(), path
