"""What a run computes with: recorded, compared, and probed where it may not repeat."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import pytest

from onlinedpo.engine import environment
from onlinedpo.engine.models.identity import identify
from onlinedpo.engine.training.probe import repeats
from onlinedpo.states.errors import UsageError
from tests.engine.kit import DROPOUT, trainer
from tests.toys import toy_model


def test_the_probe_finds_that_the_cpu_repeats_and_leaves_no_trace(toy: Path) -> None:
    """A gradient taken twice has equal bits; policy and optimizer are as before."""
    built = trainer(toy, lora_parameters=DROPOUT)
    before = built.digest()

    assert repeats(built.learner)

    assert built.digest() == before
    assert not built.policy.model.training


def test_a_cpu_that_openblas_does_not_know_gets_the_kernels_that_it_can_use() -> None:
    """None that has AVX2 computes with those of a CPU that had SSE3."""
    cpu = Path("/proc/cpuinfo")
    modern = cpu.exists() and " avx2 " in cpu.read_text()

    assert not (modern and "Prescott" in environment.describe()["blas"])


def test_what_decides_the_bits_is_recorded_and_compared() -> None:
    """Another BLAS or another MLX is a difference; another Python is none."""
    now = environment.describe()

    assert set(environment.EXACT) <= set(now)
    assert environment.difference(now, now) == ""
    assert environment.difference({**now, "python": "3.0"}, now) == ""
    for key in environment.EXACT:
        told = environment.difference({**now, key: "another"}, now)
        assert told == f"{key} was another, is {now[key]}"


def test_a_run_says_in_a_line_what_it_computes_with() -> None:
    """MLX's version, the device, and whether the same bits come twice."""
    now = environment.describe()

    assert now["mlx"] in environment.line(now, exact=True)
    assert environment.line(now, exact=True).endswith("repeats to the bit")
    assert environment.line(now, exact=False).endswith("does not repeat to the bit")


def test_a_cpu_computes_in_float32(tmp_path: Path) -> None:
    """Half precision is many times slower there: a model is widened when loaded."""
    model = toy_model(tmp_path / "toy")
    file = str(model / "model.safetensors")
    loaded = mx.load(file)
    assert isinstance(loaded, dict)
    halves = {name: value.astype(mx.bfloat16) for name, value in loaded.items()}
    mx.eval(halves)
    mx.save_safetensors(file, halves, metadata={"format": "mlx"})

    built = trainer(model, fine_tune_type="full")

    assert {value.dtype for value in built.policy.initial.values()} == {mx.float32}


def test_a_model_is_known_by_its_content(tmp_path: Path) -> None:
    """Copies are one model; another seed or tokenizer makes another one."""
    one, copy = toy_model(tmp_path / "one"), toy_model(tmp_path / "copy")
    other = toy_model(tmp_path / "other", seed=1)
    spoken = toy_model(tmp_path / "spoken", template="{{ messages }}")

    identity = identify(str(one))

    assert identify(str(copy)).weights == identity.weights
    assert identify(str(copy)).tokenizer == identity.tokenizer
    assert identify(str(other)).weights != identity.weights
    assert identify(str(spoken)).weights == identity.weights
    assert identify(str(spoken)).tokenizer != identity.tokenizer


def test_a_folder_without_a_model_is_a_usage_error(tmp_path: Path) -> None:
    """It is named, and what is missing is said."""
    with pytest.raises(UsageError, match=r"has no config\.json"):
        identify(str(tmp_path))
