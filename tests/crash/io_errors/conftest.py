"""Runs whose calls are made to fail."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from onlinedpo.journal import snapshot, writer
from tests.crash.io_errors.place import Place
from tests.crash.power_cuts.hashed import numerics
from tests.journal.memory import in_memory

SETTINGS = (
    *("--model", "m", "--data", "d", "--judge", "human", "--val-prompts", "0"),
    *("--iters", "3", "--batch-size", "2", "--save-every", "1"),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Runs that cost nothing: with hashes for models, and segments that are soon full.

    That syncs are made is seen without them: nobody waits for a drive.
    """
    with (
        in_memory(tmp_path_factory.mktemp("runs")) as folder,
        pytest.MonkeyPatch.context() as patch,
        numerics(),
    ):
        patch.setattr(writer, "SEGMENT_LIMIT", 3000)
        patch.setattr(snapshot, "WORTH", 2000)
        place = Place(folder, *SETTINGS)
        assert len(place.undisturbed.saved) == 6
        yield place
