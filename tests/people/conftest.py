"""Toys for runs with people; nothing writes to them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.people.kit import Parts, in_a_hurry
from tests.toys import prompts_file, toy_model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A toy model; what it writes is random."""
    return str(toy_model(tmp_path_factory.mktemp("toy") / "toy"))


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Twelve prompts."""
    return str(prompts_file(tmp_path_factory.mktemp("data") / "data"))


@pytest.fixture
def parts(model: str, data: str) -> Parts:
    """Model and data of most runs here."""
    return {"model": model, "data": data}


@pytest.fixture
def human(parts: Parts) -> Parts:
    """The same for a run in which people judge all."""
    return {**parts, "judge": "human"}


@pytest.fixture
def hurry() -> Iterator[None]:
    """Let no run wait for what was saved to settle, nor for its watching to end."""
    with in_a_hurry():
        yield
