"""A new run of the sound part of a damaged one, which is only read.

What stands before the first damage is copied as it stands: it is what a run leaves that
is killed there, so the new run goes on from it.  What can be read after the damage may
go back to what is lost, so it is no part of the new run.  It is kept beside it, and of
it people's answers in a form in which they can be taken in again.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from onlinedpo.journal import atomic, codec, disk, frames, manifest, names
from onlinedpo.journal.crashpoint import reached
from onlinedpo.journal.label_folder import LabelFolder
from onlinedpo.journal.lock import holder
from onlinedpo.journal.making import making
from onlinedpo.journal.plain_files import contents
from onlinedpo.journal.reader import Position, Reader, path_of
from onlinedpo.journal.repair.answers_left import AnswersLeft, Written
from onlinedpo.journal.repair.doctor import refusal
from onlinedpo.journal.repair.remains import Flaw
from onlinedpo.journal.repair.sound_part import Holdings, Piece, SoundPart
from onlinedpo.journal.writer import SEGMENT_LIMIT
from onlinedpo.states.errors import (
    JournalDamaged,
    OnlineDPOError,
    RunLocked,
    UsageError,
)
from onlinedpo.states.records import Derived, RunOpened, TailCut

LEFT_OUT = Path("quarantine") / "left-out.jsonl"


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What a salvage made."""

    settings: dict[str, Any]
    """Those in force."""
    trains: bool
    """Whether it is a run, and not another judge's verdicts on the pairs of one."""
    steps: int
    kept: Holdings
    left_out: Holdings
    flaws: Sequence[Flaw]
    refused: str
    """Why the old run is refused though it has no flaws; empty where it is not."""
    answers: Written
    """Answers that the new run takes in when it goes on."""
    answers_later: Written
    """Answers to pairs that the new run does not have, or has not asked about, yet."""


def salvage(run: Path, new: Path) -> Salvaged:
    """Make `new` of what is sound in `run`; `new` appears whole, or not at all.

    Raises `UsageError`, `RunLocked`, `JournalNewer`, and `JournalDamaged` where not
    even the first frame can be read.
    """
    _must_be_possible(run, new)
    with making(new) as half:
        salvaged = _make(run, half)
        reached("salvage.written")
    return salvaged


def _must_be_possible(run: Path, new: Path) -> None:
    names.must_be_free(new)
    if new.resolve().is_relative_to(run.resolve()):
        raise UsageError(
            f"{new} is in {run}, which is not to be touched",
            hint="Give a folder beside it.",
        )
    if process := holder(run / "journal"):
        raise RunLocked(
            f"{run}: a process (pid {process}) works on this run",
            hint="Stop it first: it may be about to write what is to be salvaged.",
        )


def _make(run: Path, half: Path) -> Salvaged:
    # They only tell why the run is refused: what cannot be read is left out.
    checkpoints, _ = manifest.find(run / "checkpoints", lambda error: None)
    part, left = SoundPart(run / "journal"), AnswersLeft()
    journal = _Segments(half / "journal", uuid.uuid4().bytes)
    beside = half / LEFT_OUT
    disk.make_folder(beside.parent)
    with disk.Output(beside) as file:
        for piece in part.read():
            left.see(piece)
            if piece.sound:
                journal.add(_renamed(piece, journal.run))
            else:
                file.write(json.dumps(piece.as_map()).encode() + b"\n")
    if part.opened is None:
        raise _nothing(run, part)
    journal.add(codec.encode([_derived(part, part.opened)]))
    journal.close()
    _keep(beside)
    # Read back before it gets its name.
    ledger = Reader(half / "journal").fold()
    if ledger.asked or left.votes:
        disk.make_folder(half / "labels" / "inbox")
        _copy_guidelines(run, half)
    now, later = left.write(half / "labels", ledger, part.opened.run_id)
    return Salvaged(
        settings=ledger.settings,
        trains=ledger.derived is None or ledger.derived.purpose != "rejudge",
        steps=ledger.steps,
        kept=part.before,
        left_out=part.after,
        flaws=part.remains.flaws,
        refused=str(part.refused or refusal(run, checkpoints) or ""),
        answers=now,
        answers_later=later,
    )


def _renamed(piece: Piece, run: bytes) -> bytes:
    """The payload of a sound frame, under the new run's name.

    Tails that were cut off stay with the run that has them.  Nothing else is changed,
    and a frame has the number that it had.
    """
    if not any(isinstance(record, RunOpened | TailCut) for record in piece.batch):
        return piece.payload
    return codec.encode(
        [
            replace(record, run_id=run.hex())
            if isinstance(record, RunOpened)
            else record
            for record in piece.batch
            if not isinstance(record, TailCut)
        ]
    )


def _derived(part: SoundPart, opened: RunOpened) -> Derived:
    assert part.last is not None
    # Two runs must not put their adapters into the same place.
    elsewhere = part.ledger.settings.get("adapter_path") is not None
    return Derived(
        purpose="salvage",
        source=opened.run_id,
        frame=part.last.number,
        chain=part.last.chain,
        step=part.steps,
        labels="same",
        changed={"adapter_path": None} if elsewhere else {},
        judge=opened.judge,
        time=time.time(),
    )


def _nothing(run: Path, part: SoundPart) -> OnlineDPOError:
    if not part.remains.flaws and not part.refused:
        return UsageError(
            f"there is no frame in {run}/journal", hint="There is nothing to salvage."
        )
    return JournalDamaged(
        f"{run}/journal: the first frame, which says what the run is made of, cannot be"
        " read: nothing can be salvaged as a run",
        hint=f"There is {part.after} to be read as data:"
        f" onlinedpo journal cat {run} --past-damage",
    )


def _keep(beside: Path) -> None:
    """Sync what was left out; where that is nothing, there is no file."""
    if beside.stat().st_size:
        disk.sync_files([beside])
        disk.sync_folder(beside.parent)
    else:
        disk.remove_tree(beside.parent)


def _copy_guidelines(run: Path, half: Path) -> None:
    guidelines = LabelFolder(run / "labels").guidelines
    if guidelines.is_file():
        atomic.replace(LabelFolder(half / "labels").guidelines, contents(guidelines))


class _Segments:
    """A journal that nobody reads yet: it is synced a segment at a time."""

    def __init__(self, folder: Path, run: bytes) -> None:
        """Begin the first segment."""
        disk.make_folder(folder)
        self.run = run
        self._folder = folder
        self._at = Position(run, 0, 0, 0, bytes(frames.CHAIN))
        self._data = bytearray()
        self._begin()

    def add(self, payload: bytes) -> None:
        """The next frame."""
        if len(self._data) > SEGMENT_LIMIT:
            self.close()
            self._begin()
        at = self._at
        data, chain = frames.encode_frame(at.run, at.chain, at.number + 1, payload)
        self._data += data
        self._at = replace(
            at, length=len(self._data), number=at.number + 1, chain=chain
        )

    def close(self) -> None:
        """Put the segment on the disk."""
        disk.write_synced(path_of(self._folder, self._at.segment), bytes(self._data))
        disk.sync_folder(self._folder)

    def _begin(self) -> None:
        segment = self._at.next_segment()
        self._data = bytearray(segment.encode())
        self._at = replace(self._at, segment=segment.number, chain=segment.head)
