"""Where metrics go besides the run folder: all of them, once, and never at its cost."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from mlx_lm.tuner import callbacks

from onlinedpo.engine.loop import run as train
from onlinedpo.engine.reports.scalars import Scalars
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError
from tests.engine.events import events
from tests.engine.runs import SMALL, Listener
from tests.people.runs import back

MLX_LM = {
    "iteration",
    "train_loss",
    "learning_rate",
    "iterations_per_second",
    "tokens_per_second",
    "peak_memory",
}
"""What mlx-lm's own training reports under."""

# What is asked of wandb by us and by mlx-lm, and no more; it keeps what it is told.
WANDB = """
import json, os, pathlib
class run: step = 0
class settings: mode, api_key, identity_token_file, base_url = "online", "k", "", ""
class session: settings = settings
LOG = pathlib.Path(os.environ["TOLD"])
def tell(*what):
    if os.environ.get("FAILS") == what[0]:
        raise ConnectionError("no\\nroute\\x1b[31m to host")
    with LOG.open("a") as file:
        file.write(json.dumps(what) + "\\n")
def init(project, name, dir, config):
    run.id = os.environ["WANDB_RUN_ID"]
    tell("init", project, name, run.id, config["iters"])
    rows = map(json.loads, LOG.read_text().splitlines())
    run.step = max([row[1] + 1 for row in rows if row[-1] == run.id], default=0)
def log(row, step): tell("log", step, row, run.id)
def finish(): tell("finish")
def setup(): return session
def login(**_): return True
def teardown(): pass
"""


@pytest.fixture
def parts(opinionated: Path, data: Path) -> dict[str, Any]:
    """A run of three steps, with a win rate after each."""
    both = {"model": str(opinionated), "judge": str(opinionated)}
    asked = {"judge_orders": 1, "val_prompts": 2, "steps_per_eval": 1}
    return {**SMALL, **both, **asked, "data": str(data)}


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A wandb that writes down what it is told, as a library that can be imported."""
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "wandb.py").write_text(WANDB)
    monkeypatch.syspath_prepend(tmp_path / "library")
    monkeypatch.setenv("TOLD", str(tmp_path / "told"))
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    monkeypatch.setattr(callbacks, "wandb", import_module("wandb"))
    yield tmp_path / "told"
    sys.modules.pop("wandb", None)


def said(told: Path, what: str) -> list[Any]:
    """The calls of one kind that wandb got."""
    calls = [json.loads(row) for row in told.read_text().splitlines()]
    return [call[1:] for call in calls if call[0] == what]


def metrics(run: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl."""
    return [json.loads(row) for row in (run / "metrics.jsonl").read_text().splitlines()]


# -- trackers ------------------------------------------------------------------------


def test_a_tracker_gets_every_metric_under_both_names(
    told: Path, parts: dict[str, Any], tmp_path: Path
) -> None:
    """TRL's names and ours, and those that mlx-lm's users look for."""
    run = tmp_path / "run"
    before = dict(os.environ)
    ctrl_c = signal.getsignal(signal.SIGINT)

    train(run, {**parts, "report_to": "WandB, wandb"}, Listener())

    sent = said(told, "log")
    rows = metrics(run)
    assert [step for step, *_ in sent] == [row["step"] for row in rows]
    for (_, row, _), line in zip(sent, rows, strict=True):
        del line["step"], line["time"]
        assert {k: v for k, v in line.items() if v is not None}.items() <= row.items()
        assert set(row) >= MLX_LM if "loss" in line else {"iteration", "val_time"}
    ((project, name, _, iters),) = said(told, "init")
    assert (project, name, iters) == ("onlinedpo", "run", 3)
    assert said(told, "finish") == [[]]
    assert os.environ == before
    assert signal.getsignal(signal.SIGINT) is ctrl_c


def test_a_resumed_run_goes_on_with_the_same_one_there(
    told: Path, parts: dict[str, Any], tmp_path: Path
) -> None:
    """Nothing is sent twice, and nothing that was missed is left out."""
    run = tmp_path / "run"
    train(run, {**parts, "report_to": "wandb"}, Listener(stop_after=1))
    train(run, {"report_to": None}, Listener(stop_after=1))

    train(run, {"report_to": "wandb"}, Listener())

    (_, _, first, _), (_, _, second, _) = said(told, "init")
    assert first == second
    steps = [step for step, row, _ in said(told, "log") if "train_loss" in row]
    assert steps == [1, 2, 3]


def test_a_rewound_run_is_another_one_there(
    told: Path, parts: dict[str, Any], tmp_path: Path
) -> None:
    """No tracker takes steps back; the new one has all steps that stand."""
    run = tmp_path / "run"
    train(run, {**parts, "report_to": "wandb"}, Listener())
    back(run, 1)

    train(run, {"iters": 2}, Listener())

    (_, _, first, _), (_, _, second, _) = said(told, "init")
    assert second == f"{first}-1"
    again = [call for call in said(told, "log") if call[-1] == second]
    assert [step for step, row, _ in again if "train_loss" in row] == [1, 2]


