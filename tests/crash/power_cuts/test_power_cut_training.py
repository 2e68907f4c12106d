"""The power fails while a real model is trained: the run ends with the same bits."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from onlinedpo.states.records import Step
from tests.conftest import Count
from tests.crash.power_cuts import cuts, simulated
from tests.crash.power_cuts.scenario import noted
from tests.engine.kit import DROPOUT
from tests.engine.runs import Listener, go_on, outcome, records
from tests.toys import prompts_file, toy_model

pytestmark = pytest.mark.slow

TRIED = 40


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder that is quick to write to."""
    quick = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=quick if quick.is_dir() else None) as place:
        yield Path(place)


@pytest.mark.parametrize("save_every", [1, 2])
def test_a_run_ends_with_the_same_bits_after_a_power_cut(
    save_every: int, memory: Path, count: Count
) -> None:
    """Adapter, optimizer, losses and all: whatever the disk has kept."""
    model = str(toy_model(memory / "toy"))
    wanted = {
        **{"model": model, "judge": model, "data": str(prompts_file(memory / "data"))},
        **{"lora_parameters": DROPOUT, "save_every": save_every, "iters": 4},
    }
    disk = memory / "disk"
    disk.mkdir()
    with noted() as calls:
        go_on(disk / "run", Listener(stop_after=2), **wanted)
        whole = go_on(disk / "run")
    tried = cuts.every(disk, calls, None, 2)
    for cut in random.Random(save_every).sample(tried, TRIED):
        simulated.put(memory / "left", cut.left)
        run = memory / "left" / "run"
        assert go_on(run, **wanted) == whole, f"after call {cut.place}"
        assert outcome(run) == outcome(disk / "run")
        assert len([r for r in records(run) if isinstance(r, Step)]) == 4
    count("runs of a real model that ended with the same bits after a crash", TRIED)
