"""A run that waits for people, and a folder beside it that is none of its business."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.hostile.hostile import SECRET, Waiting, within


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of somebody else, with a secret in it."""
    folder = tmp_path / "outside"
    (folder / "inner").mkdir(parents=True)
    (folder / "secret").write_bytes(SECRET)
    (folder / "secret.md").write_bytes(SECRET)
    (folder / "inner" / "a.jsonl").write_bytes(SECRET)
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Waiting]:
    """A run in which three pairs wait; it must not hang."""
    (tmp_path / "run").mkdir()
    with within(30):
        yield Waiting(tmp_path / "run")
