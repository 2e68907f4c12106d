"""Where runs are made whose calls fail, and what they come to if nothing does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.journal import snapshot, writer
from tests.crash.io_errors.commands import Ended, command, is_as_undisturbed, outcome
from tests.crash.power_cuts.hashed import numerics
from tests.journal.memory import in_memory

SETTINGS = (
    *("--model", "m", "--data", "d", "--judge", "human", "--val-prompts", "0"),
    *("--iters", "3", "--batch-size", "2", "--save-every", "1"),
)


@dataclass
class Place:
    """Where runs are made, and what they come to if nothing fails."""

    folder: Path
    whole: dict[str, Any]

    @property
    def run(self) -> Path:
        """The run at hand."""
        return self.folder / "run"

    def begin(self, like: Path | None = None) -> Path:
        """A run's folder, as nothing was in it yet or as a copy."""
        shutil.rmtree(self.run, ignore_errors=True)
        if like:
            shutil.copytree(like, self.run, symlinks=True)
        return self.run

    def goes_on(self, *ended: Ended) -> None:
        """A process to which nothing happens ends the run as it would have ended."""
        last = command("run", self.run, *SETTINGS)
        assert last.code == 0, last.err
        is_as_undisturbed(self.run, self.whole, *ended, last)


@contextmanager
def hashed_runs(folder: Path) -> Iterator[Place]:
    """Hashes in the place of models, and segments that are soon full.

    That syncs are made is seen without them: nobody waits for a drive.
    """
    with (
        in_memory(folder) as folder,
        pytest.MonkeyPatch.context() as patch,
        numerics(),
    ):
        patch.setattr(writer, "SEGMENT_LIMIT", 3000)
        patch.setattr(snapshot, "WORTH", 2000)
        whole = folder / "whole"
        ended = command("run", whole, *SETTINGS)
        assert ended.code == 0 and len(ended.saved) == 6, ended.err
        yield Place(folder, outcome(whole))
