"""Dropped files: the answers in them come in, line by line, each on its own."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from onlinedpo.engine.people import intake, late, receipts
from onlinedpo.engine.people.reading import Circumstances, misfit
from onlinedpo.journal.dropped import reading as rows_of
from onlinedpo.journal.dropped.reading import Row, UnreadableFile
from onlinedpo.journal.label_folder import LabelFolder
from onlinedpo.journal.looks import Saved
from onlinedpo.journal.writer import Journal
from onlinedpo.states.answers import Bundle, Vote, version
from onlinedpo.states.config import Settings
from onlinedpo.states.late import Ended
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.people import importers
from onlinedpo.states.people.importers import Answered, Refused
from onlinedpo.states.turns import slot_for

MAX_FILE = rows_of.MAX_FILE
TOLD = 1000
"""Bad lines that are told one by one."""


@dataclass(slots=True)
class _Outcome:
    """What became of the lines of one file."""

    format: str = ""
    votes: list[Vote] = field(default_factory=list)
    unchanged: int = 0
    pending: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)


def take(
    saved: Saved,
    folder: LabelFolder,
    journal: Journal,
    settings: Settings,
    about: Circumstances,
) -> Bundle | None:
    """Journal the answers in a dropped file; None where it was known.

    Once they are in the journal the file goes to done/, with a receipt beside it.  A
    file in which nothing could be used stays, with a receipt that says why.  One that
    changes in done/ is read again: lines that are known there say nothing new.
    """
    place, digest = folder.place(saved.path), hashlib.sha256(saved.raw)
    read, name = journal.ledger.read, saved.path.name
    in_done = saved.path.parent == folder.done
    if read.get(place) == digest.digest():
        put_away = read.get(f"done/{name}") == digest.digest()
        beside = folder.done / name if put_away else saved.path
        receipts.make_again(beside, digest.hexdigest(), folder, journal)
        if put_away and not in_done:
            # A crash came before the move, or it was dropped once more.
            _put_away_again(saved, folder, journal, digest.hexdigest())
        return None
    target = name if in_done else folder.free_name(saved.path, ())
    outcome, ended = _read(saved, f"done/{target}", journal, about)
    usable = bool(outcome.votes) or outcome.unchanged > 0
    kept_as = f"done/{target}" if usable else place
    bundle = Bundle(
        path=place,
        kept_as=kept_as,
        sha256=digest.hexdigest(),
        size=len(saved.raw),
        format=outcome.format,
        taken=len(outcome.votes),
        unchanged=outcome.unchanged,
        refused=tuple(outcome.refused[:TOLD]),
        more=max(0, len(outcome.refused) - TOLD),
        time=time.time(),
    )
    # Of an older version: so that where none is, one is due.
    folder.withdraw_receipt(saved.path)
    intake.take(journal, settings, [*outcome.votes, bundle], ended)
    text = receipts.text(name, bundle, outcome.pending)
    if usable and not in_done:
        folder.receipt(folder.done / target, text)
        folder.finish(saved.path, target)
    else:
        folder.receipt(saved.path, text)
    return bundle


def was_read(path: Path, folder: LabelFolder, ledger: Ledger) -> bool:
    """Whether the file in this place was read as a dropped one.

    It may go on growing there, if a slow copy was not at its end.  A receipt tells it
    too, where the journal has lost its end: then what it says is taken in again.
    """
    known = len(ledger.read.get(folder.place(path), b""))
    return known == hashlib.sha256().digest_size or folder.has_receipt(path)


def _read(
    saved: Saved, place: str, journal: Journal, about: Circumstances
) -> tuple[_Outcome, dict[int, Ended]]:
    outcome = _Outcome()
    given: list[tuple[Row, Answered]] = []
    try:
        if saved.problem:
            raise UnreadableFile(saved.problem)
        for row in rows_of.read(saved.path.name, saved.raw):
            given += _answers(row, outcome)
    except UnreadableFile as error:
        outcome.refused.append((0, str(error)))
    ledger = journal.ledger
    tickets = {answered.ask.ticket for _, answered in given}
    ended = late.look_up(journal.folder, tickets - ledger.turns.keys())
    slots: dict[int, dict[int, Vote]] = {}
    for number, (row, answered) in enumerate(given):
        if why := misfit(answered.ask, ledger, ended):
            outcome.refused.append((row.number, why))
            continue
        filled = slots.setdefault(
            answered.ask.ticket, _filled(answered.ask.ticket, ledger, ended)
        )
        vote = _vote(row, answered, f"{place}:{row.number}", filled, saved, about)
        again = number and given[number - 1][0] is row
        known = not again and ledger.read.get(vote.path) == version(vote.raw)
        standing = filled.get(vote.slot)
        if known or (standing and standing.says_the_same(vote)):
            outcome.unchanged += 1
        else:
            filled[vote.slot] = vote
            outcome.votes.append(vote)
    outcome.refused.sort()
    return outcome, ended


def _answers(row: Row, outcome: _Outcome) -> Iterable[tuple[Row, Answered]]:
    if row.fields is None:
        outcome.refused.append((row.number, row.reason))
        return []
    outcome.format = outcome.format or importers.format_of(row.fields) or ""
    try:
        answers = importers.answers(row.fields)
    except Refused as error:
        outcome.refused.append((row.number, str(error)))
        return []
    outcome.pending += not answers
    return [(row, answered) for answered in answers]


def _filled(ticket: int, ledger: Ledger, ended: Mapping[int, Ended]) -> dict[int, Vote]:
    """The answers that a pair has, by slot."""
    turn = ledger.turns.get(ticket) or ended[ticket]
    return dict(turn.votes)


def _vote(
    row: Row,
    answered: Answered,
    path: str,
    filled: Mapping[int, Vote],
    saved: Saved,
    about: Circumstances,
) -> Vote:
    ask, choice = answered.ask, answered.choice
    annotator = about.who(answered.annotator, saved.owner)
    shown = about.shown(ask)
    return Vote(
        ticket=ask.ticket,
        slot=slot_for(ask.slot, annotator, filled),
        value=choice.in_pair(shown),
        strong=choice.strong,
        shown=shown,
        annotator=annotator,
        source="file",
        note=answered.note,
        raw=row.raw,
        path=path,
        kept_as=path,
        seconds=answered.seconds,
        guidelines=about.guidelines,
        saved=saved.time,
        time=time.time(),
    )


def _put_away_again(
    saved: Saved, folder: LabelFolder, journal: Journal, sha256: str
) -> None:
    """Move a file that the journal has already to done/, perhaps by another name."""
    name, target = saved.path.name, folder.free_name(saved.path, ())
    if target != name:
        again = Bundle(
            path=folder.place(saved.path),
            kept_as=f"done/{target}",
            sha256=sha256,
            size=len(saved.raw),
            format="",
            taken=0,
            unchanged=0,
            refused=(),
            more=0,
            time=time.time(),
        )
        journal.append([again])
        text = f"{name} was read before; nothing in it is new.\n"
        folder.receipt(folder.done / target, text)
    folder.finish(saved.path, target)
    folder.withdraw_receipt(saved.path)
