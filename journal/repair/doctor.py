"""What is wrong with a run's files, what that means for the run, and what to do.

Nothing is changed.  Whatever is damaged is told; nothing that cannot be read stops it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onlinedpo.journal import manifest
from onlinedpo.journal.manifest import Manifest
from onlinedpo.journal.reader import Reader
from onlinedpo.journal.repair import surroundings
from onlinedpo.journal.repair.finding import Finding, quoted
from onlinedpo.journal.repair.remains import Flaw
from onlinedpo.journal.repair.sound_part import SoundPart
from onlinedpo.states.errors import JournalError, JournalNewer

TOLD = 12
"""Damaged places that are told one by one."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that was found in a run, and what its journal holds before any damage."""

    findings: Sequence[Finding]
    holds: str
    settings: dict[str, Any] | None
    """Those in force; None where the journal does not tell them all."""


def examine(run: Path) -> Diagnosis:
    """Look at all of a run's files, but for its config and what people edit."""
    # Before the journal: of what a live run writes, the frames come first.
    unreadable: list[OSError] = []
    sound, damaged = manifest.find(run / "checkpoints", unreadable.append)
    part = SoundPart(run / "journal")
    findings = [*surroundings.locked(run)]
    settings = None
    if not part.remains.paths:
        findings += _no_journal(run, sound)
    else:
        try:
            for _ in part.read():
                pass
        except JournalNewer as error:
            means = "A newer onlinedpo wrote it: this version cannot go on with it."
            findings.append(Finding(str(error), means, ((error.hint, ""),), stops=True))
        else:
            wrong = [*_journal(run, part, sound)]
            whole = not any(finding.stops for finding in wrong)
            settings = part.ledger.settings if whole and part.opened else None
            findings += wrong
            findings += surroundings.checkpoints(
                sound, damaged, part if whole else None, unreadable
            )
    findings += surroundings.unreadable(unreadable)
    findings += [*surroundings.not_writable(run), *surroundings.leftovers(run)]
    return Diagnosis(findings, str(part.before), settings)


def _journal(
    run: Path, part: SoundPart, checkpoints: Sequence[Manifest]
) -> Iterator[Finding]:
    flaws = [flaw for flaw in part.remains.flaws if not flaw.torn]
    if flaws:
        yield _damaged(run, part, flaws)
    elif part.refused:
        yield _illegal(run, part, part.refused)
    elif refused := refusal(run, checkpoints):
        yield _unanchored(run, part, refused)
    else:
        yield from map(_torn, part.remains.flaws)


def refusal(run: Path, checkpoints: Sequence[Manifest]) -> Exception | None:
    """Why a reader refuses the bytes of a journal that has these checkpoints."""
    anchors = {found.frame: found.chain for found in checkpoints}
    try:
        for _ in Reader(run / "journal", anchors).whole_frames():
            pass
    except (JournalError, OSError) as error:
        return error
    return None


def _damaged(run: Path, part: SoundPart, flaws: Sequence[Flaw]) -> Finding:
    told = [str(flaw) for flaw in flaws[:TOLD]]
    if len(flaws) > TOLD:
        told.append(f"and {len(flaws) - TOLD} more places")
    names = sorted({flaw.path.name for flaw in flaws})[:TOLD]
    means = (
        "What was acknowledged is not there as it was written, so 'onlinedpo run'"
        f" refuses the run. Sound before the damage: {part.before}. After it"
        f" {part.after} can be read; what they go back to may be lost."
    )
    if part.remains.run is None:
        means += " Nothing tells which run this is, so that no frame can be checked."
    copies = " ".join(f"COPY/journal/{name}" for name in names)
    back = f"If there is a copy of {', '.join(names)}, made after it was written:"
    return Finding(
        "\n".join(told),
        means,
        (
            (back, f"cp {copies} {quoted(run)}/journal/"),
            (
                "Then see whether all is well:",
                f"onlinedpo journal verify {quoted(run)}",
            ),
            _salvage(run, part),
        ),
        stops=True,
    )


def _illegal(run: Path, part: SoundPart, error: JournalError) -> Finding:
    return Finding(
        str(error),
        "The bytes are as they were written, but what they say cannot follow on what"
        " stands before: another program changed the journal, or the one that wrote it"
        f" has a defect. Before that frame: {part.before}. From it on: {part.after}.",
        (
            ("If there is a copy from before that, put its journal folder back.", ""),
            _salvage(run, part),
        ),
        stops=True,
    )


def _unanchored(run: Path, part: SoundPart, error: Exception) -> Finding:
    return Finding(
        str(error),
        "A checkpoint notes the frame that it was made after, which was on the disk by"
        " then. So the journal lost its end, or the two folders are of different copies"
        f" of the run. The journal holds {part.before}.",
        (
            ("Put journal/ and checkpoints/ back from one and the same copy.", ""),
            _salvage(run, part),
        ),
        stops=True,
    )


def _salvage(run: Path, part: SoundPart) -> tuple[str, str]:
    if part.opened:
        return (
            "Without a copy, make a new run of what is sound; this one is left as is:",
            f"onlinedpo journal salvage {quoted(run)} {quoted(f'{run}-salvaged')}",
        )
    return (
        "Without a copy there is no run to go on with: what it was made of stood in its"
        " first frame. What can be read is there as data:",
        f"onlinedpo journal cat {quoted(run)} --past-damage > facts.jsonl",
    )


def _torn(flaw: Flaw) -> Finding:
    return Finding(
        f"{flaw}; nothing follows it (a torn tail)",
        "A process was killed while it wrote this frame, or is writing it now. Nothing"
        " had acted on it: this is harmless. The next 'onlinedpo run' cuts it off,"
        " keeps it in quarantine/ and says so.",
    )


def _no_journal(run: Path, checkpoints: Sequence[Manifest]) -> Iterator[Finding]:
    if checkpoints:
        yield Finding(
            f"{run}/journal holds no segment, and there are checkpoints",
            "The journal is the run: without it nothing else can be taken up. An"
            " adapter in adapters/ can be used as it is. Do not start the run like"
            " this: it would begin anew in this folder.",
            (("Put the journal folder back from a copy.", ""),),
            stops=True,
        )
    else:
        yield Finding(
            f"{run}/journal holds no segment",
            "No run has begun here, or a crash came before its first fact.",
            (("Start it:", f"onlinedpo run {quoted(run)}"),),
        )
