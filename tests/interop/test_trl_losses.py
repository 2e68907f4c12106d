"""Every loss and option that TRL has too gives what TRL gives, on the same tokens."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import pytest

from onlinedpo.engine.models import policy
from onlinedpo.engine.models.identity import identify
from onlinedpo.engine.tensors import scalar
from onlinedpo.engine.training.logps import Scorer, batch_of
from onlinedpo.engine.training.loss import (
    PairLabels,
    PairLogps,
    preference_loss,
    rewards,
)
from onlinedpo.states.config import Settings
from onlinedpo.states.records import Completion
from onlinedpo.states.verdicts import penalties
from onlinedpo.states.verdicts.scores import preference
from tests.interop.conftest import Toy
from tests.states import facts
from tests.toys import EOS, toy_model

pytestmark = pytest.mark.interop

DPO: dict[str, dict[str, Any]] = {
    "sigmoid": {},
    "hinge": {},
    "ipo": {},
    "sigmoid_norm": {},
    "robust": {"label_smoothing": 0.2},
}
"""Of its DPOTrainer, which smooths the labels of none of these but robust."""

CPO: dict[str, dict[str, Any]] = {
    "sigmoid": {"label_smoothing": 0.2},
    "simpo": {"simpo_gamma": 0.7},
    "smoothed simpo": {"simpo_gamma": 0.7, "label_smoothing": 0.2},
}
"""Of its CPOTrainer, whose losses take log-probabilities without a reference."""


def scored(folder: Path, rows: list[tuple[list[int], list[int]]]) -> mx.array:
    """A model's log-probabilities of completions after their prompts."""
    model, _ = policy.load(identify(str(folder)))[:2]
    return Scorer(model).completion_logps(batch_of(rows))


@pytest.mark.parametrize("kind", DPO)
@pytest.mark.parametrize("beta", [0.1, 1.5])
def test_a_loss_is_that_of_trls_dpo_trainer(
    kind: str, beta: float, toy: Toy, tmp_path: Path
) -> None:
    """The mean over a batch, from its own tokens to the loss, with its own models."""
    import torch
    from datasets import load_dataset
    from transformers import AutoModelForCausalLM
    from trl import DPOConfig, DPOTrainer

    other = toy_model(tmp_path / "reference", seed=9)
    pairs = toy.export(tmp_path / "pairs.jsonl")
    trainer = DPOTrainer(
        model=str(toy.model),
        ref_model=AutoModelForCausalLM.from_pretrained(
            str(other), dtype=torch.float32, attn_implementation="eager"
        ),
        args=DPOConfig(
            output_dir=str(tmp_path / "out"),
            per_device_train_batch_size=9,
            loss_type=[kind],
            beta=beta,
            report_to=[],
            use_cpu=True,
            bf16=False,
            model_init_kwargs={"dtype": "float32"},
            gradient_checkpointing=False,
            **DPO[kind],
        ),
        train_dataset=load_dataset(
            "json",
            data_files=str(pairs),
            split="train",
            cache_dir=str(tmp_path / "cache"),
        ),
    )
    batch = next(iter(trainer.get_train_dataloader()))
    with torch.no_grad():
        theirs = float(trainer.compute_loss(trainer.model, batch))

    rows = [_row(*columns) for columns in _columns(batch)]
    ours, settings = _mean_loss(toy.model, other, rows, kind, beta)
    assert ours == pytest.approx(theirs, rel=2e-4)
    assert abs(theirs - math.log(2)) > 1e-3, settings


def _columns(batch: Any) -> Any:
    names = ("input_ids", "attention_mask", "completion_mask")
    return zip(*(batch[name].tolist() for name in names), strict=True)


def _row(
    ids: list[int], attended: list[int], completion: list[int]
) -> tuple[list[int], list[int]]:
    """Prompt and completion of a padded row."""
    real = [(i, c) for i, a, c in zip(ids, attended, completion, strict=True) if a]
    return [i for i, c in real if not c], [i for i, c in real if c]


def _mean_loss(
    model: Path, other: Path, rows: list[Any], kind: str, beta: float
) -> tuple[float, Settings]:
    """Our loss on TRL's rows: all chosen completions, then all rejected ones."""
    half = len(rows) // 2
    lengths = mx.array([len(completion) for _, completion in rows], mx.float32)
    logps, reference = scored(model, rows), scored(other, rows)
    pairs = PairLogps(
        *(logps[:half], logps[half:], reference[:half], reference[half:]),
        *(lengths[:half], lengths[half:]),
    )
    settings = Settings(dpo_cpo_loss_type=kind, beta=beta, **DPO[kind])
    losses = preference_loss(pairs, settings, beta, PairLabels())
    return scalar(losses.mean()), settings


