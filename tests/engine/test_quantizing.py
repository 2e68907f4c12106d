"""QLoRA: bases of few bits, made in memory or written by mlx-lm before."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx_lm.utils import load, quantize_model, save_model

from onlinedpo.engine.fork import fork
from onlinedpo.engine.judges.comparison import Comparison
from onlinedpo.engine.models import policy as policies
from onlinedpo.engine.models.identity import identify
from onlinedpo.engine.models.quantizing import WAYS
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.engine.tensors import flat
from onlinedpo.states.errors import SettingsChanged, UsageError
from onlinedpo.states.records import RunOpened
from tests.engine.kit import some_pairs, trainer
from tests.engine.runs import Listener, go_on, opened, records, steps
from tests.families import model_of
from tests.toys import toy_model

ASKED = mx.array([[3, 50, 60, 70, 80, 2]])


@pytest.fixture(scope="module")
def even(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose every width is that of a whole group."""
    shape = {"hidden_size": 64, "intermediate_size": 128, "head_dim": 32}
    return model_of("llama", tmp_path_factory.mktemp("even") / "model", **shape)


def converted(folder: Path, way: str, of: Path | None = None) -> Path:
    """A model, or else a toy, as `mlx_lm.convert -q` writes it."""
    bits, mode, sizes = WAYS[way]
    if of is None:
        toy_model(folder)
        sizes = sizes[-1:]
    else:
        shutil.copytree(of, folder)
    loaded: Any = load(str(folder), return_config=True)
    model, config = quantize_model(loaded[0], loaded[2], sizes[0], bits, mode=mode)
    save_model(folder, model)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def in_memory(model: Path, way: str) -> nn.Module:
    """A model quantized while it is loaded."""
    return policies.load(replace(identify(str(model)), quantized=way))[0]


@pytest.mark.parametrize("way", WAYS)
def test_a_base_is_quantized_as_mlx_lm_would_write_it(
    way: str, even: Path, tmp_path: Path
) -> None:
    """The same weights and scales to the bit; scales of bytes stay bytes on a CPU."""
    there = converted(tmp_path / "q", way, even)
    ours = flat(in_memory(even, way).parameters())
    theirs = flat(policies.load(identify(str(there)))[0].parameters())

    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert tensor.dtype == theirs[name].dtype
        np.testing.assert_array_equal(np.array(tensor), np.array(theirs[name]))
    kinds = {name.rsplit(".", 1)[-1]: tensor.dtype for name, tensor in ours.items()}
    assert kinds["scales"] == (mx.uint8 if way == "mxfp4" else mx.float32)
    packed = ours["model.layers.0.mlp.up_proj.weight"]
    assert packed.dtype == mx.uint32


@pytest.mark.parametrize(
    "way",
    [
        "4bits",
        "mxfp4",
        pytest.param("6bits", marks=pytest.mark.slow),
        pytest.param("8bits", marks=pytest.mark.slow),
    ],
)
def test_a_run_on_a_quantized_base_resumes_to_the_byte(
    way: str, parts: dict[str, Any], tmp_path: Path
) -> None:
    """Policy and reference are one model: the first loss is ln 2, all margins are 0."""
    wanted = {**parts, "quantize": way, "iters": 2}

    whole = go_on(tmp_path / "whole", **wanted)
    go_on(tmp_path / "cut", Listener(stop_after=1), **wanted)

    assert go_on(tmp_path / "cut") == whole
    first, second = steps(tmp_path / "whole")
    assert set(first.margins) == {0.0}
    assert first.loss == pytest.approx(np.log(2), abs=1e-7)
    assert set(second.margins) != {0.0}
    opening = records(tmp_path / "whole")[0]
    assert isinstance(opening, RunOpened)
    assert opening.model["quantized"] == opening.judge["quantized"] == way


@pytest.mark.parametrize("way", WAYS)
def test_a_base_that_was_quantized_before_is_trained_as_it_is(
    way: str, tmp_path: Path
) -> None:
    """A 4-, 6-, 8-bit or mxfp4 model takes an adapter and keeps its own weights."""
    built = trainer(converted(tmp_path / "q", way))
    began = np.array(built.policy.model(ASKED))

    assert built.learner.step(some_pairs(3), 1).margins == (0.0, 0.0, 0.0)
    assert np.isfinite(built.learner.step(some_pairs(3), 2).loss)

    with built.policy.reference() as reference:
        np.testing.assert_array_equal(np.array(reference(ASKED)), began)


@pytest.mark.parametrize("way", ["4bits", "8bits", "mxfp4"])
def test_dora_goes_on_a_quantized_base(way: str, toy: Path) -> None:
    """Its first step has no margin either."""
    built = trainer(toy, quantize=way, fine_tune_type="dora")

    assert built.learner.step(some_pairs(3), 1).margins == (0.0, 0.0, 0.0)
    assert np.isfinite(built.learner.step(some_pairs(3), 2).loss)


