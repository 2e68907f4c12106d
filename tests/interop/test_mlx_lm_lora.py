"""mlx-lm-lora's mode `dpo` loads what is exported, as it stands, and trains on it."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx_lm
import pytest
from mlx.optimizers import SGD

from tests.interop.conftest import Toy

pytestmark = pytest.mark.interop


class Reports:
    """Keeps what the trainer reports."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_train_loss_report(self, report: dict[str, Any]) -> None:
        """Keep the loss."""
        self.losses.append(report["train_loss"])


@pytest.mark.parametrize("mode", ["dpo", "cpo"])
def test_the_folder_is_its_data(mode: str, toy: Toy, tmp_path: Path) -> None:
    """Its loader reads each pair, with its own chat template around it."""
    from mlx_lm_lora.trainer.datasets import load_dataset

    data = toy.export(tmp_path / "data", "--format", "mlx-lm-lora")
    _, tokenizer, *_ = mlx_lm.load(str(toy.model))
    wanted = Namespace(data=str(data), train=True, test=False, train_mode=mode)
    train, valid, test = load_dataset(wanted, tokenizer)
    rows = [
        json.loads(line) for line in (data / "train.jsonl").read_text().split("\n")[:-1]
    ]

    assert (len(train), len(valid), len(test)) == (9, 0, 0)
    for row, tokens in zip(rows, train, strict=False):
        read = tokenizer.decode(tokens["chosen"])
        assert read.startswith("<|im_start|>user\n" + row["prompt"])
        assert read.endswith(f"assistant\n{row['chosen']}<|im_end|>\n")


@pytest.fixture
def not_compiled() -> Iterator[None]:
    """On a CPU, compiling its step takes a minute."""
    mx.disable_compile()
    yield
    mx.enable_compile()


@pytest.mark.usefixtures("not_compiled")
def test_a_step_is_taken_on_it(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its loss begins at ln 2, as everybody's does."""
    from mlx_lm_lora.trainer.datasets import CacheDataset, load_dataset
    from mlx_lm_lora.trainer.dpo_trainer import DPOTrainingArgs, train_dpo

    # It starts on a GPU only: it asks how much memory one has.
    monkeypatch.setattr(
        mx, "device_info", lambda: {"max_recommended_working_set_size": 0}
    )
    monkeypatch.setattr(mx, "set_wired_limit", lambda limit: 0)
    data = toy.export(tmp_path / "data", "--format", "mlx-lm-lora")
    model, tokenizer, *_ = mlx_lm.load(str(toy.model))
    reference, *_ = mlx_lm.load(str(toy.model))
    wanted = Namespace(data=str(data), train=True, test=False, train_mode="dpo")
    train, valid, _ = load_dataset(wanted, tokenizer)
    reports = Reports()
    train_dpo(
        model=model,
        ref_model=reference,
        optimizer=SGD(learning_rate=1e-3),
        train_dataset=CacheDataset(train),
        val_dataset=CacheDataset(valid),
        args=DPOTrainingArgs(
            batch_size=3,
            iters=2,
            steps_per_report=1,
            adapter_file=str(tmp_path / "adapters.safetensors"),
        ),
        training_callback=reports,
    )

    assert len(reports.losses) == 2
    assert reports.losses[0] == pytest.approx(0.6931, abs=1e-3)
