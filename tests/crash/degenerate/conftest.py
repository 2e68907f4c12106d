"""What degenerate runs are made of, once for all tests."""

from __future__ import annotations

import pytest

from tests.crash.degenerate.degenerate import Parts


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """Models and data, which nothing writes to."""
    return Parts(tmp_path_factory.mktemp("parts"))
