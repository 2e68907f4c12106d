"""Real files that lie in memory: nobody waits for a drive."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")


@contextmanager
def in_memory(otherwise: Path) -> Iterator[Path]:
    """A folder for thousands of journals, and no sync within the block.

    That the writer does wait for the disk is what test_synced.py is about.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda fd: None)
        patch.setattr(os, "fdatasync", lambda fd: None, raising=False)
        patch.delattr(fcntl, "F_FULLFSYNC", raising=False)
        if not os.access(MEMORY, os.W_OK):
            yield otherwise
            return
        with tempfile.TemporaryDirectory(dir=MEMORY) as place:
            yield Path(place)