@pytest.mark.parametrize("when", ["init", "log", "finish"])
def test_a_tracker_that_fails_is_told_of_once_and_costs_nothing(
    when: str,
    told: Path,
    parts: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Training goes on to its end; metrics.jsonl has everything."""
    monkeypatch.setenv("FAILS", when)
    watch = Listener()

    ledger = train(tmp_path / "run", {**parts, "report_to": "wandb"}, watch)

    assert ledger.steps == 3
    assert len([row for row in metrics(tmp_path / "run") if "loss" in row]) == 3
    (line,) = (line for line in watch.lines if "wandb" in line)
    assert "wandb failed" in line and "route" in line


def test_a_tracker_that_hangs_does_not_hold_training_up(
    told: Path,
    parts: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may wait for its server as long as it likes, but not at the run's end."""
    from threading import Event

    from onlinedpo.engine.reports import tracking

    never = Event()
    monkeypatch.setattr(import_module("wandb"), "init", lambda **_: never.wait())
    monkeypatch.setattr(tracking, "PATIENCE", 0.01)
    watch = Listener()

    ledger = train(tmp_path / "run", {**parts, "report_to": "wandb"}, watch)

    never.set()
    assert ledger.steps == 3
    assert watch.told("not everything was sent within")


@pytest.mark.parametrize(
    ("report_to", "message", "hint"),
    [
        ("wandb", "needs the package wandb", "pip install wandb"),
        ("swanlab", "needs the package swanlab", "pip install swanlab"),
        ("wanbd", "'wanbd'; it may name wandb, swanlab", "Did you mean 'wandb'?"),
        ("tensorboard,wan db", "names 'wan db'", "Did you mean 'wandb'?"),
    ],
)
def test_what_cannot_be_used_is_told_before_anything_is_loaded(
    report_to: str,
    message: str,
    hint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One line with the command that installs it; no model is looked for first."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(
        "onlinedpo.engine.reports.reporting.find_spec", lambda name: None
    )
    asked = {"model": "nowhere", "data": "nowhere", "report_to": report_to}

    with pytest.raises(UsageError, match=message) as refused:
        train(tmp_path / "run", asked, Listener())

    assert hint in refused.value.hint
    assert not (tmp_path / "run").exists()


def test_wandb_without_a_key_is_refused_before_it_asks_for_one(
    told: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would ask in the middle of the run's output; offline it needs none."""
    settings: Any = import_module("wandb").setup().settings
    monkeypatch.setattr(settings, "api_key", "", raising=False)
    monkeypatch.setattr(settings, "base_url", "https://api.wandb.ai", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    asked = {"model": "nowhere", "data": "no.jsonl", "report_to": "wandb"}

    with pytest.raises(UsageError, match="no key") as refused:
        train(tmp_path / "run", asked, Listener())
    assert "wandb login" in refused.value.hint

    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password key\n")
    with pytest.raises(UsageError, match=r"no\.jsonl"):
        train(tmp_path / "run", asked, Listener())


@pytest.mark.parametrize("value", [None, "", "none", " , "])
def test_nothing_may_be_named(value: str | None) -> None:
    """Other programs write `none`, or leave it empty."""
    assert Settings(report_to=value).reporters == ()


# -- TensorBoard ---------------------------------------------------------------------


def test_tensorboard_has_every_metric_of_every_step_once(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """Also those from before report_to was set, at the time when they were measured."""
    run = tmp_path / "run"
    train(run, parts, Listener(stop_after=2))

    train(run, {"report_to": "tensorboard"}, Listener())

    assert events(run / "tensorboard") == metrics(run)


@pytest.mark.parametrize("damage", ["cut", "doubled", "lost", "foreign"])
def test_tensorboard_is_right_after_a_kill(
    damage: str, parts: dict[str, Any], tmp_path: Path
) -> None:
    """Cut anywhere, left twice or lost: the next start makes it whole."""
    run = tmp_path / "run"
    train(run, {**parts, "report_to": "tensorboard"}, Listener(stop_after=2))
    file = sorted((run / "tensorboard").iterdir())[-1]
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-7])
    elif damage == "doubled":
        name = f"events.out.tfevents.1000000000.{file.name.rsplit('.', 2)[1]}.onlinedpo"
        file.rename(file.with_name(name))
    elif damage == "lost":
        file.unlink()
    else:
        (run / "tensorboard" / "events.out.tfevents.1.mine").write_bytes(b"mine")

    train(run, {}, Listener())

    kept = [f for f in (run / "tensorboard").iterdir() if f.name.endswith(".mine")]
    assert len(kept) == (damage == "foreign")
    assert events(run / "tensorboard") == metrics(run)


def test_tensorboard_forgets_what_a_rewind_undid(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """Each step that stands is there once; a viewer that had the rest drops it."""
    run = tmp_path / "run"
    train(run, {**parts, "report_to": "tensorboard"}, Listener())
    back(run, 1)

    train(run, {"iters": 2}, Listener())

    told = events(run / "tensorboard")
    assert told == metrics(run)
    assert [row["step"] for row in told if "loss" in row] == [1, 2]


def test_tensorboard_on_a_full_disk_does_not_stop_training(
    parts: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it cannot write is told once."""

    def full(self: Any, report: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Scalars, "take", full)
    watch = Listener()

    ledger = train(tmp_path / "run", {**parts, "report_to": "tensorboard"}, watch)

    assert ledger.steps == 3
    (line,) = (line for line in watch.lines if "tensorboard" in line)
    assert "No space left on device" in line
