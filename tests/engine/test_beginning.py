"""A policy that begins from an adapter: that is the reference; the judge has none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm.utils import load

from onlinedpo.engine.judges.comparison import Comparison
from onlinedpo.engine.rebuild import rebuild
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.journal import disk
from onlinedpo.states.errors import SettingsChanged, UsageError
from onlinedpo.states.records import RunOpened
from tests.engine.kit import LORA, WAYS, some_pairs, trainer
from tests.engine.runs import Listener, go_on, opened, records, steps
from tests.toys import toy_model

ASKED = mx.array([[3, 50, 60, 70, 80, 2]])


@pytest.fixture(scope="module")
def tuned(toy: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Adapters of an earlier training, one folder for each way."""
    folder = tmp_path_factory.mktemp("tuned")
    parts = {"model": str(toy), "judge": str(toy), "data": str(data), "iters": 1}
    for way in WAYS:
        go_on(folder / f"run-{way}", **parts, fine_tune_type=way, learning_rate=0.02)
        shutil.copytree(folder / f"run-{way}" / "adapters", folder / way)
    return folder


@pytest.mark.parametrize("way", WAYS)
def test_an_adapter_to_begin_from_is_the_reference(
    way: str, tuned: Path, parts: dict[str, Any], tmp_path: Path
) -> None:
    """The first loss is ln 2 and the margins 0, in a model that is the adapter's."""
    adapted: Any = load(parts["model"], adapter_path=str(tuned / way))[0]
    adapted.eval()
    plain: Any = load(parts["model"])[0]
    wanted = {**parts, "fine_tune_type": way, "resume_adapter_file": str(tuned / way)}
    with opened(tmp_path / "run", **wanted) as run:
        began = np.array(run.policy.model(ASKED))
        result = run.learner.step(some_pairs(3), 1)
        with run.policy.reference() as reference:
            held_to = np.array(reference(ASKED))
        with run.policy.base() as base:
            judged_by = np.array(base(ASKED))

    np.testing.assert_array_equal(began, np.array(adapted(ASKED)))
    np.testing.assert_array_equal(held_to, began)
    # DoRA divides by a norm and multiplies by it again: equal up to rounding.
    np.testing.assert_allclose(judged_by, np.array(plain(ASKED)), atol=1e-6)
    assert np.abs(judged_by - began).max() > 1e-3
    assert set(result.margins) == {0.0}
    assert result.loss == pytest.approx(np.log(2), abs=1e-7)


@pytest.mark.parametrize("held_to", ["adapter", "other"])
def test_the_judge_is_the_base_without_any_adapter(
    held_to: str, tuned: Path, parts: dict[str, Any], tmp_path: Path
) -> None:
    """Whatever the reference is: its verdicts are those of the plain model."""
    asked = [Comparison(0, ({"role": "user", "content": "Why?"},), "yes", "no")]
    with opened(tmp_path / "plain", **parts) as run:
        assert run.judge
        plain = [v.logprobs for v in run.judge.judge(asked)[0]]
    more = {"resume_adapter_file": str(tuned / "lora")}
    if held_to == "other":
        more = {"reference_model_path": str(toy_model(tmp_path / "other", seed=7))}

    with opened(tmp_path / "run", **parts, **more) as run:
        assert run.judge
        run.learner.step(some_pairs(3), 1)
        assert [v.logprobs for v in run.judge.judge(asked)[0]] == plain


def test_such_a_run_resumes_and_is_rebuilt_to_the_byte(
    tuned: Path, parts: dict[str, Any], tmp_path: Path
) -> None:
    """The adapter is read again, by file or by folder, wherever it lies now."""
    file = shutil.copytree(tuned / "lora", tmp_path / "sft") / "adapters.safetensors"
    wanted = {**parts, "resume_adapter_file": str(file), "iters": 2}
    whole = go_on(tmp_path / "whole", **wanted)
    go_on(tmp_path / "run", Listener(stop_after=1), **wanted)
    moved = file.parent.rename(tmp_path / "moved")

    assert go_on(tmp_path / "run", resume_adapter_file=str(moved)) == whole
    again = tmp_path / "again"
    found = rebuild(RunFolder(tmp_path / "run"), again, Listener(), to=None, model=None)
    assert found.first is None
    assert len(steps(tmp_path / "run")) == 2


