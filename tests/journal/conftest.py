"""What journal tests share."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journal import audited

MEMORY = Path("/dev/shm")


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of real files for thousands of journals: nobody waits for a drive.

    That the writer does wait for it is what test_synced.py is about.
    """
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    monkeypatch.setattr(os, "fdatasync", lambda fd: None, raising=False)
    monkeypatch.delattr(fcntl, "F_FULLFSYNC", raising=False)
    if not os.access(MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as place:
        yield Path(place)


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
