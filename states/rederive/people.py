"""People's answers, read again from what they saved, byte for byte."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

from onlinedpo.states.answers import (
    MOST,
    PART,
    Ask,
    Bundle,
    Kept,
    Vote,
    sides,
    version,
)
from onlinedpo.states.config import Settings
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.people import importers, label_file, saved_answer
from onlinedpo.states.people.answered import Answered as Said
from onlinedpo.states.people.answered import Refused
from onlinedpo.states.people.label_file import Unreadable
from onlinedpo.states.records import Record, Sampled
from onlinedpo.states.rederive.mismatch import NOTHING, Mismatch, must_be, pair_name
from onlinedpo.states.turns import slot_for
from onlinedpo.states.visible import visible

_MOVED = re.compile(r"the answer of .*; the name (.*) was taken", re.S)
"""Why a version is kept that was an answer already: see the inbox."""


class Row(NamedTuple):
    """A row of a dropped file: where it stands, its bytes, and what it says."""

    number: int
    raw: bytes
    fields: Mapping[str, Any]


class Files(Protocol):
    """What is still there of the files that people dropped."""

    def fields(self, raw: bytes) -> Mapping[str, Any] | None:
        """What a line says by itself; None where it needs the rest of its file."""

    def rows(self, bundle: Bundle) -> Iterable[Row] | None:
        """The rows of a dropped file; None where it is not there as it was read."""


@dataclass(slots=True, eq=False)
class Take:
    """What was taken in at once: in one frame, or in several if it was much."""

    number: int
    where: object
    settings: Settings
    votes: list[Vote] = field(default_factory=list)
    """Without their bytes, which have been read."""
    late: list[tuple[Vote, Ask | None]] = field(default_factory=list)
    """Those to pairs that had ended, and what each says that it answers, if known."""
    turns: list[Record] = field(default_factory=list)
    """Turns that were appended with them, for corrected pairs."""
    last: tuple[int, int] = (0, 0)
    """How many facts its last frame has, and how many saved bytes."""

    def goes_on_with(self, facts: Sequence[Record]) -> bool:
        """Whether the last frame was full, so that these are the rest of the same."""
        count, size = self.last
        return count == MOST or (size + sum(map(_size, facts[:1])) > PART and count > 0)


class Answers:
    """Reads answers again, one after the other."""

    def __init__(self, files: Files) -> None:
        """Nothing was read yet."""
        self.checked: Counter[str] = Counter()
        self.runs: dict[str, tuple[object, str]] = {}
        """The runs that label files name, with the place and pair of the first."""
        self._files = files
        self._filled: dict[int, dict[int, Vote]] = {}
        """The answers of pairs in the dropped file that is being read, by slot."""
        self._unread: list[tuple[Vote, dict[int, Vote]]] = []
        self._rows = 0
        """Answers in that file so far."""

    def begin(self) -> None:
        """A process begins: what one before it was about to read it has not read."""
        self._missing(len(self._unread))
        self._filled, self._unread, self._rows = {}, [], 0

    def check(self, facts: Sequence[Record], take: Take, ledger: Ledger) -> None:
        """Raise `Mismatch` at the first that is not as it was saved."""
        take.last = len(facts), sum(map(_size, facts))
        for fact in facts:
            if isinstance(fact, Kept):
                self._kept(fact, ledger)
            elif isinstance(fact, Bundle):
                self._bundle(fact, take, ledger)
            elif isinstance(fact, Vote):
                take.votes.append(replace(fact, raw=b""))
                if fact.source == "human":
                    self._label_file(fact, take, ledger)
                else:
                    self._row(fact, take, ledger)

    def _label_file(self, vote: Vote, take: Take, ledger: Ledger) -> None:
        pair = pair_name(vote.ticket, ledger)
        try:
            text, ask, of_run = saved_answer.identified(vote.raw)
            answer = label_file.read(text, ask)
        except Unreadable as error:
            raise Mismatch("vote", "raw", vote.raw, str(error), pair=pair) from None
        if answer.choice is None:
            raise Mismatch("vote", "value", vote.value, NOTHING, pair=pair)
        said = Said(ask, answer.choice, answer.annotator, answer.note, answer.seconds)
        must_be(vote, _vote(vote, said, ask.slot, take.settings), ledger)
        self._fits(vote, said, take, ledger)
        self.runs.setdefault(of_run, (take.where, pair))
        self.checked["label_files"] += 1
        turn = ledger.turns.get(vote.ticket)
        if turn and turn.sampled and not _shows(text, turn.sampled):
            self.checked["altered_label_files"] += 1

    def _row(self, vote: Vote, take: Take, ledger: Ledger) -> None:
        """An answer in a row of a dropped file; later, if it takes the whole file."""
        self._rows += 1
        turn = ledger.turns.get(vote.ticket)
        filled = self._filled.setdefault(vote.ticket, dict(turn.votes) if turn else {})
        fields = self._files.fields(vote.raw)
        if fields is None:
            self._unread.append((vote, dict(filled)))
        else:
            self._said_in(vote, fields, filled, take, ledger)
        filled[vote.slot] = vote

    def _bundle(self, bundle: Bundle, take: Take, ledger: Ledger) -> None:
        """The file of the answers before it: what could not be read yet is read now."""
        if bundle.taken != self._rows:
            raise Mismatch("bundle", "taken", bundle.taken, self._rows)
        unread, self._unread = self._unread, []
        self._filled, self._rows = {}, 0
        rows = self._files.rows(bundle) if unread else None
        if rows is None:
            self._missing(len(unread))
            take.late += [(v, None) for v, _ in unread if v.ticket not in ledger.turns]
            return
        wanted = {int(vote.path.rpartition(":")[2]) for vote, _ in unread}
        found = {row.number: row for row in rows if row.number in wanted}
        for vote, filled in unread:
            row = found.get(int(vote.path.rpartition(":")[2]))
            if row is None or row.raw != vote.raw:
                there = row.raw if row else NOTHING
                pair = pair_name(vote.ticket, ledger)
                raise Mismatch("vote", "raw", vote.raw, there, pair=pair)
            self._said_in(vote, row.fields, filled, take, ledger)

    def _said_in(
        self,
        vote: Vote,
        fields: Mapping[str, Any],
        filled: Mapping[int, Vote],
        take: Take,
        ledger: Ledger,
    ) -> None:
        """One of the answers that a row holds."""
        pair = pair_name(vote.ticket, ledger)
        try:
            given = importers.answers(fields)
        except Refused as error:
            raise Mismatch("vote", "raw", vote.raw, str(error), pair=pair) from None
        of_pair = [said for said in given if said.ask.ticket == vote.ticket]
        for said in of_pair or given:
            name = said.annotator or take.settings.annotator or vote.annotator
            slot = slot_for(said.ask.slot, name, filled)
            if vote.ticket not in ledger.turns:
                slot = vote.slot
            derived = _vote(vote, said, slot, take.settings)
            if derived == vote or said is (of_pair or given)[-1]:
                must_be(vote, derived, ledger)
                self._fits(vote, said, take, ledger)
                self.checked["file_rows"] += 1
                return
        raise Mismatch("vote", "raw", vote.raw, NOTHING, pair=pair)

    def _fits(self, vote: Vote, said: Said, take: Take, ledger: Ledger) -> None:
        """It names the pair that it is taken for."""
        if not (said.annotator or take.settings.annotator):
            self.checked["owner_names"] += 1
        if vote.ticket not in ledger.turns:
            take.late.append((replace(vote, raw=b""), said.ask))
            return
        name = pair_name(vote.ticket, ledger)
        if said.ask.pair != name:
            raise Mismatch("vote", "pair", name, said.ask.pair, pair=name)

    def _missing(self, count: int) -> None:
        if count:
            self.checked["unread_rows"] += count

    def _kept(self, kept: Kept, ledger: Ledger) -> None:
        """No answer to a pair in flight is put aside as if it were none."""
        try:
            text, ask, of_run = saved_answer.identified(kept.raw)
            choice = label_file.read(text, ask).choice
        except Unreadable:
            return
        ours = ledger.opened is not None and ledger.opened.run_id[:8] == of_run
        turn = ledger.turns.get(ask.ticket)
        if choice is None or not ours or turn is None or not turn.answerable:
            return
        name = pair_name(ask.ticket, ledger)
        moved = _MOVED.fullmatch(kept.reason)
        if name == ask.pair and not (
            moved and ledger.read.get(moved[1]) == version(kept.raw)
        ):
            raise Mismatch("kept", "reason", kept.reason, "an answer", pair=name)


def _vote(vote: Vote, said: Said, slot: int, settings: Settings) -> Vote:
    """The answer as it should be recorded, in pair coordinates."""
    shown = sides(settings.seed, said.ask)
    assert said.choice is not None
    return replace(
        vote,
        ticket=said.ask.ticket,
        slot=slot,
        value=said.choice.in_pair(shown),
        strong=said.choice.strong,
        shown=shown,
        # The name of a file's owner is only known where the file lay.
        annotator=said.annotator or settings.annotator or vote.annotator,
        note=said.note,
        seconds=said.seconds,
    )


def _size(fact: Record) -> int:
    return len(fact.raw) if isinstance(fact, Vote | Kept) else 0


def _shows(text: str, pair: Sampled) -> bool:
    """Whether a label file still shows both completions, however its lines break."""
    shown = " ".join(visible(text).split())
    sides = (" ".join(visible(c.text).split()) for c in (pair.first, pair.second))
    return all(side in shown for side in sides)
