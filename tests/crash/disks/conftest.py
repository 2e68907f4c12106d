"""A short run on a toy; nothing writes to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes import onlinedpo
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
    run = tmp_path_factory.mktemp("whole") / "run"
    ended = onlinedpo("run", run, *flags)
    assert ended.code == 0, ended.output
    return run
