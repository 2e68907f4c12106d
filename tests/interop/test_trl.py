"""TRL's DPOTrainer loads what is exported, as it stands, and trains on it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tests.interop.conftest import Toy

pytestmark = pytest.mark.interop


def loaded(path: Path, format: str) -> Any:
    """The pairs, as users of `datasets` load them."""
    import datasets

    if format == "datasets":
        return datasets.load_from_disk(str(path))
    builder = {"jsonl": "json", "parquet": "parquet"}[format]
    cache = f"{path}.cache"
    return datasets.load_dataset(
        builder, data_files=str(path), split="train", cache_dir=cache
    )


@pytest.mark.parametrize("style", ["conversational", "plain"])
@pytest.mark.parametrize("format", ["jsonl", "parquet", "datasets"])
def test_a_step_is_taken_on_what_is_exported(
    format: str, style: str, toy: Toy, tmp_path: Path
) -> None:
    """Prompt and completions are what the policy read and wrote; the loss is ln 2."""
    from trl import DPOConfig, DPOTrainer

    path = toy.export(tmp_path / "pairs", "--format", format, "--style", style)
    pairs = loaded(path, format)
    trainer = DPOTrainer(
        model=str(toy.model),
        args=DPOConfig(
            output_dir=str(tmp_path / "out"),
            max_steps=1,
            per_device_train_batch_size=3,
            report_to=[],
            use_cpu=True,
            bf16=False,
            save_strategy="no",
            disable_tqdm=True,
        ),
        train_dataset=pairs,
    )
    tokenized, tokenizer = trainer.train_dataset, trainer.processing_class
    ended = trainer.train()

    assert len(tokenized) == len(pairs) == 9
    assert ended.training_loss == pytest.approx(math.log(2))
    for row, pair in zip(tokenized, pairs, strict=True):
        asked = tokenizer.decode(row["prompt_ids"])
        said = tokenizer.decode(row["chosen_ids"])
        if style == "plain":
            assert asked == pair["prompt"]
            assert said == pair["chosen"] + tokenizer.eos_token
        else:
            (question,), (answer,) = pair["prompt"], pair["chosen"]
            assert question["content"] in asked
            assert asked.endswith("<|im_start|>assistant\n")
            assert said == answer["content"] + "<|im_end|>\n"
