"""The power fails at any moment: nothing that was acknowledged is lost.

A run with all that can happen to it is recorded, call by call.  Then for each moment
the disks are built that a power cut may leave, and the program takes the run up there.
`pytest -m slow tests/crash` does all with more seeds, and goes on to the end from each
place where a run can stand.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import TypeVar

import pytest

from onlinedpo.journal.atomic import TEMPORARY
from onlinedpo.journal.reader import SUFFIX, Reader
from onlinedpo.states.records import Record, Vote
from tests.conftest import Count
from tests.crash.calls import Call, Calls
from tests.crash.power_cuts import cuts, scenario, simulated
from tests.crash.power_cuts.cuts import Cut
from tests.crash.power_cuts.promises import Promises, Stands

T = TypeVar("T")

MEMORY = Path("/dev/shm")
SHARES = 4
"""The work is cut in so many parts, for as many processes."""


@dataclass(frozen=True)
class Effort:
    """How much is tried, in one share of the work."""

    share: int
    seeds: int
    """Random disks for each call."""
    ends: int
    """Runs that go on to their end."""
    recoveries: int
    """Recoveries that are cut off in their turn."""
    kills: int
    """Processes killed at random before that."""

    def of(self, whole: list[T]) -> list[T]:
        """Its part of them."""
        return whole[self.share :: SHARES]


efforts = pytest.mark.parametrize(
    "effort",
    [
        *(Effort(share, 8, 15, 3, 0) for share in range(SHARES)),
        *(
            pytest.param(Effort(share, 100, 10_000, 60, 60), marks=pytest.mark.slow)
            for share in range(SHARES)
        ),
    ],
    ids=lambda effort: f"{effort.share}-{effort.seeds}",
)


@dataclass(frozen=True)
class Recording:
    """A whole run as it was recorded, and room for others."""

    place: Path
    calls: Calls
    known: dict[int, list[Cut]] = field(default_factory=dict)

    @property
    def run(self) -> Path:
        """The run."""
        return self.place / "disk" / "run"

    def cuts(self, seeds: int) -> list[Cut]:
        """What power cuts may leave of it."""
        if seeds not in self.known:
            disk = self.place / "disk"
            self.known[seeds] = cuts.every(disk, self.calls, None, seeds)
        return self.known[seeds]

    def left(self, cut: Cut) -> Path:
        """Let a disk be as a power cut has left it; the run on it."""
        simulated.put(self.place / "left", cut.left)
        return self.place / "left" / "run"


@pytest.fixture(scope="module")
def recorded() -> Iterator[Recording]:
    """The scenario, recorded; nothing writes to it."""
    memory = MEMORY if MEMORY.is_dir() else None
    with scenario.prepared(), tempfile.TemporaryDirectory(dir=memory) as place:
        run = Path(place) / "disk" / "run"
        run.parent.mkdir()
        with scenario.noted() as calls:
            scenario.play(run, calls.mark)
        yield Recording(Path(place), calls)


@pytest.fixture(scope="module")
def expected(recorded: Recording) -> dict[str, object]:
    """What the run came to that nobody interrupted."""
    scenario.finish(recorded.place / "whole")
    return scenario.outcome(recorded.place / "whole")


@contextmanager
def telling(cut: Cut) -> Iterator[None]:
    """Let what fails say where the power was cut."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"after call {cut.place}, with {cut.told.frames} frames")
        raise


def test_no_change_of_a_file_escapes_the_recording(recorded: Recording) -> None:
    """The simulated disk comes to hold what the real one does, to the byte."""
    *_, disk = simulated.replayed(recorded.place / "disk", recorded.calls.made, {})
    assert disk.now() == simulated.read(recorded.place / "disk")


def test_everything_happens_in_the_scenario(recorded: Recording) -> None:
    """What can happen to a prompt, a label file, a checkpoint and a journal."""
    records: list[Record] = [*Reader(recorded.run / "journal").records()]
    ledger = Reader(recorded.run / "journal").fold()
    assert {type(record).__name__ for record in records} >= {
        *("Sampled", "Submitted", "Verdict", "Label", "Dropped", "Step", "Escalated"),
        *("Vote", "Bundle", "ProcessStarted", "TailCut", "Restored", "Rewound"),
    }
    assert {"identical", "too old, to be sampled again"} & {*ledger.dropped}
    votes = [record for record in records if isinstance(record, Vote)]
    assert {vote.path.split("/")[0] for vote in votes} == {"todo", "done"}
    assert any(vote.source == "file" for vote in votes), "dropped into inbox/"
    careless = [v for v in votes if v.path.startswith("todo") and v.ticket % 3 == 1]
    assert careless, "saved without a sync"
    pruned = {
        call.path.name
        for call in recorded.calls.made
        if call.name == "rename" and call.path.parent.name == "checkpoints"
    }
    assert len([name for name in pruned if name.startswith("step-")]) >= 3
    assert len([*recorded.run.glob("journal/*.odj")]) >= 4


