"""What journal tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journal import audited
from tests.journal.memory import in_memory


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    """A folder of real files for thousands of journals: nobody waits for a drive."""
    with in_memory(tmp_path) as place:
        yield place


@pytest.fixture(scope="session")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a model as judge; nothing writes to it."""
    return audited.judged(tmp_path_factory.mktemp("judged"))


@pytest.fixture(scope="session")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that people judged; nothing writes to it."""
    return audited.answered(tmp_path_factory.mktemp("answered"))


@pytest.fixture(scope="session")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose judge asked people; nothing writes to it."""
    return audited.mixed(tmp_path_factory.mktemp("mixed"))
