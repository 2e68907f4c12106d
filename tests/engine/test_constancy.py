"""A run goes on with what it was made of, or not at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from onlinedpo.states.errors import SettingsChanged, UsageError
from tests.engine.kit import DROPOUT
from tests.engine.runs import (
    Listener,
    go_on,
    opened,
    records,
    steps,
)


def rewrite_weights(folder: Path) -> None:
    """The same model, but for one number."""
    file = str(folder / "model.safetensors")
    loaded: Any = mx.load(file)
    weights = {name: mx.array(value) for name, value in loaded.items()}
    mx.eval(weights)
    weights["model.norm.weight"] = weights["model.norm.weight"] * 1.0001
    mx.save_safetensors(file, weights, metadata={"format": "mlx"})


def reorder(file: Path) -> None:
    """The same prompts in another order."""
    rows = file.read_text().splitlines()
    file.write_text("\n".join(rows[::-1]) + "\n")


@pytest.mark.parametrize("what", ["model", "judge", "prompts", "held-out", "tokenizer"])
def test_what_a_run_is_made_of_may_not_change(
    what: str, own: dict[str, Any], tmp_path: Path
) -> None:
    """Changed weights, data or judge under the same name are noticed by content."""
    run = tmp_path / "run"
    go_on(run, Listener(stop_after=2), **own)
    facts = len(records(run))
    match what:
        case "model":
            rewrite_weights(Path(own["model"]))
        case "judge":
            rewrite_weights(Path(own["judge"]))
        case "prompts":
            reorder(Path(own["data"]) / "train.jsonl")
        case "held-out":
            reorder(Path(own["data"]) / "valid.jsonl")
        case _:
            file = Path(own["model"]) / "tokenizer_config.json"
            file.write_text(file.read_text().replace("user", "human") + "\n")
    named = {"held-out": "prompts", "tokenizer": "model"}.get(what, what)

    with pytest.raises(SettingsChanged, match=f"the {named} changed"), opened(run):
        pass

    assert len(records(run)) == facts


@pytest.mark.parametrize(
    "changed",
    [
        {"beta": 0.2},
        {"learning_rate": 1.0},
        {"batch_size": 2},
        {"seed": 1},
        {"judge_system": "Prefer rhymes."},
        {"lora_parameters": {**DROPOUT, "rank": 2}},
        {"temperature": 0.5},
        {"val_prompts": 1},
    ],
    ids=str,
)
def test_a_setting_that_decides_the_result_may_not_change(
    changed: dict[str, Any], own: dict[str, Any], tmp_path: Path
) -> None:
    """It is refused with what it was and what it would be, and nothing is written."""
    run = tmp_path / "run"
    go_on(run, Listener(stop_after=1), **own)
    facts = len(records(run))

    with (
        pytest.raises(SettingsChanged, match=next(iter(changed))),
        opened(run, **changed),
    ):
        pass

    assert len(records(run)) == facts
    with opened(run, **own):
        pass


def test_a_moved_model_and_more_steps_are_no_change(
    own: dict[str, Any], tmp_path: Path
) -> None:
    """A path may change where the content does not; a run may be made longer."""
    run = tmp_path / "run"
    go_on(run, **{**own, "iters": 3})
    moved = shutil.move(own["model"], tmp_path / "elsewhere")

    go_on(run, model=str(moved), iters=6)

    assert len(steps(run)) == 6
    config = json.loads((run / "adapters" / "adapter_config.json").read_text())
    assert config["model"] == str(moved)


def test_a_new_run_without_a_model_is_a_usage_error(tmp_path: Path) -> None:
    """It is said before anything is written."""
    with pytest.raises(UsageError, match="needs --model"), opened(tmp_path / "run"):
        pass

    assert not (tmp_path / "run").exists()