@pytest.mark.parametrize("name", CPO)
@pytest.mark.parametrize("beta", [0.1, 2.5])
def test_smoothing_and_simpo_are_those_of_trls_cpo_trainer(
    name: str, beta: float
) -> None:
    """Its loss and its rewards, pair for pair: gamma is the margin as it stands."""
    import torch
    from trl.experimental.cpo import CPOTrainer

    kind, option = name.split()[-1], CPO[name]
    chance = torch.Generator().manual_seed(1)
    chosen, rejected = (-30 * torch.rand(64, generator=chance) for _ in range(2))
    lengths = [torch.randint(1, 20, (64,), generator=chance).float() for _ in "cr"]
    trainer = SimpleNamespace(
        **{"alpha": 0.0, "beta": beta, "loss_type": kind, "simpo_gamma": 0.0},
        accelerator=SimpleNamespace(device="cpu"),
    )
    vars(trainer).update({"label_smoothing": 0.0, **option})
    means = kind == "simpo"
    theirs = CPOTrainer.cpo_loss(
        trainer,
        chosen / lengths[0] if means else chosen,
        rejected / lengths[1] if means else rejected,
    )

    zero = mx.zeros(64)
    logps = PairLogps(
        *(mx.array(chosen.tolist()), mx.array(rejected.tolist()), zero, zero),
        *(mx.array(each.tolist()) for each in lengths),
    )
    settings = Settings(dpo_cpo_loss_type=kind, beta=beta, **option)
    smoothed = mx.full(64, 1.0 - settings.label_smoothing)
    ours = (
        preference_loss(logps, settings, beta, PairLabels(smoothed)),
        *rewards(logps, settings, beta),
    )
    for one, other in zip(ours, theirs, strict=True):
        assert one.tolist() == pytest.approx(other.tolist(), rel=1e-5, abs=1e-6)


def test_the_penalty_is_that_of_trls_online_trainer(tmp_path: Path) -> None:
    """Of what it sampled and scored itself, the margins of the scores are the same."""
    from datasets import Dataset
    from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

    ends = (EOS, *range(20, 60))
    model = toy_model(tmp_path / "model", eos=ends)
    seen: list[tuple[list[list[int]], list[float]]] = []

    def score(completion_ids: list[list[int]], **_: Any) -> list[float]:
        """A taste without sense, sometimes nearly the same for both."""
        found = [sum(ids) % 7 / 4 for ids in completion_ids]
        seen.append((completion_ids, found))
        return found

    trainer = OnlineDPOTrainer(
        model=str(model),
        reward_funcs=score,
        args=OnlineDPOConfig(
            output_dir=str(tmp_path / "out"),
            max_steps=3,
            per_device_train_batch_size=8,
            max_new_tokens=8,
            missing_eos_penalty=0.8,
            logging_steps=1,
            report_to=[],
            use_cpu=True,
            bf16=False,
            save_strategy="no",
            disable_tqdm=True,
            gradient_checkpointing=False,
        ),
        train_dataset=Dataset.from_dict({"prompt": [f"{n}?" for n in range(24)]}),
        processing_class=_tokenizer(model),
    )
    trainer.train()
    told = [row for row in trainer.state.log_history if "objective/scores" in row]

    assert len(told) == len(seen) == 3
    cut = 0
    for row, (ids, found) in zip(told, seen, strict=True):
        half = len(ids) // 2
        wrote = [_completion(each, ends) for each in ids]
        cut += sum(completion.finish == "length" for completion in wrote)
        margins = []
        for n in range(half):
            verdict = facts.verdict(
                n, winner="first", logprobs=preference(found[n], found[n + half])
            )
            pair = (wrote[n], wrote[n + half])
            first, second = penalties.penalised(verdict, *pair, 0.8).scores()
            margins.append(abs(first - second))
        mean = sum(margins) / half
        assert mean == pytest.approx(row["objective/scores_margin"], abs=1e-5)
    assert 0 < cut < 48


def _completion(ids: list[int], ends: tuple[int, ...]) -> Completion:
    ended = not {*ids}.isdisjoint(ends)
    return facts.completion(*ids, finish="stop" if ended else "length")


def _tokenizer(model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(model), padding_side="left")
