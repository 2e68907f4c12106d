"""What runs come to that are not killed."""

from __future__ import annotations

from functools import cache

import pytest

from tests.crash.kills.alone import WAYS, Alone, Way
from tests.crash.kills.kills import passed
from tests.processes import final_bytes, onlinedpo
from tests.toys import toy_flags


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Way:
    """A short run on a toy for each way of training, made when it is asked for."""
    folder = tmp_path_factory.mktemp("toy")
    toy = toy_flags(
        folder,
        held_out=3,
        iters=5,
        batch_size=3,
        max_completion_length=6,
        learning_rate="1e-4",
        steps_per_eval=4,
        steps_per_report=1,
    )

    @cache
    def ended(way: str) -> Alone:
        at, arguments = folder / way, (*toy, *WAYS[way])
        done = onlinedpo("run", at, *arguments, crash=f"list:{folder / 'points'}")
        assert done.code == 0, done.output
        points = passed(folder / "points")
        (folder / "points").unlink()
        return Alone(arguments, final_bytes(at), points)

    return ended
