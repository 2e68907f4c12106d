"""A short run on a toy; nothing writes to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes import left_alone
from tests.toys import toy_flags


@pytest.fixture(scope="session")
def flags(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Three steps on a toy that judges itself, with a checkpoint after each."""
    return toy_flags(
        tmp_path_factory.mktemp("toy"),
        iters=3,
        batch_size=2,
        max_completion_length=4,
        save_every=1,
        val_prompts=0,
    )


@pytest.fixture(scope="session")
def whole(flags: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run with these flags, left alone."""
    return left_alone(tmp_path_factory.mktemp("whole") / "run", *flags)
