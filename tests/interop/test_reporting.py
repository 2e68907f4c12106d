"""wandb, swanlab and TensorBoard themselves read what a run reports to them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from onlinedpo.cli.main import cli
from tests.toys import prompts_file, toy_model

pytestmark = pytest.mark.interop

OFFLINE = {"WANDB_MODE": "offline", "SWANLAB_MODE": "offline", "WANDB_SILENT": "true"}


def reported(run: Path, to: str, steps: int) -> list[dict[str, Any]]:
    """Train a run to this step in a process of its own; the lines of metrics.jsonl."""
    asked = ["run", str(run), "--iters", str(steps), "--report-to", to]
    if not run.exists():
        model = str(toy_model(run.parent / "model", opinionated=True))
        both = ["--model", model, "--judge", model]
        data = prompts_file(run.parent / "data", 8, held_out=2)
        short = ["--judge-orders", "1", "--max-completion-length", "8"]
        asked += [*both, "--data", str(data), *short, "--batch-size", "2"]
    ended = subprocess.run(
        [sys.executable, "-m", "onlinedpo.cli", *asked],
        env={
            **os.environ,
            **OFFLINE,
            "PYTHONPATH": str(Path(__file__).parents[1] / "links"),
        },
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert "failed" not in ended.stdout
    return [json.loads(row) for row in (run / "metrics.jsonl").read_text().splitlines()]


def test_tensorboard_reads_every_step_once_after_a_rewind(tmp_path: Path) -> None:
    """Its own reader, which also has to forget the file that it knew before."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = tmp_path / "run"
    reported(run, "tensorboard", 4)
    viewer = EventAccumulator(str(run / "tensorboard"))
    viewer.Reload()
    assert [event.step for event in viewer.Scalars("loss")] == [1, 2, 3, 4]
    done = CliRunner().invoke(cli, ["rewind", str(run), "--to", "1"])
    assert done.exception is None

    rows = reported(run, "tensorboard", 3)

    anew = EventAccumulator(str(run / "tensorboard"))
    for looking in (viewer, anew):
        looking.Reload()
        told = [(e.step, e.value) for e in looking.Scalars("loss")]
        assert told == [
            (row["step"], pytest.approx(row["loss"])) for row in rows if "loss" in row
        ]


def test_wandb_keeps_every_step_for_a_later_sync(tmp_path: Path) -> None:
    """Offline, each process leaves a file of the whole run, under one name."""
    pytest.importorskip("wandb")
    run = tmp_path / "run"
    reported(run, "wandb", 2)
    rows = reported(run, "wandb", 4)

    first, second = sorted((run / "wandb").glob("offline-run-*/*.wandb"))
    assert first.name == second.name
    kept = wandb_history(second)
    assert [row["_step"] for row in kept if "loss" in row] == [1, 2, 3, 4]
    losses = [row["loss"] for row in rows if "loss" in row]
    assert [row["train_loss"] for row in kept if "loss" in row] == losses


def test_swanlab_takes_a_run_offline(tmp_path: Path) -> None:
    """It leaves its files below the run, and Ctrl-C to us."""
    pytest.importorskip("swanlab")
    reported(tmp_path / "run", "swanlab,wandb", 2)

    (kept,) = (tmp_path / "run" / "swanlog").glob("run-*/*.swanlab")
    assert b"train_loss" in kept.read_bytes()


def wandb_history(path: Path) -> list[dict[str, Any]]:
    """The rows of a .wandb file: LevelDB's log format, in blocks of 32 KiB."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, part, rows = path.read_bytes(), 7, b"", []
    while at + 7 <= len(data):
        if (left := 32768 - at % 32768) < 7:
            at += left
            continue
        size = int.from_bytes(data[at + 4 : at + 6], "little")
        part += data[at + 7 : at + 7 + size]
        last = data[at + 6] in (1, 4)
        at += 7 + size
        if last:
            record, part = Record.FromString(part), b""
            if record.WhichOneof("record_type") == "history":
                items = record.history.item
                rows.append(
                    {
                        item.key or "/".join(item.nested_key): json.loads(
                            item.value_json
                        )
                        for item in items
                    }
                    | {"_step": record.history.step.num}
                )
    return rows
