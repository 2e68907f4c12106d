"""Where runs rot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journal.memory import in_memory


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory."""
    with in_memory(tmp_path) as folder:
        yield folder
