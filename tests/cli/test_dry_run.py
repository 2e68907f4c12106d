"""`run --dry-run`: one batch, shown, and no trace of it."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from onlinedpo.cli.main import cli
from onlinedpo.journal.reader import Reader
from onlinedpo.states.errors import OnlineDPOError, UsageError
from onlinedpo.states.records import Sampled, Verdict
from tests.toys import prompts_file, toy_model


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The flags of a small run."""
    folder = tmp_path_factory.mktemp("toy")
    model = str(toy_model(folder / "model", opinionated=True))
    data = str(prompts_file(folder / "data", 10, held_out=2))
    parts = ["--model", model, "--judge", model, "--data", data]
    size = ["--batch-size", "2", "--iters", "1", "--max-completion-length", "8"]
    return [*parts, *size, "--judge-orders", "1"]


@pytest.fixture(autouse=True)
def scratch(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Where temporary folders are made."""
    folder = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def asked(*arguments: str | Path) -> Result:
    """`onlinedpo run` with these arguments, in this process; errors are raised."""
    done = CliRunner().invoke(cli, ["run", *map(str, arguments)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def everything(folder: Path) -> dict[str, Any]:
    """Every name below a folder, with size and time."""
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
    }


def test_a_dry_run_shows_the_pairs_that_the_run_begins_with(
    toy: list[str], tmp_path: Path, scratch: Path
) -> None:
    """The very prompts, completions and verdicts; the run's folder is not even made."""
    run = tmp_path / "run"

    shown = asked(run, *toy, "--dry-run")

    assert shown.exit_code == 0
    assert not run.exists() and not any(scratch.iterdir())
    assert asked(run, *toy).exit_code == 0
    records = [*Reader(run / "journal").records()]
    pairs = [record for record in records if isinstance(record, Sampled)][:2]
    for pair in pairs:
        assert f"pair {pair.pair}\n" in shown.stdout
        assert pair.messages[-1]["content"] in shown.stdout
        for verdict in records:
            if isinstance(verdict, Verdict) and verdict.ticket == pair.ticket:
                told = f"verdict {verdict.shown}: {verdict.winner}"
                assert f"{told} (P(first) {verdict.probability_first():.2f})" in (
                    shown.stdout
                )
    assert "nothing was written" in shown.stdout
    assert "a batch of 2 pairs, sample " in shown.stdout


def test_a_dry_run_needs_no_folder(toy: list[str], tmp_path: Path) -> None:
    """Nothing is written, so there is nowhere to write it."""
    before = everything(tmp_path)

    assert "pair 000000-" in asked(*toy, "--dry-run").stdout
    assert everything(tmp_path) == before


def test_a_dry_run_with_people_shows_what_they_would_get(
    toy: list[str], tmp_path: Path
) -> None:
    """One of the files, as it would lie in labels/todo."""
    shown = asked(tmp_path / "run", *toy, "--judge", "human", "--dry-run").stdout

    assert "people would be asked with files such as this" in shown
    assert "## Response 1" in shown and "| choice:" in shown
    assert not (tmp_path / "run").exists()


def test_a_dry_run_shows_one_batch_of_a_round(toy: list[str], tmp_path: Path) -> None:
    """Not all of its pairs: that could take hours."""
    shown = asked(*toy, "--pairs-per-round", "400", "--dry-run").stdout

    assert shown.count("\npair ") == 2


def test_a_dry_run_shows_pairs_of_a_file(toy: list[str], tmp_path: Path) -> None:
    """Those of the first batch, with the label that the file gives them."""
    rows = [
        {"prompt": f"Q {i}?", "chosen": f"yes {i}", "rejected": f"no {i}"}
        for i in range(4)
    ]
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("\n".join(map(json.dumps, rows)))

    shown = asked(*toy, "--offline-pairs", pairs, "--dry-run").stdout

    assert shown.count("\npair ") == 2
    assert "yes " in shown and "no " in shown and "label " in shown


def test_a_dry_run_makes_the_mistakes_that_the_run_would(
    toy: list[str], tmp_path: Path, scratch: Path
) -> None:
    """So that they cost a minute and not a night."""
    for wrong in (["--top-p", "1.5"], ["--data", "nowhere.jsonl"]):
        with pytest.raises(OnlineDPOError):
            asked(tmp_path / "run", *toy, *wrong, "--dry-run")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        asked(tmp_path / "file", *toy, "--dry-run")
    assert not (tmp_path / "run").exists() and not any(scratch.iterdir())


def test_a_dry_run_leaves_a_run_that_has_begun_alone(
    toy: list[str], tmp_path: Path
) -> None:
    """It says where to look, and how to try the run's settings from the beginning."""
    run = tmp_path / "run"
    assert asked(run, *toy).exit_code == 0
    before = everything(run)

    with pytest.raises(UsageError, match="has begun") as refused:
        asked(run, "--dry-run")

    assert everything(run) == before
    config = run / "config.yaml"
    assert f"--dry-run --config {config}" in refused.value.hint
    assert "pair 000000-" in asked("--dry-run", "--config", config).stdout


def test_what_a_model_writes_cannot_drive_the_terminal(
    toy: list[str], tmp_path: Path
) -> None:
    """Neither can a prompt."""
    data = tmp_path / "raw.jsonl"
    data.write_text(json.dumps({"prompt": "red \x1b[31m\x07 or not?"}) + "\n")

    shown = asked(*toy, "--data", data, "--val-prompts", "0", "--dry-run").stdout

    assert "red \\x1b[31m\\x07 or not?" in shown
    assert not {"\x1b", "\x07"} & {*shown.replace(os.linesep, "\n")}
