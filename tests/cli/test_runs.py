"""`runs`: every run below a folder, in whatever state it is."""

from __future__ import annotations

import json
import os
import shutil
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from onlinedpo.cli.main import cli
from onlinedpo.journal import frames, runs_below
from onlinedpo.journal.writer import Journal
from onlinedpo.states.lifecycle import by_table
from onlinedpo.states.records import Record
from tests.journal import kit
from tests.nobody import as_nobody
from tests.states import facts


def asked(*arguments: str | Path) -> Result:
    """The command, in this process."""
    done = CliRunner().invoke(cli, ["runs", *map(str, arguments)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def listed(folder: Path) -> dict[str, dict[str, Any]]:
    """What --json says of each run, by its path below the folder."""
    rows = json.loads(asked(folder, "--json").stdout)
    return {str(Path(row["run"]).relative_to(folder)): row for row in rows}


def run_of(folder: Path, *more: list[Record], **wanted: Any) -> Path:
    """A run of one step on one pair, and more."""
    opened: list[Record] = [facts.run_opened(**wanted)]
    life = facts.life(0, 1)
    kit.write(folder / "journal", [[opened, *life, *more]])
    return folder


def waiting(ticket: int) -> list[list[Record]]:
    """A pair that people were asked about."""
    return [
        [facts.sampled(ticket)],
        [facts.submitted(ticket)],
        [facts.escalated(ticket)],
    ]


def test_every_run_is_a_line_with_its_state(tmp_path: Path) -> None:
    """Finished, stopped, waiting, rejudged; with step, win rate and waiting labels."""
    run_of(tmp_path / "done", [facts.evaluated(1, "win", "loss", "win")], iters=1)
    run_of(tmp_path / "half", iters=5)
    run_of(tmp_path / "asks", *waiting(1), iters=5, judge="human", batch_size=1)
    run_of(tmp_path / "other", [facts.derived(purpose="rejudge")])
    run_of(tmp_path / "deep" / "er" / "run")

    found = listed(tmp_path)

    states = {name: row["state"] for name, row in found.items()}
    assert states == {
        "done": "finished",
        "half": "stopped",
        "asks": "waiting",
        "other": "rejudged",
        "deep/er/run": "stopped",
    }
    done = found["done"]
    assert (done["step"], done["iters"], done["waiting"]) == (1, 1, 0)
    assert done["win_rate"] == pytest.approx(2 / 3)
    assert found["asks"]["waiting"] == 1
    assert all(row["bytes"] > 0 and row["error"] is None for row in found.values())
    table = asked(tmp_path).stdout
    assert all(name in table for name in states)
    assert "1/5" in table and "66.7%" in table


def test_a_run_at_work_is_named_with_its_process(tmp_path: Path) -> None:
    """Somebody who wants to stop it knows whom."""
    run = run_of(tmp_path / "run", iters=5)

    with Journal.open(run / "journal", {}, by_table):
        found = listed(tmp_path)["run"]
        table = asked(tmp_path).stdout

    assert (found["state"], found["pid"]) == ("running", os.getpid())
    assert f"running, {os.getpid()}" in table


def test_the_run_that_was_written_last_stands_first(tmp_path: Path) -> None:
    """That is the one that one looks for."""
    for name, age in (("b", 30), ("a", 10), ("c", 20)):
        for file in (run_of(tmp_path / name) / "journal").iterdir():
            os.utime(file, (facts.NOW - age, facts.NOW - age))

    assert [*listed(tmp_path)] == ["a", "c", "b"]


def test_a_damaged_run_is_a_line_and_says_why(tmp_path: Path) -> None:
    """The others are listed all the same; the exit code is 0."""
    run_of(tmp_path / "sound")
    damaged = run_of(tmp_path / "damaged") / "journal" / "000001.odj"
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    newer = run_of(tmp_path / "newer") / "journal" / "000001.odj"
    newer.write_bytes(of_version(99, newer.read_bytes()))
    lost = run_of(tmp_path / "lost")
    (lost / "checkpoints" / "step-000001").mkdir(parents=True)
    (lost / "config.yaml").touch()
    shutil.rmtree(lost / "journal")

    found = listed(tmp_path)
    done = asked(tmp_path)

    assert {name: row["state"] for name, row in found.items()} == {
        "sound": "stopped",
        "damaged": "damaged",
        "newer": "newer",
        "lost": "damaged",
    }
    assert done.exit_code == 0
    assert f"{damaged}: byte " in done.stdout
    assert "holds no journal any more" in done.stdout
    assert "onlinedpo journal doctor RUN" in done.stdout


def of_version(major: int, segment: bytes) -> bytes:
    """A segment as a newer format might have it, sound in itself."""
    end = frames.SEGMENT_SIZE - 4
    body = segment[:8] + major.to_bytes(2, "little") + segment[10:end]
    return body + zlib.crc32(body).to_bytes(4, "little") + segment[end + 4 :]


def test_parts_of_a_run_are_no_runs(tmp_path: Path) -> None:
    """Other judges' verdicts in it are not listed; a run that lies in it is."""
    run = run_of(tmp_path / "run")
    run_of(run / "rejudged" / "kinder")
    run_of(run / "fork")
    run_of(tmp_path / ".hidden" / "run")

    assert {*listed(tmp_path)} == {"run", "run/fork"}
    assert {*listed(run)} == {".", "fork"}


def test_a_link_is_followed_to_a_run_once(tmp_path: Path) -> None:
    """To one that lies elsewhere; not in circles, and not to one that is listed."""
    elsewhere = run_of(tmp_path / "elsewhere" / "big")
    below = tmp_path / "runs"
    run_of(below / "mine")
    (below / "a-big-one").symlink_to(elsewhere)
    (below / "latest").symlink_to(below / "mine")
    (below / "circle").symlink_to(below)
    (below / "nowhere").symlink_to(tmp_path / "not-there")

    assert {*listed(below)} == {"mine", "a-big-one"}


def test_where_there_is_no_run_one_line_says_so(tmp_path: Path) -> None:
    """An empty folder is no mistake; one that is not there, or a file, is."""
    empty = asked(tmp_path)
    assert (empty.exit_code, empty.stdout) == (0, f"there is no run below {tmp_path}\n")
    assert json.loads(asked(tmp_path, "--json").stdout) == []
    (tmp_path / "file").touch()
    for wrong in ("file", "not-there"):
        with pytest.raises(Exception, match=wrong):
            asked(tmp_path / wrong)


def test_runs_is_the_folder_that_is_looked_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a folder: runs/ if it is there, else here."""
    run_of(tmp_path / "one")
    monkeypatch.chdir(tmp_path)
    assert "one" in asked().stdout

    run_of(tmp_path / "runs" / "two")

    assert "two" in asked().stdout and "one" not in asked().stdout


def test_a_name_cannot_drive_the_terminal(tmp_path: Path) -> None:
    """Folders may bear any name."""
    run_of(tmp_path / "red\x1b[31m")

    assert "\x1b" not in asked(tmp_path).stdout


def test_what_cannot_be_read_is_named() -> None:
    """Nobody takes silence for an empty folder."""
    with as_nobody() as place:
        run_of(place / "mine")
        closed = run_of(place / "closed")
        closed.chmod(0)
        try:
            done = asked(place)
        finally:
            closed.chmod(0o700)

    assert f"{closed} could not be read: Permission denied" in done.stderr
    assert "mine" in done.stdout


def test_a_run_takes_what_it_takes_on_the_disk(tmp_path: Path) -> None:
    """A file under two names counts once: the adapter is a link to its checkpoint."""
    run = run_of(tmp_path / "run")
    before = runs_below.size(run)
    (run / "one").write_bytes(b"x" * 100_000)
    after = runs_below.size(run)
    os.link(run / "one", run / "two")

    assert 100_000 <= after - before < 200_000
    assert runs_below.size(run) == after


def test_what_may_be_listed_and_not_looked_at_takes_nothing() -> None:
    """The size is that of all else; so it is of a file that went meanwhile."""
    with as_nobody() as place:
        run = run_of(place / "run")
        before = runs_below.size(run)
        (run / "closed").mkdir()
        (run / "closed" / "one").write_bytes(b"x" * 100_000)
        (run / "closed").chmod(0o400)
        try:
            after = runs_below.size(run)
        finally:
            (run / "closed").chmod(0o700)

    assert after == before


def test_runs_are_listed_without_mlx(tmp_path: Path) -> None:
    """In a blink, on any machine."""
    run_of(tmp_path / "run")
    before = {*sys.modules}

    asked(tmp_path)

    new = {name.split(".")[0] for name in {*sys.modules} - before}
    assert not new & {"mlx", "mlx_lm", "transformers"}


def test_a_segment_that_leads_nowhere_has_no_time(tmp_path: Path) -> None:
    """A link to a drive that is away, say; the others tell when the run was written."""
    run = run_of(tmp_path / "run")
    when = runs_below.written(run)
    (run / "journal" / "000009.odj").symlink_to("nowhere")
    assert when is not None
    assert runs_below.written(run) == when
