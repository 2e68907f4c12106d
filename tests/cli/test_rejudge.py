"""`onlinedpo rejudge`: what it prints, and what it says of mistakes."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from onlinedpo.cli.main import cli
from onlinedpo.cli.rejudge import rejudged, rejudged_text
from onlinedpo.states.errors import SettingsChanged, UsageError
from onlinedpo.states.records import Why
from tests.engine.polite import JUDGE, pair, polite_run
from tests.processes import start


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 60 pairs, judged again."""
    folder = polite_run(tmp_path_factory.mktemp("rejudge") / "run", 60)
    assert asked(folder, "--judge", JUDGE).exit_code == 0
    return folder


def asked(run: Path, *arguments: str | Path) -> Result:
    """What the command gives."""
    return CliRunner().invoke(cli, ["rejudge", str(run), *map(str, arguments)])


def verdicts(run: Path) -> Path:
    """The only folder of verdicts in a run's."""
    (folder,) = (run / "rejudged").iterdir()
    return folder


def test_the_table_says_what_moved_and_how_sure_that_is(run: Path) -> None:
    """Moves, agreement, both judges side by side, cost, and some of the flips."""
    told = asked(run, "--judge", JUDGE)
    lines = told.stdout.splitlines()

    def line(beginning: str) -> str:
        return next(row for row in lines if row.strip().startswith(beginning))

    assert "60 pairs judged again" in lines[0]
    assert line("the same winner").split()[3:] == ["20", "33.3%"]
    assert line("flipped").split()[-2:] == ["20", "33.3%"]
    assert line("had no winner, now has one").split()[-2:] == ["20", "33.3%"]
    assert "50.0%" in line("they choose the same") and "(n=40)" in told.stdout
    assert "20 first to second, 0 second to first; McNemar p < 0.001" in told.stdout
    assert "66.7%" in line("the same when swapped")
    assert "100.0%" in line("the same when swapped")
    assert "240 tokens" in line("cost")
    assert "5 of them (all with --flips)" in line("pairs that flipped")
    assert told.stdout.count("P(first)") == 5 * 4
    assert f"onlinedpo show {run}" in told.stdout
    assert max(map(len, lines)) <= 88 or str(run) in max(lines, key=len)


def test_all_flips_are_told_when_asked_for(run: Path) -> None:
    """By name, with what each judge said in each order, and how sure it was."""
    told = asked(run, "--judge", JUDGE, "--flips").stdout

    assert "of them" not in told
    for ticket in (1, 7, 55):
        assert f"{pair(ticket).pair}  first -> second" in told
    assert told.count("P(first)") == 20 * 4
    assert "old  first-second: first, P(first) 0.909; second-first: first" in told


def test_json_holds_everything(run: Path) -> None:
    """On standard output, and nothing else with it."""
    told = asked(run, "--judge", JUDGE, "--json")
    found: dict[str, Any] = json.loads(told.stdout)

    assert (found["pairs"], found["sample"]) == (60, None)
    assert sum(found["moves"].values()) == 60
    assert len(found["flips"]) == found["moves"]["flipped"] == 20
    flip = found["flips"][0]
    assert (flip["was"], flip["is"]) == ("first", "second")
    assert [v["shown"] for v in flip["new"]] == ["first-second", "second-first"]
    assert found["changes"]["sides"]["mcnemar_p"] < 0.001
    assert found["new"]["judge"]["id"] == JUDGE
    assert found["new"]["cost"]["verdicts"] == 120
    assert found["people"]["all"]["new"]["n"] == 0


def test_where_people_labelled_they_say_who_is_right(tmp_path: Path) -> None:
    """Both judges beside people, McNemar's test, and a warning of the bias."""
    run = polite_run(tmp_path / "run", 36, why=Why.UNSURE)
    told = asked(run, "--judge", JUDGE).stdout

    assert "0 only old right, 12 only new right; McNemar p < 0.001" in told
    assert "too few (n=24; 30 are needed) 100.0% [90.4%, 100.0%] (n=36)" in told
    assert "Only the random share compares them without bias" in told
    assert "of the random share" not in told


