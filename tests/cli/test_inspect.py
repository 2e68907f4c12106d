"""`status`: what it tells of a run, without MLX and in a blink."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from onlinedpo.states.records import Record
from tests.journal.kit import write
from tests.processes import onlinedpo
from tests.states import facts
from tests.toys import prompts_file, toy_model


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on a toy."""
    folder = tmp_path_factory.mktemp("toy")
    model = toy_model(folder / "model", opinionated=True)
    data = prompts_file(folder / "data", 6, held_out=2)
    ended = onlinedpo(
        *("run", folder / "run", "--model", model, "--judge", model, "--data", data),
        *("--judge-orders", "1", "--iters", "2", "--batch-size", "2"),
        *("--max-completion-length", "8"),
    )
    assert ended.code == 0, ended.output
    return folder / "run"


def test_status_says_where_a_run_stands(run: Path) -> None:
    """State, step, prompts by phase, and what it runs on."""
    told = onlinedpo("status", run)

    assert told.code == 0
    assert "finished, step 2 of 2" in told.output
    assert "applied" in told.output
    assert "mlx" in told.output


def test_status_as_json_has_the_same_facts(run: Path) -> None:
    """--json is one object for programs."""
    facts = json.loads(onlinedpo("status", run, "--json").output)

    assert facts["state"] == "finished"
    assert facts["step"] == facts["iters"] == 2
    assert facts["prompts"]["applied"] + facts["prompts"]["dropped"] >= 2
    assert [rate["step"] for rate in facts["win_rates"]] == [0, 2]


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    """status of anything else says so."""
    told = onlinedpo("status", tmp_path)

    assert told.code == 2
    assert "is not a run" in told.output


def test_model_text_cannot_drive_the_terminal() -> None:
    """Control characters in what a model wrote are printed as their names."""
    from onlinedpo.cli.words import safe

    assert safe("a\x1b[31mred\x07\u202eb") == "a\\x1b[31mred\\x07\\u202eb"
    assert safe("one\ntwo\r\nthree") == "one two three"
    assert len(safe("x" * 500, width=80)) == 80


def test_status_says_whose_pairs_a_run_has(tmp_path: Path) -> None:
    """Another judge's verdicts are not taken for a run that did not come far."""
    first: list[Record] = [facts.run_opened(), facts.derived(purpose="rejudge")]
    write(tmp_path / "journal", [[first]])

    told = onlinedpo("status", tmp_path).output

    assert "another judge's verdicts on the pairs of run cdcdcdcd" in told
