"""What must hold of a run after a power cut, whatever the disk has kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from onlinedpo.engine.observer import Silent
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.engine.start import take_up
from onlinedpo.journal import atomic, manifest
from onlinedpo.journal.frames import decode_segment
from onlinedpo.journal.label_folder import LabelFolder
from onlinedpo.journal.reader import Reader, segments
from onlinedpo.journal.writer import Journal
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import Record, Rewound, Step, Vote
from tests.crash.calls import Call, Calls
from tests.crash.power_cuts.anna import Saved
from tests.crash.power_cuts.scenario import Appended, Ended
from tests.crash.power_cuts.simulated import read


@dataclass(frozen=True, slots=True)
class Told:
    """What had been acknowledged when the power went."""

    frames: int = 0
    """Frames of the journal."""
    saved: frozenset[bytes] = frozenset()
    """Files that people had saved and synced."""
    checkpoints: frozenset[int] = frozenset()
    """Steps whose checkpoint was committed, and not begun to be taken away."""
    ended: bool = False
    """Whether the run was at its end."""

    def and_then(self, what: object) -> Told:
        """The same after one more acknowledgement, or a call that takes one away."""
        match what:
            case Ended():
                return replace(self, ended=True)
            case Saved(raw=raw):
                return replace(self, saved=self.saved | {raw})
            case Appended(number=number, records=records):
                kept = self.checkpoints
                for record in records:
                    kept = _kept_after(record, kept)
                return replace(self, frames=number, checkpoints=kept)
            case Call(name="rename", path=path) if path.parent.name == "checkpoints":
                gone = path.name.removeprefix("step-")
                if not path.name.startswith(atomic.TEMPORARY):
                    return replace(self, checkpoints=self.checkpoints - {int(gone)})
        return self


def told(calls: Calls, before: Told) -> Iterator[Told]:
    """What was acknowledged before the first of these calls, and after each."""
    marks = [*calls.marks]
    for place in range(len(calls.made) + 1):
        if place:
            before = before.and_then(calls.made[place - 1])
        while marks and marks[0][0] <= place:
            before = before.and_then(marks.pop(0)[1])
        yield before


def _kept_after(record: Record, kept: frozenset[int]) -> frozenset[int]:
    if isinstance(record, Step) and record.state:
        return kept | {record.index}
    if isinstance(record, Rewound):
        return frozenset(step for step in kept if step <= record.to)
    return kept


@dataclass(frozen=True, slots=True)
class Stands:
    """Where a run stands once it was taken up after a power cut: what it goes on from.

    Files that it offers itself do not count: it offers them again.
    """

    frames: int
    checkpoints: tuple[int, ...]
    files: frozenset[tuple[str, bytes | None]]
    is_torn: bool = field(compare=False)
    """Whether a tail had to be cut."""
    is_behind: bool = field(compare=False)
    """Whether steps have to be taken again, or undone."""


class Promises:
    """Takes a run up after a power cut, and looks whether all is there."""

    def __init__(self, run: Path, calls: Calls) -> None:
        """What there has to be is what `run` came to by these calls."""
        self._config = (run / "config.yaml").read_bytes()
        self._adapter = read(run / "adapters")
        self._guidelines = (run / "labels" / "guidelines.md").read_bytes()
        self._chains = {
            frame.number: frame.chain
            for _, frame in Reader(run / "journal").whole_frames()
        }
        answers = _answers(run / "journal")
        self._offered = {
            call.data
            for call in calls.made
            if call.path.parent.name == "todo" and call.data not in answers
        }
        self._journalled: dict[bytes, set[bytes]] = {}

    def kept(self, run: Path, told: Told) -> Stands | None:
        """Take the run up; None where none has begun.  Raises AssertionError."""
        folder = RunFolder(run)
        folder.check()
        if folder.config.exists():
            # Where it is lost it is written again: the journal has the settings.
            assert folder.config.read_bytes() == self._config, "config.yaml"
        assert told.frames == 0 or folder.has_journal(), "the journal is gone"
        if not folder.has_journal():
            return None
        if told.ended:
            # Nobody need start it once more to have what it made.
            assert read(folder.adapters) == self._adapter, "the adapter is spoilt"
        with take_up(folder, Silent()) as journal:
            labels = LabelFolder(folder.labels)
            labels.make(self._guidelines.decode())
            labels.finish_moves(journal.ledger.read)
        frames, chain = self._frames(journal, told)
        checkpoints = _checkpoints(folder, journal.ledger, told)
        return Stands(
            frames,
            checkpoints,
            self._files(labels, journal, chain, told),
            is_torn=bool(journal.cuts),
            is_behind=max(checkpoints, default=0) != journal.ledger.steps,
        )

    def _frames(self, journal: Journal, told: Told) -> tuple[int, bytes]:
        """The last frame that was there: all that were acknowledged are.

        What the recovery has written itself does not count.
        """
        newest = decode_segment(segments(journal.folder)[-1].read_bytes())
        same, there = newest.first - 1, {newest.first - 1: newest.previous_head}
        if same < told.frames or there.get(same) != self._chains.get(same):
            whole = Reader(journal.folder).whole_frames()
            same, there = 0, {frame.number: frame.chain for _, frame in whole}
        while same + 1 in there and there[same + 1] == self._chains.get(same + 1):
            same += 1
        assert same >= told.frames, f"frame {same + 1} of {told.frames} is lost"
        return same, there.get(same, b"")

    def _files(
        self, labels: LabelFolder, journal: Journal, chain: bytes, told: Told
    ) -> frozenset[tuple[str, bytes | None]]:
        """What people saved: it lies in the folders, or the journal has it."""
        files = read(labels.path)
        assert files["guidelines.md"] == self._guidelines, "the guidelines are spoilt"
        if lost := told.saved - {*files.values()}:
            if chain not in self._journalled:
                self._journalled[chain] = _answers(journal.folder)
            lost -= self._journalled[chain]
        assert not lost, f"nobody has what was saved: {lost}"
        return frozenset(
            (place, raw)
            for place, raw in files.items()
            if raw not in self._offered and not place.endswith((".error", ".receipt"))
        )


def _answers(journal: Path) -> set[bytes]:
    """All answers that a journal has, as they were saved."""
    return {r.raw for r in Reader(journal).records() if isinstance(r, Vote)}


def _checkpoints(folder: RunFolder, ledger: Ledger, told: Told) -> tuple[int, ...]:
    """The steps whose checkpoint is there: whole, and all that were committed."""
    sound, damaged = manifest.find(folder.checkpoints)
    assert not damaged, f"{damaged[0].name} is damaged"
    wrong = {found.path.name: found.wrong_file() for found in sound}
    assert not any(wrong.values()), f"a checkpoint is not what it was: {wrong}"
    recorded = ledger.checkpoints
    committed = {f.step for f in sound if recorded.get(f.step) == f.state}
    # What a rewind has undone that was not acknowledged may be there, or not.
    lost = {step for step in told.checkpoints if step <= ledger.steps} - committed
    assert not lost, f"checkpoints of steps {lost} were committed and are lost"
    return tuple(sorted(committed))
