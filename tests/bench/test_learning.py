"""The learning bench compares what it says it compares."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.engine.loop import train
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.engine.start import open_run
from onlinedpo.states.records import Completion
from tests.bench.learning.cells import BATCH, DELAYS, PARTS, ROUNDS, Cell, cells
from tests.bench.learning.results import Row, distinct_bigrams, write
from tests.bench.learning.running import SlowLabeller, finished
from tests.engine.runs import SMALL, Scripted, by_text, records, steps
from tests.people.kit import in_a_hurry
from tests.people.runs import trained_on
from tests.toys import prompts_file, toy_model


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Any]:
    """A toy in the place of the demo, with the batches of the bench."""
    model = str(toy_model(tmp_path / "model", opinionated=True))
    data = str(prompts_file(tmp_path / "data", 12))
    wanted = {"model": model, "judge": model, "data": data}
    return {**SMALL, **wanted, "batch_size": BATCH, "iters": 5}


def labelled_late(folder: Path, parts: dict[str, Any], delay: int) -> None:
    """Train with a labeller who is so many steps behind."""
    wait = {"judge": "file", "max_waiting": (delay + 1) * BATCH}
    labeller = SlowLabeller()
    with in_a_hurry():
        run = open_run(RunFolder(folder), {**parts, **wait}, labeller)
        with run.journal:
            run.judge, labeller.run = Scripted(by_text), run
            assert run.desk
            with run.desk:
                train(run)


@pytest.mark.parametrize("delay", [1, 2])
def test_a_delay_settles_at_so_many_steps(
    delay: int, parts: dict[str, Any], tmp_path: Path
) -> None:
    """The oldest batch is labelled, and only when the run has to wait."""
    labelled_late(tmp_path / "run", parts, delay)
    ages = [step.metrics["label/age_steps_mean"] for step in steps(tmp_path / "run")]
    assert ages == [min(step, delay) for step in range(5)]


def test_labels_without_delay_are_online_dpo(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """The slow labeller says what the judge would, of the same pairs."""
    labelled_late(tmp_path / "late", parts, 0)
    run = open_run(RunFolder(tmp_path / "online"), parts, SlowLabeller())
    with run.journal:
        run.judge = Scripted(by_text)
        train(run)
    assert trained_on(tmp_path / "late") == trained_on(tmp_path / "online")
    adapters = [tmp_path / name / "checkpoints" for name in ("late", "online")]
    one, other = (
        (folder / "step-000005" / "adapters.safetensors").read_bytes()
        for folder in adapters
    )
    assert one == other


def test_every_arrangement_has_as_many_pairs(tmp_path: Path) -> None:
    """All of the issue are there, with the same steps of the same size, and a seed."""
    found = [cell for part in PARTS for cell in cells(part, seeds=3, iters=60)]
    assert len({cell.folder for cell in found}) == len(found) == 3 * (2 + 3 + 5)
    for cell in found:
        wanted = cell.settings(tmp_path)
        assert (wanted["iters"], wanted["batch_size"]) == (60, BATCH)
        assert wanted["seed"] == cell.seed
    rounds = [cell.settings(tmp_path).get("pairs_per_round") for cell in found[:5]]
    assert rounds == [None, *(BATCH * steps for steps in ROUNDS), None]
    waiting = [cell.settings(tmp_path)["max_waiting"] for cell in found[-5:]]
    assert waiting == [BATCH * (delay + 1) for delay in DELAYS]


def test_a_run_counts_when_it_has_ended(parts: dict[str, Any], tmp_path: Path) -> None:
    """One that was interrupted is taken up again by the next start."""
    cell = Cell("rounds", "online", 0, iters=5)
    assert finished(tmp_path, cell) is None
    run = open_run(RunFolder(tmp_path / "runs" / cell.folder), parts, SlowLabeller())
    with run.journal:
        assert finished(tmp_path, cell) is None
    assert records(tmp_path / "runs" / cell.folder)


def test_what_came_out_is_told_with_its_spread(tmp_path: Path) -> None:
    """Rows as JSON lines; a table with the mean, the lowest and the highest."""
    rows = [
        Row("rounds", "online", seed, step, 8 * step, 0.0, rate, 30.0, 1.0, 0.25)
        for seed, rates in enumerate([(0.5, 0.8), (0.4, 1.0)])
        for step, rate in enumerate(rates)
    ]
    write(tmp_path, rows)
    lines = (tmp_path / "results.jsonl").read_text().splitlines()
    assert [json.loads(line)["win_rate"] for line in lines] == [0.5, 0.8, 0.4, 1.0]
    assert (
        "| online | 90 % (80 to 100) | 90 % (80 to 100) | 30.0 (30.0 to 30.0)"
        " | 100 % (100 to 100) | 0.250 (0.250 to 0.250) | 8 | 0.0 | 2 |"
    ) in (tmp_path / "results.md").read_text()


def test_bigrams_are_counted_over_all_answers() -> None:
    """Answers that resemble each other have fewer."""

    def said(*tokens: int) -> Completion:
        return Completion(tokens=tokens, text="", finish="stop")

    assert distinct_bigrams([said(1, 2, 3), said(1, 2, 4)]) == 3 / 4
    assert distinct_bigrams([said(1, 1, 1)]) == 1 / 2
    assert distinct_bigrams([said(7)]) == 0.0
