"""Toys that many tests share; nothing writes to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine.kit import DROPOUT
from tests.toys import prompts_file, toy_model


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy model with tied embeddings; what it writes and judges is random."""
    return toy_model(tmp_path_factory.mktemp("toy") / "toy")


@pytest.fixture(scope="session")
def opinionated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy model with a head of its own, which as a judge answers A or B."""
    folder = tmp_path_factory.mktemp("opinionated")
    return toy_model(folder / "toy", opinionated=True)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve prompts to train on, three held out."""
    return prompts_file(tmp_path_factory.mktemp("data") / "data", 12, held_out=3)


@pytest.fixture
def parts(toy: Path, data: Path) -> dict[str, Any]:
    """Model, judge and data of most runs here."""
    return {"model": str(toy), "judge": str(toy), "data": str(data)}


@pytest.fixture
def own(tmp_path: Path) -> dict[str, Any]:
    """A model, a judge and data of its own, which a test may change."""
    return {
        "model": str(toy_model(tmp_path / "model")),
        "judge": str(toy_model(tmp_path / "judge", seed=5)),
        "data": str(prompts_file(tmp_path / "data", 7, held_out=2)),
        "iters": 6,
        "steps_per_eval": 2,
        "val_prompts": 2,
        "lora_parameters": DROPOUT,
    }
