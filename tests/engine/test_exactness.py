"""Restart exactness: whatever is trained and however, an interruption changes no bit.

Each run is compared three ways: left alone, stopped and resumed, and started cold from
its adapter.  The first two have to be equal, and the third must not be: else the
comparison could not tell the difference.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlx_lm.utils import load, quantize_model, save_model

from onlinedpo.engine.loop import train
from onlinedpo.engine.run import Run
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.engine.training.learner import Learner
from onlinedpo.engine.training.logps import Scorer
from onlinedpo.states.config import Settings
from tests.engine.kit import LORA
from tests.engine.runs import (
    Listener,
    Scripted,
    by_text,
    go_on,
    opened,
    outcome,
    state,
    steps,
    tokens,
)
from tests.toys import toy_model

Wanted = dict[str, Any]

WARMED = {"name": "cosine_decay", "arguments": [1e-2, 9], "warmup": 2}
BETA = {"name": "linear_schedule", "arguments": [0.5, 0.1, 4]}

# What each optimizer needs so that a few steps on a toy move every one of them.
OPTIMIZERS: dict[str, Wanted] = {
    "sgd": {"optimizer_config": {"sgd": {"momentum": 0.9}}},
    "adadelta": {"learning_rate": 1.0},
}

QUICK: dict[str, Wanted] = {
    "lora with dropout": {},
    "dora": {"fine_tune_type": "dora"},
    "full": {"fine_tune_type": "full", "learning_rate": 1e-3},
    "qlora": {"model": "quantized"},
    "qlora in memory": {"quantize": "8bits"},
    "accumulated batches": {"grad_accumulation_steps": 2, "batch_size": 2},
    "micro batches": {"micro_batch_size": 2},
    "beta schedule": {"beta_schedule": BETA},
    "rate with a warm-up": {"lr_schedule": WARMED},
    "muon": {"optimizer": "muon"},
    "no clipping": {"max_grad_norm": None},
    "sparse checkpoints": {"save_every": 4},
    "rounds": {"pairs_per_round": 6},
    "offline": {"offline_pairs": "file"},
    "best against worst": {"num_generations": 3},
}

SLOW: dict[str, Wanted] = {
    **{
        name: {"optimizer": name, **OPTIMIZERS.get(name, {})}
        for name in Settings.__dataclass_fields__["optimizer"].metadata["choices"]
        if name not in ("adam", "muon")
    },
    "no dropout": {"lora_parameters": LORA},
    "mxfp4 in memory": {"quantize": "mxfp4"},
    "qdora": {"model": "quantized", "fine_tune_type": "dora"},
    "the last layer only": {"num_layers": 1},
    "recomputed activations": {"grad_checkpoint": True},
    "uneven micro batches in accumulated batches": {
        "grad_accumulation_steps": 2,
        "micro_batch_size": 2,
    },
    "sparse checkpoints of rounds": {"pairs_per_round": 9, "save_every": 4},
    "sparse checkpoints of dora under both schedules": {
        "fine_tune_type": "dora",
        "beta_schedule": BETA,
        "lr_schedule": WARMED,
        "save_every": 3,
    },
    "offline in accumulated batches": {
        "offline_pairs": "file",
        "grad_accumulation_steps": 2,
    },
    "rounds of random pairs of four": {
        "pairs_per_round": 6,
        "num_generations": 4,
        "pairing": "random",
    },
    "passes over the prompts": {"epochs": 2},
    "another reference": {"reference_model_path": "other"},
    "a loss without a reference": {"dpo_cpo_loss_type": "simpo", "beta": 2.0},
    "full with adafactor": {
        "fine_tune_type": "full",
        "optimizer": "adafactor",
        "learning_rate": 1e-3,
    },
}

ALL = {**QUICK, **SLOW}


@pytest.fixture
def wanted(own: Wanted, tmp_path: Path) -> Callable[[Wanted], Wanted]:
    """The settings of a run, with what they name made."""

    def made(settings: Wanted) -> Wanted:
        named = dict(settings)
        if named.get("model"):
            named["model"] = str(quantized(Path(own["model"]), tmp_path / "quantized"))
        if named.get("reference_model_path"):
            other = toy_model(tmp_path / "other", seed=3)
            named["reference_model_path"] = str(other)
        if named.get("offline_pairs"):
            named["offline_pairs"] = str(pairs_file(tmp_path / "pairs.jsonl"))
        return {**own, **named}

    return made


def quantized(model: Path, folder: Path) -> Path:
    """The toy in 4 bits, as `mlx_lm.convert -q` leaves it."""
    shutil.copytree(model, folder)
    loaded: Any = load(str(model), return_config=True)
    small, config = quantize_model(loaded[0], loaded[2], group_size=32, bits=4)
    (folder / "model.safetensors").unlink()
    save_model(folder, small)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def pairs_file(path: Path) -> Path:
    """Preference pairs that are there already."""
    rows = [
        {"prompt": f"Question {i}?", "chosen": f"yes {i}", "rejected": f"no, {i * 7}"}
        for i in range(8)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def started_cold(run: Run) -> str:
    """Train on with the adapter as it is, and an optimizer that knows nothing."""
    run.judge = Scripted(by_text)
    run.learner = Learner(run.policy, Scorer(run.policy.model), run.settings)
    train(run)
    return state(run)


def compared(wanted: Wanted, folder: Path, interrupt: Callable[[Path], None]) -> None:
    """Assert that a run that is interrupted is one that is not; a cold one is not."""
    left_alone, run, cold = (folder / name for name in ("whole", "run", "cold"))
    whole = go_on(left_alone, **wanted)

    go_on(run, Listener(stop_after=1), **wanted)
    go_on(run, Listener(stop_after=2))
    shutil.copytree(run, cold)
    interrupt(run)
    resumed = go_on(run)
    with opened(cold) as alone:
        started = started_cold(alone)

    assert whole == resumed != started
    assert outcome(run) == outcome(left_alone) != outcome(cold)
    assert tokens(run) == tokens(left_alone)
    ends = [
        (RunFolder(each).adapters / "adapters.safetensors").read_bytes()
        for each in (left_alone, run, cold)
    ]
    assert ends[0] == ends[1] != ends[2]


@pytest.mark.parametrize("settings", QUICK.values(), ids=QUICK)
def test_interrupted_is_uninterrupted_and_a_cold_start_is_not(
    settings: Wanted, wanted: Callable[[Wanted], Wanted], tmp_path: Path
) -> None:
    """A run stopped and resumed twice ends with the bytes of one left alone."""
    compared(wanted(settings), tmp_path, lambda run: None)


@pytest.mark.slow
@pytest.mark.parametrize("settings", SLOW.values(), ids=SLOW)
def test_interrupted_is_uninterrupted_also_in_these_ways(
    settings: Wanted, wanted: Callable[[Wanted], Wanted], tmp_path: Path
) -> None:
    """The same of every optimizer, and of settings that meet."""
    compared(wanted(settings), tmp_path, lambda run: None)


class Impatient(Listener):
    """Stops after one operation."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def asked_to_stop(self) -> bool:
        """Whether an operation was done."""
        self.asked += 1
        return self.asked > 1


@pytest.mark.slow
@pytest.mark.parametrize("settings", ALL.values(), ids=ALL)
def test_interrupted_at_every_operation_is_uninterrupted(
    settings: Wanted, wanted: Callable[[Wanted], Wanted], tmp_path: Path
) -> None:
    """Also if every single operation is done by a process of its own."""

    def interrupt(run: Path) -> None:
        for _ in range(8):
            go_on(run, Impatient())

    compared(wanted(settings), tmp_path, interrupt)


@pytest.mark.slow
@pytest.mark.parametrize("settings", ALL.values(), ids=ALL)
def test_without_checkpoints_it_is_the_same(
    settings: Wanted, wanted: Callable[[Wanted], Wanted], tmp_path: Path
) -> None:
    """All steps are taken again, from the base model and the journal alone."""

    def interrupt(run: Path) -> None:
        shutil.rmtree(RunFolder(run).checkpoints)
        assert len(steps(run)) == 3

    compared(wanted(settings), tmp_path, interrupt)
