"""Links, pipes, devices and folders where files should be: none leads out of a run."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner

from onlinedpo.cli.main import cli
from onlinedpo.engine.watcher import Watcher
from onlinedpo.states.errors import OnlineDPOError
from tests.conftest import Count
from tests.crash.hostile.hostile import SECRET, Seen, Waiting, everything
from tests.crash.hostile.traps import (
    TRAPS,
    Trap,
    a_file,
    pipe,
    to_folder,
    to_journal,
    to_secret,
    to_zeros,
)
from tests.processes import onlinedpo


def remains(labels: Path, path: Path, seen: Seen) -> bool:
    """Whether what was put there is there still, or was moved to done/ as it was."""
    now = everything(labels)
    return seen[str(path)] in [v for k, v in now.items() if path.name[:3] in k]


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("part", ["todo", "done", "inbox"])
def test_what_is_no_file_is_passed_over(
    part: str, trap: Trap, run: Waiting, outside: Path, count: Count
) -> None:
    """It is named once, and left; the answers beside it are taken in as ever."""
    before = everything(outside)
    paths = [run.labels / part / name for name in ("x.md", "x.jsonl", "x")]
    for path in paths:
        trap(path, outside)
    ask = run.asks()[0]
    run.file(ask).write_bytes(run.answered(ask))
    put = everything(run.labels)
    run.look()

    assert [vote.ticket for vote in run.votes()] == [ask.ticket]
    assert all(
        sum(str(path) + " is a" in line for line in run.told) == 1 for path in paths
    )
    assert all(remains(run.labels, path, put) for path in paths)
    assert everything(outside) == before
    assert SECRET not in run.bytes_in_journal()
    assert run.stands_still()
    count("links, pipes and the like", len(paths))


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("when", ["while it waits", "when it is not wanted any more"])
def test_what_takes_a_label_files_place_is_not_followed(
    when: str, trap: Trap, run: Waiting, outside: Path, count: Count
) -> None:
    """Neither when its pair is answered elsewhere nor when the file is withdrawn."""
    before = everything(outside)
    ask = run.asks()[0]
    path, raw = run.file(ask), run.answered(ask)
    path.unlink()
    trap(path, outside)
    put = everything(run.labels)
    run.look()
    if when == "when it is not wanted any more":
        (run.labels / "todo" / "copy.md").write_bytes(raw)
        run.look()
        assert [vote.ticket for vote in run.votes()] == [ask.ticket]
    run.restart()
    run.look()

    assert remains(run.labels, path, put)
    assert everything(outside) == before
    assert SECRET not in run.bytes_in_journal()
    assert run.stands_still()
    count("links, pipes and the like", 1)


NOTES = {
    "todo": ("y.md", ".error"),
    "inbox": ("y.jsonl", ".receipt"),
    "done": ("y.md", ".error"),
}


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("part", NOTES)
def test_a_note_is_written_through_nothing(
    part: str, trap: Trap, run: Waiting, outside: Path, count: Count
) -> None:
    """A link where a note goes is replaced, not followed; a folder there is left."""
    before = everything(outside)
    name, end = NOTES[part]
    path = run.labels / part / name
    path.write_bytes(b"nothing to be read")
    trap(path.with_name(name + end), outside)
    ask = run.asks()[0]
    run.file(ask).write_bytes(run.answered(ask))
    run.look()

    assert len(run.votes()) == 1
    assert path.read_bytes() == b"nothing to be read"
    assert everything(outside) == before
    assert run.stands_still()
    count("links, pipes and the like", 1)


@pytest.mark.parametrize("trap", TRAPS)
def test_guidelines_are_read_if_they_are_a_file_or_a_link_to_one(
    trap: Trap, run: Waiting, outside: Path, count: Count
) -> None:
    """Of what they say the journal has a digest; what has no end has none."""
    guidelines = run.labels / "guidelines.md"
    guidelines.unlink()
    trap(guidelines, outside)
    ask = run.asks()[0]
    run.file(ask).write_bytes(run.answered(ask))
    run.look()

    (vote,) = run.votes()
    assert bool(vote.guidelines) == (trap in (to_secret, to_journal))
    assert SECRET not in run.bytes_in_journal()
    assert run.stands_still()
    count("links, pipes and the like", 1)


@pytest.mark.parametrize("trap", [*TRAPS[:-1], a_file])
@pytest.mark.parametrize("part", ["todo", "done", "inbox", "."])
def test_a_folder_of_the_run_is_a_folder_or_nothing_is_done(
    part: str, trap: Trap, run: Waiting, outside: Path, count: Count
) -> None:
    """It is said which one, and what to do; once that is done all goes on as before.

    RUN/labels itself may be a link to a folder, such as a shared drive.
    """
    ask = run.asks()[0]
    run.file(ask).write_bytes(run.answered(ask))
    place = (run.labels / part).resolve()
    place.rename(outside.parent / "aside")
    before = everything(outside)
    trap(place, outside)
    if part == "." and trap is to_folder:
        # Its folders are not there yet: they are made at the next try.
        with suppress(FileNotFoundError):
            run.look()
        run.restart()
        assert {"todo", "done", "inbox", "guidelines.md"} < {
            p.name for p in outside.iterdir()
        }
        return
    for again in (run.look, run.restart, run.look):
        with pytest.raises((OSError, OnlineDPOError)) as failed:
            again()
        assert part == "." or isinstance(failed.value, OSError)
        assert "it is " in str(failed.value) or part == "."
    assert everything(outside) == before
    place.unlink()
    (outside.parent / "aside").rename(place)
    run.restart()
    run.look()

    assert len(run.votes()) == 1
    assert run.stands_still()
    count("links, pipes and the like", 1)


def test_a_command_for_labelling_follows_no_link(run: Waiting, outside: Path) -> None:
    """The label command says so, and touches nothing."""
    shutil.rmtree(run.labels / "done")
    to_folder(run.labels / "done", outside)
    before = everything(outside)
    ended = CliRunner().invoke(cli, ["label", str(run.folder)], input="1")

    assert isinstance(ended.exception, OSError)
    assert "it is a link" in str(ended.exception)
    assert everything(outside) == before


@pytest.mark.parametrize("trap", [to_secret, to_zeros, pipe])
def test_the_guidelines_key_waits_for_no_pipe(
    trap: Trap, run: Waiting, outside: Path
) -> None:
    """`g` shows what can be shown, or says why not."""
    (run.labels / "guidelines.md").unlink()
    trap(run.labels / "guidelines.md", outside)
    shown = onlinedpo("label", run.folder, keys=b"g q")

    assert shown.code == 0, shown.output
    assert ("guidelines.md: it is no" in shown.output) == (trap is not to_secret)
    assert (SECRET.decode().strip() in shown.output) == (trap is to_secret)


def test_a_watcher_leaves_nothing_behind_a_link(tmp_path: Path, outside: Path) -> None:
    """It tries whether events come by a file of its own: never in a linked folder."""
    os.utime(outside, (1, 1))
    (tmp_path / "todo").symlink_to(outside)
    with Watcher([tmp_path / "todo"], lambda line: None):
        pass
    assert outside.stat().st_mtime == 1