def test_a_changed_adapter_is_noticed(
    tuned: Path, parts: dict[str, Any], tmp_path: Path
) -> None:
    """Its digest is in the journal; another one is refused by name, with code 4."""
    sft = shutil.copytree(tuned / "lora", tmp_path / "sft")
    go_on(tmp_path / "run", **parts, resume_adapter_file=str(sft), iters=1)
    opening = records(tmp_path / "run")[0]
    assert isinstance(opening, RunOpened)
    assert opening.model["adapter"] == disk.file_digest(sft / "adapters.safetensors")

    loaded: Any = mx.load(str(sft / "adapters.safetensors"))
    changed = {name: value + 1e-3 for name, value in loaded.items()}
    mx.eval(changed)
    mx.save_safetensors(str(sft / "adapters.safetensors"), changed)
    with pytest.raises(SettingsChanged, match=r"model changed .*adapter") as caught:
        go_on(tmp_path / "run", iters=2)
    assert caught.value.exit_code == 4
    with pytest.raises(SettingsChanged, match=r"model changed .*adapter"):
        go_on(tmp_path / "run", iters=2, resume_adapter_file=None)


@pytest.mark.parametrize(
    ("wanted", "told", "hint"),
    [
        ({"lora_parameters": {**LORA, "rank": 2}}, "has rank 4, and", '"rank": 4'),
        ({"lora_parameters": {**LORA, "scale": 9.0}}, "has scale 2.0, and", "scale"),
        (
            {"lora_parameters": {**LORA, "keys": ["mlp.up_proj"]}},
            "does not fit",
            "give",
        ),
        ({"num_layers": 1}, "tensors that are not trained here", "num_layers: -1"),
        ({"fine_tune_type": "dora"}, "of fine_tune_type lora", '"lora"'),
        ({"fine_tune_type": "full"}, "of fine_tune_type lora", '"lora"'),
    ],
    ids=str,
)
def test_an_adapter_of_another_shape_is_refused(
    wanted: dict[str, Any], told: str, hint: str, tuned: Path, toy: Path
) -> None:
    """With what differs, and the settings that it was made with."""
    with pytest.raises(UsageError, match=told) as caught:
        trainer(toy, resume_adapter_file=str(tuned / "lora"), **wanted)
    assert hint in caught.value.hint


def test_an_adapter_without_its_settings_is_known_by_its_tensors(
    tuned: Path, toy: Path, tmp_path: Path
) -> None:
    """Names and shapes must be those that are trained; then it is taken."""
    file = str(shutil.copy(tuned / "lora" / "adapters.safetensors", tmp_path))

    assert trainer(toy, resume_adapter_file=file).policy.initial
    with pytest.raises(UsageError, match=r", 4\) there, and \(\d+, 2\) here"):
        trainer(toy, resume_adapter_file=file, lora_parameters={**LORA, "rank": 2})


@pytest.mark.parametrize("what", ["missing", "empty", "peft", "cut", "text", "config"])
def test_a_file_that_is_no_adapter_is_refused(
    what: str, tuned: Path, toy: Path, tmp_path: Path
) -> None:
    """By its name, with what is wrong."""
    sft = shutil.copytree(tuned / "lora", tmp_path / "sft")
    file, told = sft / "adapters.safetensors", "there is no adapter"
    match what:
        case "missing":
            sft = tmp_path / "nowhere"
        case "empty":
            file.unlink()
        case "peft":
            file.rename(sft / "adapter_model.safetensors")
        case "cut":
            file.write_bytes(file.read_bytes()[:-7])
            told = "its last 7 bytes are missing"
        case "text":
            file.write_text("not tensors at all")
            told = "cannot be read"
        case _:
            (sft / "adapter_config.json").write_text("{")
            told = "adapter_config.json cannot be read"

    with pytest.raises(UsageError, match=told) as caught:
        trainer(toy, resume_adapter_file=str(sft))
    assert ("PEFT" in caught.value.hint) == (what == "peft")
    assert str(sft) in str(caught.value)


def test_the_adapter_that_comes_out_says_what_it_is(
    tuned: Path, parts: dict[str, Any], tmp_path: Path
) -> None:
    """It holds the earlier training too, so mlx-lm needs no other."""
    wanted = {**parts, "resume_adapter_file": str(tuned / "lora"), "iters": 1}
    go_on(tmp_path / "run", **wanted)
    adapters = tmp_path / "run" / "adapters"
    with opened(tmp_path / "run") as run:
        logits = np.array(run.policy.model(ASKED))

    adapted: Any = load(parts["model"], adapter_path=str(adapters))[0]
    adapted.eval()

    np.testing.assert_array_equal(np.array(adapted(ASKED)), logits)
    told = json.loads((adapters / "adapter_config.json").read_text())
    assert told["lora_parameters"] == LORA
