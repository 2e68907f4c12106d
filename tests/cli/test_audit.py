"""`onlinedpo audit`: what it says of a run that is sound, and of one that is not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from onlinedpo.cli.main import cli
from onlinedpo.journal.writer import Journal
from onlinedpo.states.errors import AuditFailed, UsageError
from onlinedpo.states.lifecycle import by_table
from onlinedpo.states.records import ProcessStarted, Verdict
from tests.journal.forging import Forger

GOLDEN = Path(__file__).parents[1] / "golden" / "0.1.0"


def golden(name: str, place: Path) -> Path:
    """A run whose journal is one of the golden ones."""
    shutil.copytree(GOLDEN / name, place / "run" / "journal")
    return place / "run"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that a model judged."""
    return golden("judged", tmp_path)


def said(*arguments: str | Path) -> str:
    """What the command prints; raises what it raises."""
    done = CliRunner().invoke(cli, ["audit", *map(str, arguments)])
    if done.exception:
        raise done.exception
    return done.stdout


def facts(*arguments: str | Path) -> dict[str, Any]:
    """The same as JSON."""
    found: dict[str, Any] = json.loads(said(*arguments, "--json"))
    return found


def lie(run: Path) -> int:
    """Flip the winner of a verdict; the frame that it stands in."""
    forger = Forger(run)
    frame = forger.change(Verdict, winner="second")
    forger.write()
    return frame


def test_what_was_checked_and_what_was_not_is_told(run: Path) -> None:
    """With the head to note elsewhere, and then the judge's record."""
    text = " ".join(said(run).split())

    assert f"{run}: sound, and every fact follows" in text
    assert "verdicts read again from what the judge put out" in text
    assert "no checkpoint is there to be verified" in text
    assert "not checked: " in text
    assert "win rates: the verdicts behind them are not kept" in text
    assert f"onlinedpo replay {run} --train does it again" in text
    assert "head: " in text
    assert text.index("head: ") < text.index("judge model (weights")


def test_programs_get_the_same_as_json(run: Path) -> None:
    """Counts, what was left out, the head, and every figure of the judge."""
    found = facts(run)

    assert found["passed"] is True and found["live"] is False
    assert found["read_again"]["verdicts"] > 10
    assert found["derived_again"]["steps"] == 4
    assert found["not_checked"]["win_rates"] > 0
    assert found["not_checked"]["torn_tail"] is None
    assert found["records_per_second"] > 0
    assert len(found["head"]) == 64
    assert found["judge"]["judges"][0]["verdicts"] == found["read_again"]["verdicts"]


def test_a_lie_ends_with_its_own_exit_code(run: Path) -> None:
    """And in one line: file, byte, frame, pair, field and both values."""
    frame = lie(run)
    command = [sys.executable, "-m", "onlinedpo.cli", "audit", str(run)]
    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 5
    assert done.stdout == ""
    first, hint = done.stderr.splitlines()
    assert "000001.odj: byte " in first
    assert f": frame {frame}: verdict of pair 000000-" in first
    assert "winner: 'second' is recorded, 'first' is derived" in first
    assert "The run is left as it is." in hint


def test_programs_get_a_lie_as_json(run: Path) -> None:
    """On standard output; the exit code is the same."""
    frame = lie(run)
    done = CliRunner().invoke(cli, ["audit", str(run), "--json"])

    assert isinstance(done.exception, AuditFailed)
    found = json.loads(done.stdout)
    assert found["passed"] is False
    assert (found["frame"], found["kind"], found["field"]) == (
        *(frame, "verdict", "winner"),
    )
    assert (found["recorded"], found["derived"]) == ("second", "first")
    assert found["file"].endswith("000001.odj") and found["byte"] > 0
    assert found["pair"].startswith("000000-")


def test_a_noted_head_is_found_with_what_came_since(run: Path) -> None:
    """`status` prints the same head."""
    status = CliRunner().invoke(cli, ["status", str(run), "--json"])
    noted = json.loads(status.stdout)
    assert noted["head"] == facts(run)["head"]
    assert noted["frames"] == facts(run)["frames"]
    status = CliRunner().invoke(cli, ["status", str(run)])
    assert f"head: {noted['head']} (frame {noted['frames']})" in status.stdout

    frames = noted["frames"]
    with Journal.open(run / "journal", {}, by_table) as journal:
        journal.append([Forger(run).get(ProcessStarted)])

    text = said(run, "--expect-head", noted["head"][:20])
    assert f"expected head stands after frame {frames}; 1 frame came since" in text
    assert facts(run, "--expect-head", noted["head"])["expected_head"] == {
        "frame": frames,
        "frames_since": 1,
    }


def test_a_head_that_is_not_there_is_a_failure(run: Path) -> None:
    """Or no head at all: then the command was typed wrongly."""
    with pytest.raises(AuditFailed, match="at no frame is the head"):
        said(run, "--expect-head", "0123456789abcdef")
    with pytest.raises(UsageError, match="no head of a journal"):
        said(run, "--expect-head", "latest")


def test_a_run_at_work_can_be_audited(run: Path) -> None:
    """Half a frame at the end is then being written, and else was torn."""
    last = max((run / "journal").glob("*.odj"))
    whole = last.read_bytes()
    last.write_bytes(whole[:-9])
    text = " ".join(said(run).split())
    assert "half a frame that a killed process left" in text
    assert facts(run)["not_checked"]["torn_tail"]["file"] == str(last)

    last.write_bytes(whole)
    with Journal.open(run / "journal", {}, by_table) as journal:
        newest = journal.folder / "000003.odj"
        newest.write_bytes(newest.read_bytes() + b"JOPD")
        text = " ".join(said(run).split())
        assert "4 bytes at byte 88 of" in text and ": the run is at work" in text
        assert facts(run)["live"] is True


@pytest.mark.parametrize("name", ["people", "hybrid", "forked", "rejudged", "salvaged"])
def test_runs_of_every_kind_have_a_summary(name: str, tmp_path: Path) -> None:
    """With people, forked, salvaged, or of another judge's verdicts."""
    run = golden(name, tmp_path)
    text, found = said(run), facts(run)

    assert "every fact follows" in text
    if name in ("forked", "rejudged"):
        assert "has the pairs that came from it" in text
        assert found["not_checked"]["pairs_of_another_run"]
    if name == "people":
        assert found["derived_again"]["rewinds"] == 1
        assert ", 1 rewind too" in text


def test_what_is_no_run_is_told(tmp_path: Path) -> None:
    """Also a folder that a run has not begun in."""
    with pytest.raises(UsageError, match="is not a run"):
        said(tmp_path / "typo")
    with Journal.create(tmp_path / "journal", bytes(16), by_table):
        pass
    with pytest.raises(UsageError, match="has not begun"):
        said(tmp_path)
