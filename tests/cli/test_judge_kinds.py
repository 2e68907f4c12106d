"""Judges that are no models, from the terminal: what is told, and with which code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from onlinedpo.cli.main import cli
from onlinedpo.states.errors import JudgeFailed, SettingsChanged
from onlinedpo.states.records import Label, Sampled, Verdict
from tests.engine.runs import records
from tests.engine.scorers import FUNCTIONS, module, toy_reward
from tests.toys import prompts_file, toy_model

SMALL = {
    "--iters": "2",
    "--batch-size": "3",
    "--max-completion-length": "6",
    "--temperature": "1.0",
    "--val-prompts": "0",
}


def onlinedpo(*arguments: str | Path) -> Result:
    """What a command prints; its errors come out."""
    found = CliRunner().invoke(cli, [*map(str, arguments)], catch_exceptions=False)
    return found


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Model and data."""
    place = tmp_path_factory.mktemp("parts")
    return {
        "--model": str(toy_model(place / "model")),
        "--data": str(prompts_file(place / "data", 9)),
        "reward": f"reward:{toy_reward(place / 'reward', seed=2)}",
    }


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    """The working directory, with the module `prefer`."""
    with module(tmp_path / "here") as folder:
        yield folder


def train(run: str, parts: dict[str, str], *judge: str) -> Result:
    """A small run."""
    named = {**SMALL, **{k: v for k, v in parts.items() if k.startswith("-")}}
    given = [text for pair in named.items() for text in pair]
    return onlinedpo("run", run, *given, "--judge", *judge)


def shown(run: str, pair: str = "0") -> str:
    """What `show` tells of a pair."""
    return onlinedpo("show", run, pair).stdout


def test_a_function_judges_and_is_told_in_full(
    here: Path, parts: dict[str, str]
) -> None:
    """What it returned, and which file it is of."""
    train("run", parts, "python:prefer:shorter")

    told = shown("run")
    assert "verdict first-second: " in told
    assert ", by python:prefer:shorter" in told
    assert "its function returned 0" in told or "its function returned 1" in told
    audited = onlinedpo("audit", "run")
    assert audited.exit_code == 0
    assert "judge python:prefer:shorter (source " in audited.stdout


def test_a_changed_function_is_noticed_and_a_fork_goes_on_with_it(
    here: Path, parts: dict[str, str]
) -> None:
    """Exit code 4; the fork says from where on another judge decides."""
    train("run", parts, "python:prefer:shorter")
    with module(here, FUNCTIONS + "\n# Changed.\n"):
        with pytest.raises(
            SettingsChanged, match=r"the judge changed.*source"
        ) as found:
            onlinedpo("run", "run", "--iters", "3")
        assert "onlinedpo fork" in found.value.hint
        onlinedpo(
            *("fork", "run", "fork", "--iters", "3"),
            *("--judge", "python:prefer:shorter"),
        )
        onlinedpo("run", "fork")

    assert onlinedpo("audit", "fork").exit_code == 0


def test_a_function_that_raises_labels_nothing(
    here: Path, parts: dict[str, str]
) -> None:
    """Where it does so from the start, there is no run; else one without a verdict."""
    with pytest.raises(JudgeFailed, match=r"prefer\.py, line"):
        train("none", parts, "python:prefer:raises")
    with pytest.raises(JudgeFailed, match=r"prefer\.py, line"):
        train("run", parts, "python:prefer:gives_up")

    assert not (here / "none").exists()
    kinds = {type(record) for record in records(here / "run")}
    assert Sampled in kinds and not kinds & {Verdict, Label}


def test_a_panel_is_told_judge_by_judge(here: Path, parts: dict[str, str]) -> None:
    """In `status`, `show`, `trace` and `audit`; and what they decide together."""
    others = f"python:prefer:length,{parts['reward']}"
    train("run", parts, "python:prefer:shorter", "--judge-panel", others)

    status = onlinedpo("status", "run").stdout
    assert "judge: python:prefer:shorter + python:prefer:length + reward:" in status
    told = shown("run")
    assert told.count("verdict ") == 4
    assert "scores of first and second: [" in told
    traced = onlinedpo("trace", "run", "--pair", "0").stdout
    assert traced.count(", by python:prefer") == 3
    audited = onlinedpo("audit", "run").stdout
    for title in ("judge 1: python:prefer:shorter", "judge 3: reward:", "the panel: "):
        assert title in audited
    assert "judges disagree" in audited and "judges 1 and 2 agree:" in audited
    assert max(map(len, audited.splitlines()[8:])) <= 88
    facts: Any = json.loads(onlinedpo("audit", "run", "--json").stdout)["judge"]
    assert [judge["pairs"] for judge in facts["judges"]] == [
        facts["panel"]["pairs"]
    ] * 3
    exported = onlinedpo("export", "run", "--format", "inspect", "-o", "run.eval")
    assert exported.exit_code == 0


@pytest.mark.parametrize("other", ["python:prefer:length", "reward", "panel"])
def test_pairs_are_judged_again_by_any_judge(
    other: str, here: Path, parts: dict[str, str]
) -> None:
    """And a fork learns from it; its audit, and the verdicts', pass."""
    train("run", parts, "python:prefer:shorter")
    judge = [parts.get(other, other)]
    if other == "panel":
        judge = ["python:prefer:length", "--judge-panel", parts["reward"]]
    told = onlinedpo("rejudge", "run", "--judge", *judge).stdout
    again = onlinedpo("rejudge", "run", "--judge", *judge).stdout
    (verdicts,) = (here / "run/rejudged").iterdir()

    assert told == again and "  old: python:prefer:shorter" in told
    assert f"  new: {judge[0][:30]}" in told
    assert onlinedpo("audit", verdicts).exit_code == 0
    onlinedpo("fork", "run", "other", "--labels", "rejudged")
    onlinedpo("run", "other")
    assert onlinedpo("audit", "other").exit_code == 0
    assert judge[0] in onlinedpo("status", "other").stdout


def test_verdicts_that_were_asked_for_in_other_ways_are_kept_apart(
    here: Path, parts: dict[str, str]
) -> None:
    """Each way has a folder of its own, and none is gone on with in another way."""
    train("run", parts, "python:prefer:shorter")
    other = ("rejudge", "run", "--judge", "python:prefer:left")
    for more in ((), ("--judge-orders", "1"), ("--judge-format", "messages")):
        onlinedpo(*other, *more)
        onlinedpo(*other, *more)
    folders = [*(here / "run/rejudged").iterdir()]

    assert len(folders) == 3
    assert all(onlinedpo("audit", folder).exit_code == 0 for folder in folders)
    onlinedpo(*other, "--into", "there")
    with pytest.raises(SettingsChanged, match="another judge_orders"):
        onlinedpo(*other, "--into", "there", "--judge-orders", "1")


def test_its_help_names_the_ways_of_judging() -> None:
    """Every setting of the judge may be given to `rejudge`, but for people's."""
    told = onlinedpo("rejudge", "--help").stdout

    assert "--judge-panel" in told and "--judge-mode" in told
    assert "[default: Qwen/Qwen3-0.6B]" not in told
