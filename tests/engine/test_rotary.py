"""How positions are encoded: as the checkpoint says, or no run at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.engine.models import policy
from onlinedpo.engine.models.identity import identify
from onlinedpo.states.errors import UsageError
from tests.families import model_of
from tests.toys import toy_model

THETA = {"rope_theta": 500000.0, "rope_type": "default"}
SCALED = {
    **THETA,
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 4096,
}


def as_transformers_5(family: str, folder: Path, nested: dict[str, Any]) -> str:
    """A checkpoint whose configuration has it in one mapping only."""
    path = toy_model(folder) if family == "qwen3" else model_of(family, folder)
    config = json.loads((path / "config.json").read_text())
    del config["rope_theta"]
    config["rope_parameters"] = nested
    (path / "config.json").write_text(json.dumps(config))
    return str(path)


@pytest.mark.parametrize("nested", [THETA, SCALED], ids=["base", "scaled"])
def test_what_mlx_lm_does_not_read_is_refused(
    nested: dict[str, Any], tmp_path: Path
) -> None:
    """It would take its defaults in silence, and train another model."""
    model = as_transformers_5("llama", tmp_path / "model", nested)

    with pytest.raises(UsageError, match=r"rope_theta 10000, .* 500000\.0") as refused:
        policy.load(identify(model))

    assert '"rope_theta": 500000.0' in refused.value.hint


def test_a_scaling_that_is_not_read_is_refused(tmp_path: Path) -> None:
    """Also where the base is spelled out as mlx-lm has it."""
    model = as_transformers_5("llama", tmp_path / "model", SCALED)
    path = tmp_path / "model" / "config.json"
    config = {**json.loads(path.read_text()), "rope_theta": 500000.0}
    path.write_text(json.dumps(config))

    with pytest.raises(UsageError, match="rope_scaling None"):
        policy.load(identify(model))


def test_what_it_reads_is_taken(tmp_path: Path) -> None:
    """By an architecture that knows the newer form, and in the older form by all."""
    newer = as_transformers_5("qwen3", tmp_path / "newer", THETA)
    loaded, _ = policy.load(identify(newer))
    assert loaded.args.rope_theta == 500000.0

    older, _ = policy.load(identify(str(model_of("llama", tmp_path / "older"))))
    assert older.args.rope_theta == 10000.0


def test_the_hint_mends_it(tmp_path: Path) -> None:
    """Written out as it says, the model loads, with what the checkpoint has."""
    model = as_transformers_5("llama", tmp_path / "model", THETA)
    path = tmp_path / "model" / "config.json"
    config = {**json.loads(path.read_text()), "rope_theta": 500000.0}
    path.write_text(json.dumps(config))

    loaded, _ = policy.load(identify(model))

    assert loaded.args.rope_theta == 500000.0
