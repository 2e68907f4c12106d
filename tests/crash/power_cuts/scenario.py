"""A run with all that can happen to it, by the real program, and its every file call.

Prompts go through all states; people answer label files and drop others; checkpoints
are written and pruned; processes end and others take up the run; a tail is torn; the
run is rewound.  `finish` takes it to its end from wherever a crash has left it.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from onlinedpo.engine import loop, run_folder, settings_file
from onlinedpo.engine.observer import Silent
from onlinedpo.engine.reports import metrics
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.engine.start import take_up
from onlinedpo.journal import atomic, disk, frames, rewinding, writer
from onlinedpo.journal.reader import Reader
from onlinedpo.journal.writer import Journal
from onlinedpo.states.people import label_file
from onlinedpo.states.records import Evaluated, Label, Record, Rewound, Step, Vote
from tests.crash.calls import Calls, Fault, watched
from tests.crash.power_cuts.anna import Anna, Told, is_careless
from tests.crash.power_cuts.hashed import numerics
from tests.people.kit import read

SETTINGS: dict[str, Any] = {
    "model": "toy",
    "judge": "toy",
    "data": "toy",
    "iters": 5,
    "batch_size": 2,
    "escalate_below": 0.7,
    "save_every": 1,
    "val_prompts": 0,
    "seed": 1,
    "max_waiting": 3,
    "max_staleness": 1,
    "when_stale": "requeue",
    "annotator": "anna",
}
BACK_TO = 1
_TIMED = ("time", "seconds/", "perf/")
RUN = SimpleNamespace(bytes=bytes(range(16)))


@dataclass(frozen=True, slots=True)
class Ended:
    """The run has said that it is at its end."""


@dataclass(frozen=True, slots=True)
class Appended:
    """The journal has acknowledged a frame."""

    number: int
    records: tuple[Record, ...]


def play(run: Path, told: Told) -> None:
    """The whole scenario: five processes, two of which die in an append."""
    loop.run(run, SETTINGS, Anna(told, stop_after=1))
    die_before_a_sync(run, told)
    loop.run(run, SETTINGS, Anna(told, stop_after=1))
    tear(run)
    finish(run, told)


class Died(BaseException):
    """A process was killed."""


def die_before_a_sync(run: Path, told: Told) -> None:
    """Let a process die with a whole frame written, and not synced."""
    really, syncs = disk.sync, 0

    def sync(fd: int) -> None:
        nonlocal syncs
        syncs += 1
        # The first ones are those of its own segment, and of its first frame.
        if syncs == 3:
            raise Died
        really(fd)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Died):
        patch.setattr(disk, "sync", sync)
        loop.run(run, SETTINGS, Anna(told))


def tear(run: Path) -> None:
    """Let a process die amid the write of a frame."""
    *_, frame = (frame for _, frame in Reader(run / "journal").whole_frames())
    torn, _ = frames.encode_frame(RUN.bytes, frame.chain, frame.number + 1, b"?" * 700)
    fd = disk.open_to_append(max((run / "journal").glob("*.odj")))
    disk.write_all(fd, torn[:-60])
    disk.close(fd)


def finish(run: Path, told: Told = lambda what: None) -> None:
    """Go on with the run from wherever it stands, until it was rewound and ended."""
    loop.run(run, SETTINGS, Anna(told))
    if not any(isinstance(r, Rewound) for r in Reader(run / "journal").records()):
        with take_up(RunFolder(run), Silent()) as journal:
            rewinding.rewind(journal, BACK_TO)
        loop.run(run, SETTINGS, Anna(told))
    told(Ended())


def begin_again(run: Path) -> None:
    """Only take the run up, as far as it goes without any operation of the loop."""
    loop.run(run, SETTINGS, Anna(stop_after=0))


@contextmanager
def prepared() -> Iterator[None]:
    """Within the block runs are as the scenario has them."""
    numbers, row_of = itertools.count(1), metrics.row_of
    in_turn = SimpleNamespace(uuid4=lambda: UUID(int=next(numbers) << 96))

    def untimed(record: Step | Evaluated) -> dict[str, object]:
        row = row_of(record)
        return {name: row[name] for name in row if not name.startswith(_TIMED)}

    with numerics(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_folder, "uuid", SimpleNamespace(uuid4=lambda: RUN))
        # The same calls, of the same lengths, each time: what a power cut may leave is
        # tried at random, and should be tried again where it failed.
        patch.setattr(atomic, "uuid", in_turn)
        patch.setattr(metrics, "row_of", untimed)
        patch.setattr(run_folder, "read_settings", _read_settings)
        patch.setattr(rewinding, "CHUNK", 2)
        patch.setattr(writer, "SEGMENT_LIMIT", 8 << 10)
        yield


@contextmanager
def noted(fault: Fault | None = None, *, closing: bool = False) -> Iterator[Calls]:
    """Within the block all calls are kept, and each append that was acknowledged."""
    really = Journal.append
    with (
        pytest.MonkeyPatch.context() as patch,
        watched(fault, closing=closing) as calls,
    ):

        def append(journal: Journal, batch: Sequence[Record]) -> None:
            really(journal, batch)
            calls.mark(Appended(journal.position[0], tuple(batch)))

        patch.setattr(Journal, "append", append)
        yield calls


def _read_settings(path: Path) -> dict[str, Any]:
    return {**_parsed(path.read_bytes())}


@cache
def _parsed(written: bytes) -> dict[str, Any]:
    """Settings as the program reads them, which takes long, once for each text."""
    with tempfile.NamedTemporaryFile(suffix=".yaml") as file:
        file.write(written)
        file.flush()
        return settings_file.read_settings(Path(file.name))


def outcome(run: Path) -> dict[str, object]:
    """What a run came to in the end, whenever and by how many processes."""
    records = [*Reader(run / "journal").records()]
    ledger = Reader(run / "journal").fold()
    newest = sorted((run / "checkpoints").iterdir())[-2:]
    rows = [json.loads(x) for x in (run / "metrics.jsonl").read_text().splitlines()]
    return {
        "steps": [
            (s.index, s.tickets, s.loss, s.state)
            for s in records
            if isinstance(s, Step)
        ],
        "labels": [
            (r.ticket, r.chosen, r.source, r.reason)
            for r in records
            if isinstance(r, Label)
        ],
        "answers": sorted(
            {
                (v.ticket, v.slot, v.value, v.note)
                for v in records
                if isinstance(v, Vote)
            }
        ),
        "ended": (ledger.finished, ledger.dropped, ledger.next_ticket),
        "metrics": [
            {k: v for k, v in r.items() if k in ("step", "loss")} for r in rows
        ],
        "folders": {
            path.relative_to(run).as_posix(): _content(path)
            for path in sorted(run.rglob("*"))
            if path.relative_to(run).parts[0] in ("adapters", "checkpoints", "labels")
            and not _is_by_the_way(path, newest)
        },
    }


def differences(run: Path, expected: dict[str, object]) -> list[str]:
    """Where a run came to another end, with what it came to."""
    came, found = outcome(run), []
    for name, wanted in expected.items():
        if not isinstance(wanted, dict):
            found += [f"{name}: {came[name]}"] if came[name] != wanted else []
            continue
        parts = came[name]
        assert isinstance(parts, dict)
        for part in sorted(parts.keys() | wanted.keys()):
            here, there = (x.get(part, "absent") for x in (parts, wanted))
            found += (
                [f"{name}: {part}: {here!r}, not {there!r}"] if here != there else []
            )
    return found


def _content(path: Path) -> bytes | None:
    # A manifest names its place in the journal, which depends on the processes.
    known = path.is_file() and path.name != "manifest.json"
    return path.read_bytes() if known else None


def _is_by_the_way(path: Path, newest: list[Path]) -> bool:
    """Whether a file is a note, one that was not synced, or one not answered.

    One that is not wanted any more is kept in done/ where a crash comes between the
    look at it and its end: it may be somebody's.  And a checkpoint that was about to
    be taken away may stay until the next one comes.
    """
    if path.parts[-2] == "checkpoints" or path.parts[-3] == "checkpoints":
        return not {path, path.parent} & {*newest}
    if path.suffix != ".md" or path.name == "guidelines.md":
        return path.suffix in (".receipt", ".error")
    if is_careless(path):
        return True
    case = read(path)
    return label_file.read(path.read_text(), case.ask).choice is None
