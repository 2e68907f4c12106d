"""Hostile models and adapters: headers, configs; and pickles, which are never read."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from onlinedpo.engine.data import pairs, prompts
from onlinedpo.engine.models import beginning, identity, weights
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError
from tests.conftest import Count
from tests.crash.fuzzing.fuzz import Target, fuzz, tiers
from tests.crash.fuzzing.fuzz_changes import MORE, as_json, of_trees, spoilt, ways
from tests.crash.fuzzing.fuzz_made import HEADER, safetensors

FILES = {"quick": 100, "full": 1_500}


@tiers
@ways
def test_headers_of_weights_changed_anyhow(
    way: str, tier: str, tmp_path: Path, count: Count
) -> None:
    """Refused, or tensors whose bytes are there; a claimed length is never taken."""
    path = tmp_path / "x.safetensors"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        for tensor in weights.header(path):
            assert tensor.nbytes <= len(data) and tensor.size >= 0

    name = "headers of weights"
    target = spoilt(way, name, [HEADER], safetensors, read, (UsageError,))
    found = fuzz(target, FILES[tier], count)
    assert found.taken > 3


@tiers
def test_configs_of_models_changed_anyhow(
    tier: str, tmp_path: Path, count: Count
) -> None:
    """config.json of a model, and adapter_config.json beside an adapter."""
    file = tmp_path / "adapters.safetensors"
    file.write_bytes(safetensors(HEADER))

    settings = Settings()

    def read(data: bytes) -> None:
        (tmp_path / "config.json").write_bytes(data)
        (tmp_path / "adapter_config.json").write_bytes(data)
        refused = []
        for ask in (
            lambda: beginning.read(file, settings, {}),
            lambda: identity.config_of(tmp_path),
        ):
            try:
                ask()
            except UsageError as error:
                refused.append(error)
        assert refused, "the adapter does not fit in any case"
        raise refused[0]

    shape = {"rank": 8, "scale": 10.0, "dropout": 0.0}
    config = {"model_type": "qwen3", "fine_tune_type": "lora", "lora_parameters": shape}
    target = Target(
        "configs of models",
        [{**config, "num_layers": 2, "quantization": {"bits": 4}}],
        of_trees(*MORE),
        read,
        (UsageError,),
        written=as_json,
    )
    fuzz(target, FILES[tier], count)


@pytest.mark.parametrize("deep", [b"[" * 100_000, b'{"a":' * 100_000])
def test_what_is_nested_without_end_is_refused(deep: bytes, tmp_path: Path) -> None:
    """In a header, a config, an index; each was a RecursionError once."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(deep).to_bytes(8, "little") + deep)
    (tmp_path / "config.json").write_bytes(deep)
    with pytest.raises(UsageError):
        weights.header(path)
    with pytest.raises(UsageError):
        identity.config_of(tmp_path)
    path.rename(tmp_path / "model-1.safetensors")
    (tmp_path / "model.safetensors.index.json").write_bytes(deep)
    with pytest.raises(UsageError, match="index"):
        weights.tensors(tmp_path)


def test_a_header_that_claims_a_whole_disk_is_not_read(tmp_path: Path) -> None:
    """A sparse file of 8 GB costs no memory."""
    path = tmp_path / "x.safetensors"
    with path.open("wb") as file:
        file.write((8_000_000_000).to_bytes(8, "little"))
        file.truncate(8_000_000_100)
    with pytest.raises(UsageError, match="which none has"):
        weights.header(path)


class Bomb:
    """What makes a folder when it is unpickled."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.made),)


NAMES = ("x.pt", "x.bin", "x.pkl", "x.npy", "x.npz", "x.json", "x.jsonl", "x.csv", "x")


@pytest.mark.parametrize("name", NAMES)
def test_a_pickle_is_never_loaded(name: str, tmp_path: Path) -> None:
    """As data, as pairs, as an adapter, as a model's weights, as settings."""
    made = tmp_path / "made"
    path = tmp_path / name
    path.write_bytes(pickle.dumps(Bomb(made)))
    with pytest.raises(UsageError):
        prompts.load(Settings(data=str(path)))
    with pytest.raises(UsageError):
        pairs.load_pairs(Settings(offline_pairs=str(path)))
    with pytest.raises(UsageError):
        beginning.read(beginning.adapter_file(str(path)), Settings(), {})
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text('{"model_type": "qwen3"}')
    (model / "tokenizer.json").write_text("{}")
    for weight_file in ("pytorch_model.bin", "model.pt", "model.safetensors"):
        (model / weight_file).write_bytes(path.read_bytes())
        with pytest.raises(UsageError):
            identity.identify(str(model))
    assert not made.exists(), "nothing of it was run"
