"""`onlinedpo diff`: two runs side by side, for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from onlinedpo.cli.diff import diff
from onlinedpo.states.errors import JournalError, UsageError
from onlinedpo.states.records import Record
from tests.journal.kit import OTHER_RUN, RUN, write
from tests.states import facts
from tests.states.test_differences import OPENED, life, run


def printed(*arguments: str | Path) -> str:
    """What the command prints."""
    ended = CliRunner().invoke(diff, [*map(str, arguments)])
    if ended.exception:
        raise ended.exception
    return ended.output


def make(folder: Path, records: list[Record], run: bytes = RUN) -> Path:
    """A run that has nothing but its journal."""
    write(folder / "journal", [[[record] for record in records]], run)
    return folder


def test_runs_that_are_equal(tmp_path: Path) -> None:
    """It says so first."""
    one = make(tmp_path / "one", [*run(0, 1), facts.evaluated(1, "win", "loss")])
    other = make(tmp_path / "other", [*run(0, 1), facts.evaluated(1, "win", "loss")])
    text = printed(one, other)

    assert text.startswith(f"{one} and {other} are equal\n")
    assert "settings: the same" in text
    assert "pairs: 2 in both, 0 only in" in text
    assert "all 2 steps are equal" in text
    assert "step 1  50.0% | 50.0%" in text
    assert json.loads(printed(one, other, "--json"))["equal"] is True


def test_where_runs_part_is_said(tmp_path: Path) -> None:
    """The step, and in what; the settings and labels that differ."""
    one = make(tmp_path / "one", [*run(0, 1), facts.process_started(iters=7)])
    longer = [*run(0), *life(1, 1), *life(2, 1), facts.step(2, 2), facts.step(3, 1)]
    other = make(tmp_path / "other", longer)
    turned = make(tmp_path / "turned", run(0, 1, turned=(1,)))
    names = [facts.sampled(n).pair for n in range(3)]
    text = printed(one, other)

    assert text.startswith(f"{one} | {other}\n")
    assert "iters  7 | 100" in text
    assert (
        f"equal up to step 1; step 2 has other pairs ({names[1]} only in {one};"
        f" {names[2]} only in {other})"
    ) in text
    assert "metrics of step 2" in text
    text = printed(one, turned)
    assert f"step 2 has other labels on 1 pair ({names[1]})" in text
    assert f"{names[1]}  first | second" in text
    facts_of = json.loads(printed(one, turned, "--json"))
    assert facts_of["equal"] is False
    assert facts_of["parting"] == {
        "step": 2,
        "part": "labels",
        "one": [names[1]],
        "other": [names[1]],
    }


def test_a_shorter_run_and_a_fork(tmp_path: Path) -> None:
    """That one of them ends earlier, and which one was made of the other."""
    one = make(tmp_path / "one", run(0, 1))
    same = make(
        tmp_path / "same", [*run(0), facts.derived(source=OPENED.run_id, step=1)]
    )
    taken = facts.derived(source=OPENED.run_id, labels="rejudged")
    again = make(tmp_path / "again", [*run(0), taken], OTHER_RUN)

    assert f"equal up to step 1, the last one of {same}" in printed(one, same)
    assert f"{same} is a fork of {one} after step 1" in printed(one, same)
    said = (
        f"{again} takes the steps of {one} again, as another judge labelled its pairs"
    )
    assert said in printed(again, one)


def test_what_cannot_be_compared_is_told(tmp_path: Path) -> None:
    """A folder that is no run, and a journal that is damaged."""
    one = make(tmp_path / "one", run(0))
    with pytest.raises(UsageError, match="is not a run"):
        printed(one, tmp_path)
    broken = make(tmp_path / "broken", run(0, 1))
    segment = broken / "journal" / "000001.odj"
    data = bytearray(segment.read_bytes())
    data[300] ^= 1
    segment.write_bytes(data)
    with pytest.raises(JournalError, match="frame 1 is damaged"):
        printed(one, broken)


def test_runs_that_have_not_begun_to_learn(tmp_path: Path) -> None:
    """Nothing is divided by nothing."""
    one = make(tmp_path / "one", [OPENED])

    assert "no step has been taken" in printed(one, one)
