"""The memory estimate: of the right size, said at the start, and heeded."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from onlinedpo.engine.models import loading, memory
from onlinedpo.engine.models import policy as policies
from onlinedpo.engine.models.memory import Estimate, estimate
from onlinedpo.engine.models.quantizing import WAYS
from onlinedpo.engine.models.size import ModelSize
from onlinedpo.engine.sampler import Request, Sampler
from onlinedpo.engine.tensors import flat
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError
from tests.engine.kit import LORA, labelled, trainer
from tests.engine.runs import Listener, opened
from tests.families import model_of
from tests.toys import toy_model

WIDE = {"hidden_size": 128, "intermediate_size": 384, "head_dim": 64}
PROMPT, COMPLETION = 40, 60


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that outweighs what is around it."""
    return model_of("llama", tmp_path_factory.mktemp("wide") / "model", **WIDE)


@pytest.fixture(scope="module")
def experts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mixture of experts."""
    more = {**WIDE, "moe_intermediate_size": 128}
    return model_of("qwen3_moe", tmp_path_factory.mktemp("moe") / "model", **more)


def settings_of(model: Path, **wanted: Any) -> Settings:
    """Settings of a run that is its own judge."""
    parts = {"model": str(model), "judge": str(model), "batch_size": 4}
    return Settings(**{**parts, "max_completion_length": COMPLETION, **wanted})


def estimated(model: Path, **wanted: Any) -> Estimate:
    """The estimate for such a run."""
    settings = settings_of(model, **wanted)
    return estimate(loading.find(settings), settings, PROMPT)


def added(what: Any) -> int:
    """The most bytes that something adds to what is held."""
    gc.collect()
    mx.clear_cache()
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    what()
    return int(mx.get_peak_memory() - before)


@pytest.mark.parametrize("way", [None, *WAYS])
@pytest.mark.parametrize("kind", ["wide", "experts"])
def test_the_weights_are_counted_as_they_are_held(
    kind: str, way: str | None, request: pytest.FixtureRequest
) -> None:
    """Whole or quantized in memory, dense or of experts: within a hundredth or two."""
    model: Path = request.getfixturevalue(kind)
    settings = settings_of(model, quantize=way)
    base = policies.load(loading.find(settings).base)[0]
    held = sum(tensor.nbytes for tensor in flat(base.parameters()).values())

    # A router of experts is kept in more bits.
    assert estimated(model, quantize=way).weights == pytest.approx(held, rel=0.02)


@pytest.mark.parametrize(
    "wanted",
    [
        {"fine_tune_type": "lora"},
        {"fine_tune_type": "dora"},
        {"fine_tune_type": "full"},
        {"fine_tune_type": "full", "num_layers": 1},
        {"num_layers": 1},
        {"lora_parameters": {**LORA, "keys": ["mlp.up_proj"]}},
    ],
    ids=str,
)
def test_what_is_trained_is_counted_to_the_number(
    wanted: dict[str, Any], wide: Path
) -> None:
    """Adapters of any shape, and whole layers."""
    settings = settings_of(wide, **wanted)
    size = ModelSize.of(wide)
    trained = trainer(wide, **{"lora_parameters": settings.lora_parameters, **wanted})
    numbers = sum(value.size for value in trained.policy.trainable().values())

    if settings.fine_tune_type == "full":
        assert size.in_layers(settings.num_layers) == numbers
    else:
        shape, dora = settings.lora_parameters, settings.fine_tune_type == "dora"
        keys = shape.get("keys")
        last = settings.num_layers
        assert size.adapters(last, shape["rank"], keys, dora=dora) == numbers


@pytest.mark.parametrize(
    "wanted",
    [{}, {"grad_checkpoint": True}, {"fine_tune_type": "full"}, {"quantize": "4bits"}],
    ids=str,
)
def test_the_work_of_a_step_is_estimated_within_a_factor_of_two(
    wanted: dict[str, Any], wide: Path
) -> None:
    """Sampling and training, on the CPU; it is what a batch adds to what is held."""
    built = trainer(wide, batch_size=4, max_completion_length=COMPLETION, **wanted)
    policy, settings = built.policy, settings_of(wide, **wanted)
    prompt, completion = range(4, 4 + PROMPT), range(10, 10 + COMPLETION)
    pairs = [labelled(i, prompt, completion, completion[::-1]) for i in range(4)]
    requests = [Request(list(prompt), [1, 2])] * 4
    sampler = Sampler(policy.model, policy.tokenizer, built.settings)
    sampling, _, training = memory.work(ModelSize.of(wide), [], settings, PROMPT)

    assert 0.5 < sampling / added(lambda: sampler.sample(requests)) < 2
    assert 0.5 < training / added(lambda: built.learner.step(pairs, 1)) < 2


def test_a_judge_and_a_reference_count_if_they_are_other_models(
    wide: Path, toy: Path, tmp_path: Path
) -> None:
    """Those that share the base are there once."""
    small = ModelSize.of(toy).held()

    assert estimated(wide).others == 0
    assert estimated(wide, reference_model_path=str(wide)).others == 0
    assert estimated(wide, judge=str(toy)).others == small
    two = estimated(wide, judge=str(toy), reference_model_path=str(toy))
    assert two.others == 2 * small
    assert estimated(wide, judge="human").others == 0


def test_a_run_says_what_it_will_need(parts: dict[str, Any], tmp_path: Path) -> None:
    """One line at the start, with what it may have."""
    watch = Listener()
    with opened(tmp_path / "run", watch, **parts):
        pass

    (line,) = [line for line in watch.lines if line.startswith("memory: about ")]
    assert " MB needed of " in line
    assert "a batch" in line


def test_a_run_that_passes_the_users_limit_is_refused(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """Before anything is loaded or written, with what makes it smaller."""
    with (
        pytest.raises(
            UsageError, match=r"needs about .* memory_limit_gb is 0\.0001"
        ) as e,
        opened(tmp_path / "run", **parts, memory_limit_gb=1e-4),
    ):
        pass
    assert "--quantize 4bits" in e.value.hint
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("limit", "refused"), [(None, False), (1000, True), (1500, False), (2500, False)]
)
def test_a_device_that_is_too_small_is_told_or_refused(
    limit: int | None, refused: bool
) -> None:
    """Models that cannot fit are refused; a batch that may not is only told of."""
    found = Estimate(900, 0, 200, 1000, limit, chosen=False)
    lines: list[str] = []

    if refused:
        with pytest.raises(UsageError, match="this device has"):
            memory.must_fit(found, lines.append)
    else:
        memory.must_fit(found, lines.append)
    assert any("may be more" in line for line in lines) == (limit == 1500)


def test_the_device_has_some_memory() -> None:
    """Of the machine, or of the container where that is less."""
    found = memory.device_memory()

    assert found is not None
    assert 2**28 < found < 2**50


def test_the_longest_prompt_is_guessed_by_its_letters(tmp_path: Path) -> None:
    """Without a tokenizer, at three letters each."""
    talks = [({"role": "user", "content": "a" * n},) for n in (3, 300)]

    assert memory.longest(talks) == 132
    assert toy_model(tmp_path / "toy").exists()