def test_another_rubric_and_a_sample_have_a_folder_of_their_own(
    run: Path, tmp_path: Path
) -> None:
    """Named by the judge; the rubric in the file is what the judge is given."""
    whole = Path(shutil.copytree(run, tmp_path / "run"))
    rubric = tmp_path / "shorter.txt"
    rubric.write_text("\ufeffPrefer the answer that is shorter.\n\n")

    told = asked(whole, "--judge", JUDGE, "--rubric", rubric, "--sample", "4")

    assert told.exit_code == 0, told.output
    assert "(a sample of 4)" in told.stdout
    assert '"Prefer the answer that is shorter."' in told.stdout
    assert "too few (n=" in told.stdout
    names = sorted(path.name for path in (whole / "rejudged").iterdir())
    assert [name.endswith("-4") for name in names].count(True) == 1
    assert all(name.startswith("model-") for name in names)


def test_ctrl_c_leaves_after_the_batch_and_says_how_to_go_on(tmp_path: Path) -> None:
    """With exit code 130; the command that it names ends what was begun."""
    run = polite_run(tmp_path / "run", 40)
    process = start("rejudge", run, "--judge", JUDGE)
    assert process.stdout
    for line in process.stdout:
        if "of 40 pairs are judged" in line:
            break
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()

    assert process.wait() == 130, rest
    assert "leaving after the batch at hand" in rest
    go_on = f"onlinedpo rejudge {run} --into {verdicts(run)}"
    assert f"go on with: {go_on}" in rest
    ended = CliRunner().invoke(cli, go_on.split()[1:])
    assert ended.exit_code == 0, ended.output
    assert "40 pairs judged again" in ended.stdout


def test_a_folder_of_verdicts_is_read_as_a_run_is(run: Path) -> None:
    """`status` and `show` work on it; `run` says what it is."""
    folder = str(verdicts(run))

    status = CliRunner().invoke(cli, ["status", folder])
    shown = CliRunner().invoke(cli, ["show", folder, "7"])
    refused = CliRunner().invoke(cli, ["run", folder]).exception

    assert "judged again 60" in status.stdout
    assert pair(7).pair in shown.stdout and "P(first)" in shown.stdout
    assert isinstance(refused, UsageError)
    assert "holds verdicts only" in str(refused)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "neither another judge nor another rubric is given"),
        (("--judge", "file"), "people are asked in the run itself"),
        (("--judge", "/nowhere/at/all"), "could not be found"),
        (("--rubric", "/nowhere/at/all"), "cannot be read: No such file"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_written(
    arguments: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    """What is missing, wrong or not there, with what to do."""
    run = polite_run(tmp_path / "run", 2)
    ended = asked(run, *arguments)

    assert isinstance(ended.exception, UsageError)
    assert words in str(ended.exception)
    assert ended.exception.hint
    assert not (run / "rejudged").exists()


def test_a_rubric_must_be_text(tmp_path: Path) -> None:
    """An empty file, or one that is no text, is none."""
    run, rubric = polite_run(tmp_path / "run", 2), tmp_path / "rubric"
    for content, words in ((b" \n", "holds no rubric"), (b"\xff\xfe\x00", "not UTF-8")):
        rubric.write_bytes(content)
        assert words in str(asked(run, "--rubric", rubric).exception)


def test_what_is_no_run_is_told(tmp_path: Path) -> None:
    """And no folder is made there."""
    ended = asked(tmp_path / "nowhere", "--judge", JUDGE)

    assert isinstance(ended.exception, UsageError)
    assert "is not a run" in str(ended.exception)
    assert not (tmp_path / "nowhere").exists()


def test_another_judge_does_not_go_on_in_the_folder(run: Path, tmp_path: Path) -> None:
    """Exit code 4, as where a run's settings changed; the table stays what it was."""
    rubric = tmp_path / "shorter.txt"
    rubric.write_text("Prefer the answer that is shorter.")
    ended = asked(run, "--rubric", rubric, "--into", verdicts(run))

    assert isinstance(ended.exception, SettingsChanged)
    assert (ended.exception.exit_code, SettingsChanged.exit_code) == (4, 4)


def test_names_and_rubrics_are_made_safe_to_print(run: Path) -> None:
    """A rubric is somebody's text: it does not move the cursor."""
    facts = rejudged.facts(run, verdicts(run))
    facts["old"]["judge"] = {"kind": "model", "id": "a\x1b[2J", "rubric": "b\u202ec\n"}

    told = "".join(rejudged_text.lines(facts, whole=True))

    assert told.replace("\n", "").isprintable()
