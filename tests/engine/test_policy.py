"""The policy and its reference: one copy of the base, exact both ways."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten
from mlx_lm.models import qwen3
from mlx_lm.utils import load, quantize_model, save_model

from onlinedpo.engine.judges.model import ModelJudge
from onlinedpo.engine.tensors import digest, flat
from onlinedpo.states.errors import UsageError
from tests.engine.kit import DROPOUT, LORA, WAYS, some_pairs, trainer
from tests.engine.runs import opened
from tests.toys import prompts_file, toy_model

ASKED = mx.array([[3, 50, 60, 70, 80, 2]])


def logits(model: Any) -> Any:
    """What a model thinks of a fixed question."""
    return np.array(model(ASKED))


def quantized(folder: Path) -> Path:
    """A toy whose weights have four bits."""
    toy_model(folder)
    loaded: Any = load(str(folder), return_config=True)
    model, config = quantize_model(loaded[0], loaded[2], group_size=32, bits=4)
    save_model(folder, model)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def wide(folder: Path) -> Path:
    """A toy whose base (3 MB) outweighs adapters, caches and activations."""
    toy_model(folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"intermediate_size": 4096}
    (folder / "config.json").write_text(json.dumps(config))
    model = qwen3.Model(qwen3.ModelArgs.from_dict(config))
    weights: Any = tree_flatten(model.parameters())
    mx.save_safetensors(
        str(folder / "model.safetensors"), dict(weights), metadata={"format": "mlx"}
    )
    return folder


def base_size(folder: Path) -> int:
    """Bytes of a model's weights."""
    return (folder / "model.safetensors").stat().st_size


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("lora", [LORA, DROPOUT], ids=["plain", "dropout"])
def test_the_reference_is_the_model_as_it_began(
    way: str, lora: dict[str, float], toy: Path
) -> None:
    """After any training it gives the base model's own logits; so does no policy."""
    plain: Any = load(str(toy))[0]
    built = trainer(toy, fine_tune_type=way, lora_parameters=lora)
    began = logits(built.policy.model)
    for index in (1, 2, 3):
        built.learner.step(some_pairs(4, seed=index), index)
    trained = logits(built.policy.model)

    with built.policy.reference() as reference:
        np.testing.assert_array_equal(logits(reference), began)

    if way == "dora":
        # DoRA divides by a norm and multiplies by it again: equal up to rounding.
        np.testing.assert_allclose(began, logits(plain), atol=1e-6)
    else:
        np.testing.assert_array_equal(began, logits(plain))
    assert np.abs(trained - began).max() > 1e-3


@pytest.mark.parametrize("way", WAYS)
def test_the_policy_comes_back_from_its_reference_to_the_bit(
    way: str, toy: Path
) -> None:
    """Also where the block raises."""
    built = trainer(toy, fine_tune_type=way)
    built.learner.step(some_pairs(4), 1)
    before = digest(flat(built.policy.model.parameters()))

    with built.policy.reference():
        assert digest(flat(built.policy.model.parameters())) != before
    assert digest(flat(built.policy.model.parameters())) == before

    with pytest.raises(KeyError), built.policy.reference():
        raise KeyError("a judge that crashed")
    assert digest(flat(built.policy.model.parameters())) == before


@pytest.mark.parametrize("way", WAYS)
def test_a_seed_decides_where_the_adapter_begins(way: str, toy: Path) -> None:
    """Equal seeds begin with equal bits, whatever was drawn before; others do not."""
    one = trainer(toy, fine_tune_type=way, seed=3).policy.initial_digest()
    mx.eval(mx.random.normal((11,)))
    same = trainer(toy, fine_tune_type=way, seed=3).policy.initial_digest()
    other = trainer(toy, fine_tune_type=way, seed=4).policy.initial_digest()

    assert one == same
    assert (one == other) == (way == "full")


def test_policy_reference_and_judge_share_one_model(tmp_path: Path) -> None:
    """A run that is its own judge holds the base once: 1.0 times, not 2 or 3."""
    model, data = wide(tmp_path / "model"), prompts_file(tmp_path / "data", 4)
    gc.collect()
    mx.clear_cache()
    before = mx.get_active_memory()

    with opened(
        tmp_path / "run",
        model=str(model),
        judge=str(model),
        data=str(data),
        judge_system="Judge.",
        lora_parameters={**LORA, "rank": 1},
    ) as run:
        gc.collect()
        held = mx.get_active_memory() - before
        assert isinstance(run.judge, ModelJudge)
        models = {id(run.judge._scorer.model), id(run.policy.model)}

    assert len(models) == 1
    assert 0.95 * base_size(model) < held < 1.25 * base_size(model)


def test_a_judge_of_the_same_weights_elsewhere_is_shared_too(
    toy: Path, data: Path, tmp_path: Path
) -> None:
    """A copy under another path is known by its content and not loaded again."""
    copy = toy_model(tmp_path / "copy")

    with opened(
        tmp_path / "run", model=str(toy), judge=str(copy), data=str(data)
    ) as run:
        assert isinstance(run.judge, ModelJudge)
        assert run.judge._scorer.model is run.policy.model


def test_another_judge_is_a_model_of_its_own(
    toy: Path, opinionated: Path, data: Path, tmp_path: Path
) -> None:
    """Another model as judge is loaded beside the policy, and has no adapters."""
    with opened(
        tmp_path / "run", model=str(toy), judge=str(opinionated), data=str(data)
    ) as run:
        assert isinstance(run.judge, ModelJudge)
        judge = run.judge._scorer.model
    assert judge is not run.policy.model
    assert not any("lora" in name for name in flat(judge.parameters()))


@pytest.mark.parametrize("way", WAYS)
def test_more_layers_than_there_are_is_all_of_them(way: str, toy: Path) -> None:
    """A settings file for a large model serves a small one."""
    nine, every = (
        trainer(toy, fine_tune_type=way, num_layers=number).policy.trainable()
        for number in (9, -1)
    )
    assert nine.keys() == every.keys()


@pytest.mark.parametrize("way", ["lora", "dora"])
def test_keys_that_name_no_layer_are_refused(way: str, toy: Path) -> None:
    """An adapter on nothing would train nothing, in silence."""
    with pytest.raises(UsageError, match="no layer of the model matches"):
        trainer(
            toy, fine_tune_type=way, lora_parameters={**LORA, "keys": ["attention.w"]}
        )


@pytest.mark.parametrize("way", ["lora", "dora"])
def test_an_adapter_on_a_quantized_base_begins_at_zero_too(
    way: str, tmp_path: Path
) -> None:
    """Policy and reference share the four-bit weights; no other copy is made (D15)."""
    built = trainer(quantized(tmp_path / "toy"), fine_tune_type=way)
    kinds = {type(module) for module in built.policy.model.modules()}
    began = logits(built.policy.model)

    result = built.learner.step(some_pairs(3), 1)
    built.learner.step(some_pairs(3), 2)

    assert nn.QuantizedLinear in kinds
    assert result.margins == (0.0, 0.0, 0.0)
    with built.policy.reference() as reference:
        np.testing.assert_array_equal(logits(reference), began)


def test_full_training_of_a_quantized_base_is_refused(tmp_path: Path) -> None:
    """Its matrices cannot move: what would be trained is next to nothing (D15)."""
    model = quantized(tmp_path / "toy")

    with pytest.raises(UsageError, match="quanti"):
        trainer(model, fine_tune_type="full")
