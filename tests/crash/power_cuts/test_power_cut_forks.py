"""The power fails while a run is forked or salvaged: the new one is whole or absent."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from onlinedpo.engine.fork import fork
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.journal.repair.salvage import salvage
from tests.conftest import Count
from tests.crash.calls import Calls, watched
from tests.crash.power_cuts import cuts, scenario, simulated
from tests.crash.power_cuts.cuts import Cut
from tests.crash.power_cuts.promises import Told

Way = Callable[[Path, Path], object]


def same_labels(run: Path, new: Path) -> object:
    """A fork after a step, with its checkpoint."""
    return fork(RunFolder(run), RunFolder(new), {}, at=4)


def by_people(run: Path, new: Path) -> object:
    """A fork that takes all steps again, as people say."""
    return fork(RunFolder(run), RunFolder(new), {}, labels="human")


def salvaged(run: Path, new: Path) -> object:
    """What is sound in a damaged run."""
    return salvage(run, new)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A folder with a run that is at its end."""
    with scenario.prepared():
        scenario.finish(tmp_path / "disk" / "run")
    return tmp_path / "disk"


def damage(run: Path) -> None:
    """Let one byte in the midst of the journal be another."""
    segment = sorted(run.glob("journal/*.odj"))[1]
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)


def below(state: simulated.State, name: str) -> simulated.State:
    """What a disk holds in a folder, but for the lock's text."""
    return {
        path: content
        for path, content in state.items()
        if path.split("/")[0] == name and not path.endswith("journal/lock")
    }


def whole_or_absent(disk: Path, before: simulated.State, calls: Calls) -> list[Cut]:
    """What was made in `new` is so after every cut, and `run` as it was; all cuts."""
    made = below(simulated.read(disk), "new")
    assert made
    tried = cuts.every(disk, calls, Cut(0, before, Told()), 10)
    for cut in tried:
        new = below(cut.left, "new")
        assert below(cut.left, "run") == below(before, "run")
        assert new in ({}, made), f"after call {cut.place}"
        assert new or cut.place < len(calls.made), "it was said to be made"
    return tried


@pytest.mark.parametrize("way", [same_labels, by_people, salvaged])
def test_a_new_run_is_whole_or_absent(
    way: Way, disk: Path, tmp_path: Path, count: Count
) -> None:
    """The old one is not touched, and what was cut off can be done again."""
    if way is salvaged:
        damage(disk / "run")
    before = simulated.read(disk)
    with watched() as calls:
        way(disk / "run", disk / "new")
    made = below(simulated.read(disk), "new")
    tried = whole_or_absent(disk, before, calls)
    absent = [cut for cut in tried if not below(cut.left, "new")]
    for cut in random.Random(0).sample(absent, 10):
        left = tmp_path / "left"
        simulated.put(left, cut.left)
        way(left / "run", left / "new")
        assert below(simulated.read(left), "new").keys() == made.keys()
        assert not [*left.glob(".tmp-*")], "what was half-made is gone"
    count("crash states of forks and salvages", len(tried))