@efforts
def test_what_was_acknowledged_outlives_a_power_cut(
    effort: Effort, recorded: Recording, expected: dict[str, object], count: Count
) -> None:
    """All of it is there, the rest is whole or absent, and the end is the same."""
    promises = Promises(recorded.run, recorded.calls)
    found: dict[Stands | None, Cut] = {}
    tried = effort.of(recorded.cuts(effort.seeds))
    for cut in tried:
        with telling(cut):
            stands = promises.kept(recorded.left(cut), cut.told)
        found.setdefault(stands, cut)
    ends = [*found.values()][:: -(-len(found) // effort.ends)]
    for cut in ends:
        with telling(cut):
            run = recorded.left(cut)
            scenario.finish(run)
            assert scenario.differences(run, expected) == []
    count("crash states", len(tried))
    count("runs that went on to the same end after a crash", len(ends))


@efforts
def test_a_recovery_outlives_a_power_cut_too(
    effort: Effort, recorded: Recording, expected: dict[str, object], count: Count
) -> None:
    """The second recovery does as well as the first would have done."""
    promises = Promises(recorded.run, recorded.calls)
    for first in various(effort, promises, recorded):
        run = recorded.left(first)
        with scenario.noted() as calls, telling(first):
            scenario.begin_again(run)
        seconds = cuts.every(run.parent, calls, first, effort.seeds // 3)
        count("crash states in a recovery", len(seconds))
        with telling(first):
            check(seconds, Promises(run, calls), recorded, expected)


@efforts
def test_a_kill_and_then_a_power_cut_are_outlived(
    effort: Effort, recorded: Recording, expected: dict[str, object], count: Count
) -> None:
    """What a killed process had not synced, the next one must not build on."""
    for killed in effort.of(moments(recorded.calls, effort)):
        run = recorded.place / "left" / "run"
        with scenario.noted() as calls:
            for call in recorded.calls.made[:killed]:
                calls.made.append(elsewhere(call, recorded.place / "disk", run.parent))
            calls.marks += [m for m in recorded.calls.marks if m[0] <= killed]
            *_, disk = simulated.replayed(run.parent, calls.made, {})
            simulated.put(run.parent, disk.now())
            scenario.begin_again(run)
        seconds = cuts.every(run.parent, calls, None, effort.seeds // 8, killed)
        count("crash states in a recovery", len(seconds))
        check(seconds, Promises(run, calls), recorded, expected)


def check(
    tried: list[Cut],
    promises: Promises,
    recorded: Recording,
    expected: dict[str, object],
) -> None:
    """All is there after each of these, and after the last one the end is the same."""
    for cut in tried:
        with telling(cut):
            promises.kept(recorded.left(cut), cut.told)
    with telling(tried[-1]):
        run = recorded.left(tried[-1])
        scenario.finish(run)
        assert scenario.differences(run, expected) == []


def various(effort: Effort, promises: Promises, recorded: Recording) -> list[Cut]:
    """Power cuts after which there is something to recover, of every kind."""
    tried = effort.of(recorded.cuts(effort.seeds))
    kinds: dict[object, list[Cut]] = {}
    for cut in random.Random(effort.share).sample(tried, 12 * effort.recoveries):
        stands = promises.kept(recorded.left(cut), cut.told)
        kind = stands and (stands.is_torn, stands.is_behind)
        kinds.setdefault(kind, []).append(cut)
    in_turn = [
        cut for of_each in zip_longest(*kinds.values()) for cut in of_each if cut
    ]
    return in_turn[: effort.recoveries]


def moments(calls: Calls, effort: Effort) -> list[int]:
    """When to kill a process: after each name that is to last, and at random.

    The next process finds a folder or a segment whose name was not synced.
    """
    named = [
        (n, call.to or call.path)
        for n, call in enumerate(calls.made, 1)
        if call.name == "mkdir" or (call.to and call.to.suffix == SUFFIX)
    ]
    lasting = [n for n, path in named if TEMPORARY not in str(path)]
    others = random.Random(0).sample(range(len(calls.made)), effort.kills * SHARES)
    return [*lasting, *others]


def elsewhere(call: Call, root: Path, other: Path) -> Call:
    """The same call below another folder."""
    to = call.to and other / call.to.relative_to(root)
    if not call.path.is_relative_to(root):
        return replace(call, path=other.parent)
    return replace(call, path=other / call.path.relative_to(root), to=to)
