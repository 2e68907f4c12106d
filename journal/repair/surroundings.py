"""What is wrong around a journal: checkpoints, a lock, permissions, leftovers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from onlinedpo.journal import atomic
from onlinedpo.journal.disk_errors import reason
from onlinedpo.journal.lock import holder
from onlinedpo.journal.manifest import Manifest
from onlinedpo.journal.present import is_open_to_us
from onlinedpo.journal.repair.finding import Finding
from onlinedpo.journal.repair.sound_part import SoundPart


def checkpoints(
    sound: Sequence[Manifest],
    damaged: Sequence[Path],
    part: SoundPart | None,
    unreadable: list[OSError],
) -> Iterator[Finding]:
    """What is wrong with checkpoints; they are compared with `part` if it is whole.

    Errors of files that cannot be read are added to `unreadable`.
    """
    wrong = [f"{path}: the manifest is damaged" for path in damaged if path.exists()]
    for found in sound:
        if not found.path.exists():
            # A live run has just removed it.
            continue
        try:
            name = found.wrong_file()
        except OSError as error:
            unreadable.append(error)
            continue
        if name:
            wrong.append(f"{found.path}: {name} is not as it was written")
        elif part and found.step > part.steps:
            wrong.append(f"{found.path}: the journal does not have step {found.step}")
        elif part and part.ledger.checkpoints.get(found.step) != found.state:
            wrong.append(f"{found.path}: the journal's step had another outcome")
    if wrong:
        yield Finding(
            "\n".join(wrong),
            "A checkpoint is a cache of the journal. One that is not sound, or that was"
            " never committed, is not used: the next 'onlinedpo run' sets it aside and"
            " goes on from an older one, or applies the steps again from the journal.",
        )


def unreadable(errors: Sequence[OSError]) -> Iterator[Finding]:
    """That files of checkpoints cannot be read: nobody knows what is in them."""
    if errors:
        yield Finding(
            "\n".join(map(reason, errors)),
            "Whether this checkpoint is sound cannot be told, so 'onlinedpo run' does"
            " not begin: it would take an older one, or apply the steps again.",
            (
                ("See to it that the file can be read: permissions, disk, cable.", ""),
                ("Or move that folder away: it is a cache of the journal.", ""),
            ),
            stops=True,
        )


def locked(run: Path) -> Iterator[Finding]:
    """That a process works on the run."""
    try:
        process = holder(run / "journal")
    except OSError as error:
        yield Finding(
            reason(error),
            "Whether a process works on this run cannot be told.",
        )
        return
    if process:
        yield Finding(
            f"process {process} works on this run",
            "The run is live; what it writes just now may look half-written. Stop it"
            " before you put files back or salvage the run.",
        )


def not_writable(run: Path) -> Iterator[Finding]:
    """That a run can only be read."""
    if not is_open_to_us(run / "journal"):
        yield Finding(
            f"{run}/journal cannot be written to by you",
            "The run can be read as it is, but not gone on with.",
            (("Copy the run to another place, or change its permissions.", ""),),
            stops=True,
        )


def leftovers(run: Path) -> Iterator[Finding]:
    """What crashes left, and what was set aside."""
    folders = ("", "journal", "checkpoints", "adapters", "quarantine")
    left = [p for name in folders for p in (run / name).glob(f"{atomic.TEMPORARY}*")]
    if left:
        yield Finding(
            f"{len(left)} half-written files under temporary names, such as {left[0]}",
            "A crash left them, or a process is writing them now. The next 'onlinedpo"
            " run' removes them.",
        )
    if kept := len([*(run / "quarantine").glob("[!.]*")]):
        yield Finding(
            f"{run}/quarantine keeps {kept} things that were cut off or set aside",
            "Nothing reads them; they are yours to remove.",
        )