def test_experts_are_quantized_and_their_router_in_more_bits(tmp_path: Path) -> None:
    """A mixture of experts keeps what mlx-lm chooses for its router, and is trained."""
    built = trainer(model_of("qwen3_moe", tmp_path / "moe"), quantize="4bits")
    modules: Any = dict(built.policy.model.named_modules())
    layer = modules["model.layers.0.mlp"]

    assert layer.switch_mlp.up_proj.linear.bits == 4
    assert layer.gate.linear.bits == 8
    assert built.learner.step(some_pairs(2), 1).margins == (0.0, 0.0)
    assert np.isfinite(built.learner.step(some_pairs(2), 2).loss)


def test_a_layer_of_an_odd_width_stays_as_it_is(tmp_path: Path) -> None:
    """No group of weights divides it (D15); the others are quantized."""
    model = in_memory(model_of("llama", tmp_path / "m", intermediate_size=40), "4bits")
    layer: Any = model.layers[0]

    assert type(layer.mlp.down_proj) is nn.Linear
    assert type(layer.mlp.up_proj) is nn.QuantizedLinear


def test_the_judge_that_shares_the_base_sees_it_quantized(
    parts: dict[str, Any], opinionated: Path, tmp_path: Path
) -> None:
    """It is one model, and its verdicts are those of the quantized one."""
    wanted = {**parts, "model": str(opinionated), "judge": str(opinionated)}
    asked = [Comparison(0, ({"role": "user", "content": "Why?"},), "yes", "no")]
    shown = []
    for quantize in (None, "4bits"):
        folder = tmp_path / str(quantize)
        with opened(folder, **wanted, quantize=quantize) as run:
            assert run.judge
            (verdict, _) = run.judge.judge(asked)[0]
            whole = run.policy.model(mx.array([verdict.prompt_tokens]))[0, -1]
            letters = [run.policy.tokenizer.encode(x)[0] for x in "AB"]
            expected = np.array(nn.log_softmax(whole))[letters]
            assert verdict.logprobs == pytest.approx(expected.tolist(), abs=1e-4)
            shown.append(verdict.logprobs)

    assert shown[0] != shown[1]


def test_its_adapter_loads_on_the_base_as_it_was(
    parts: dict[str, Any], even: Path, tmp_path: Path
) -> None:
    """And on a base that mlx-lm quantized alike, where it is the policy to the bit."""
    parts |= {"model": str(even), "judge": str(even)}
    with opened(tmp_path / "run", **parts, quantize="4bits") as run:
        run.learner.step(some_pairs(3), 1)
        logits = np.array(run.policy.model(ASKED))
        adapter = tmp_path / "adapter"
        adapter.mkdir()
        mx.save_safetensors(
            str(adapter / "adapters.safetensors"), run.policy.trainable()
        )
    go_on(tmp_path / "run", iters=1)
    told = tmp_path / "run" / "adapters" / "adapter_config.json"
    (adapter / "adapter_config.json").write_text(told.read_text())
    assert json.loads(told.read_text())["quantize"] == "4bits"

    wide: Any = load(str(even), adapter_path=str(adapter))[0]
    alike = converted(tmp_path / "q", "4bits", even)
    same: Any = load(str(alike), adapter_path=str(adapter))[0]

    np.testing.assert_array_equal(np.array(same(ASKED)), logits)
    assert np.abs(np.array(wide(ASKED)) - logits).max() < 0.5


def test_a_quantized_base_is_not_quantized_again(tmp_path: Path) -> None:
    """It is refused by name, with what to do."""
    model = converted(tmp_path / "q", "8bits")

    with pytest.raises(UsageError, match="quantized already") as caught:
        in_memory(model, "4bits")
    assert "Leave quantize out" in caught.value.hint


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"fine_tune_type": "full"}, "cannot be trained in full"),
        ({"fine_tune_type": "dora", "quantize": "6bits"}, "dora on weights of 6 bits"),
    ],
    ids=["full", "dora"],
)
def test_what_cannot_be_trained_quantized_is_refused(
    wanted: dict[str, Any], told: str, toy: Path, tmp_path: Path
) -> None:
    """By the settings alone, and for a base that was quantized before."""
    wanted = {"quantize": "4bits", **wanted}
    with pytest.raises(UsageError, match=told):
        trainer(toy, **wanted)
    with pytest.raises(UsageError, match=told):
        trainer(
            converted(tmp_path / "q", wanted["quantize"]),
            fine_tune_type=wanted["fine_tune_type"],
        )


def test_a_run_goes_on_with_as_many_bits(parts: dict[str, Any], tmp_path: Path) -> None:
    """Other bits are another model."""
    go_on(tmp_path / "run", **parts, quantize="4bits", iters=1)

    with pytest.raises(SettingsChanged, match="quantize"):
        go_on(tmp_path / "run", quantize="8bits", iters=2)


def test_a_fork_whose_judge_is_the_base_goes_on(
    parts: dict[str, Any], opinionated: Path, tmp_path: Path
) -> None:
    """The fork knows without loading it that the judge will see it quantized."""
    run, new = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "new")
    wanted = {**parts, "judge": str(opinionated), "quantize": "4bits"}
    go_on(run.path, **wanted, iters=1)

    fork(run, new, {"judge": parts["model"], "iters": 2})
    go_on(new.path)

    assert len(steps(new.path)) == 2
