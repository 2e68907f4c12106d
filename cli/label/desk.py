"""What one person has to label, and the answers they gave: no screen here.

An answer is saved by filling its label file in, as an editor would.  The journal is
never written.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from onlinedpo.cli.label.pair import LabelFile, Pair, filled, parse
from onlinedpo.cli.label.shelf import Shelf
from onlinedpo.journal.label_folder import annotator as name_of_annotator
from onlinedpo.journal.looks import Saved
from onlinedpo.states.answers import Ask
from onlinedpo.states.people.choices import Choice, shown_as
from onlinedpo.states.standing import Standing


@dataclass(frozen=True, slots=True)
class Item:
    """A pair to be labelled; `second` if this person has labelled it before."""

    ask: Ask
    pair: Pair
    second: bool = False


@dataclass(frozen=True, slots=True)
class Given:
    """An answer of this person that can be taken back.

    `raw` is the file with it, `before` the file in todo/ without it, where known.
    """

    ask: Ask
    choice: Choice
    note: str
    raw: bytes
    when: float
    before: bytes | None = None


class Meanwhile(Exception):
    """Somebody else changed the file; the text says what they did."""


class LabelDesk:
    """What is left to label in one run, for one annotator."""

    def __init__(
        self, labels: Path, standing: Standing, run: str, annotator: str
    ) -> None:
        """See what is there.  `annotator` may be empty: then it is the file's owner."""
        self._shelf = Shelf(labels, run)
        self._standing, self._run, self._annotator = standing, run, annotator
        self.me = self._who(annotator, os.getuid())
        self.given: list[Given] = []
        """This person's answers, oldest first."""
        self._elsewhere: set[str] = set()
        """Pairs that this person labelled in other programs."""
        self._reopened: dict[Ask, bytes] = {}
        """Files whose answer was taken back, as they were left."""
        self._earlier(self._shelf.look())

    # -- what is to be labelled ----------------------------------------------------

    @property
    def left(self) -> int:
        """How many answers are wanted still."""
        return len(self._wanted())

    @property
    def illegible(self) -> list[Path]:
        """Files without an answer whose responses cannot be told apart any more."""
        files = self._shelf.files.items()
        return [path for path, file in files if file.is_open and not file.pair]

    def next(self) -> Item | None:
        """The next pair, by number; those that this person labelled before come last.

        What is on another person's screen is left out.
        """
        self.look()
        before = {given.ask.pair for given in self.given} | self._elsewhere
        wanted = self._wanted()
        for ask in sorted(wanted, key=lambda a: (a.pair in before, a.ticket, a.slot)):
            if self._shelf.claim(ask):
                return Item(ask, wanted[ask], ask.pair in before)
        return None

    def close(self) -> None:
        """Leave what is on this screen to others."""
        self.look()
        self._shelf.release()

    def look(self) -> None:
        """See what changed; and let what was taken back stay so.

        The run journals an answer first and moves its file after that.  A file that was
        emptied in between then lies in done/, where only `undo` takes an answer back.
        """
        self._shelf.look()
        lying = {file.ask: file.raw for file in self._shelf.files.values()}
        for ask, left in [*self._reopened.items()]:
            if ask in lying and lying[ask] != left:
                # It was offered anew: from here on that file counts.
                del self._reopened[ask]
            elif ask not in lying and self._is_open(left):
                path = self._shelf.find(left)
                if path and path.parent == self._shelf.done:
                    self._reopened[ask] = filled(left, ask, choice="undo")
                    self._shelf.save(path, self._reopened[ask])

    def _wanted(self) -> dict[Ask, Pair]:
        left = [parse(raw, self._run) for raw in self._reopened.values()]
        files = [f for f in self._shelf.files.values() if f.is_open]
        return {
            file.ask: file.pair
            for file in [*left, *files]
            if file and file.pair and self._may_be_asked(file.ask)
        }

    def _is_open(self, raw: bytes) -> bool:
        file = parse(raw, self._run)
        return bool(file and file.is_open)

    def _may_be_asked(self, ask: Ask) -> bool:
        """Whether the pair had not ended when the journal was read."""
        turn = self._standing.turns.get(ask.ticket)
        if turn and turn.sampled:
            return turn.sampled.pair == ask.pair
        return (
            bool(turn)
            or ask in self._reopened
            or ask.ticket >= self._standing.next_ticket
        )

    # -- answers -------------------------------------------------------------------

    def save(self, item: Item, choice: Choice, seconds: float, note: str) -> None:
        """Put an answer on the disk; raises `Meanwhile`, or OSError if it is not."""
        path, before = self._unanswered(item.ask)
        wanted = {"choice": str(choice), "seconds": f"{seconds:.1f}"}
        if self._annotator:
            wanted["annotator"] = self._annotator
        if note:
            wanted["note"] = note
        raw = filled(before, item.ask, **wanted)
        self._shelf.save(path, raw)
        self._reopened.pop(item.ask, None)
        fresh = before if path.parent == self._shelf.todo else None
        self.given.append(Given(item.ask, choice, note, raw, time.time(), fresh))

    def undo(self) -> tuple[Item, Given] | None:
        """Take the newest answer back; None if there is none.

        Raises `Meanwhile` where somebody changed its file since: it is left as it is,
        and the next call takes back the answer before it.
        """
        if not self.given:
            return None
        given, left = self.given[-1], None
        # Again, since the run may have moved the file while it was written.
        while (path := self._shelf.find(given.raw)) is not None:
            left = self._without(given, path)
            self._shelf.save(path, left)
        self.given.pop()
        file = parse(left, self._run) if left is not None else None
        if left is None or file is None or file.pair is None:
            raise Meanwhile(
                f"the file of your answer to {given.ask} was changed or removed"
                " meanwhile: it is left as it is"
            )
        self._reopened[given.ask] = left
        self._shelf.claim(given.ask)
        return Item(given.ask, file.pair), given

    def _without(self, given: Given, path: Path) -> bytes:
        """The file with the answer taken back, as it has to be in its folder."""
        if path.parent == self._shelf.done:
            return filled(given.raw, given.ask, choice="undo")
        empty = {"choice": "", "seconds": "", "annotator": "", "note": ""}
        return given.before or filled(given.raw, given.ask, **empty)

    def _unanswered(self, ask: Ask) -> tuple[Path, bytes]:
        """Where the file lies now, and its bytes; raises `Meanwhile`."""
        self.look()
        files = self._shelf.of(ask)
        for path, file in files.items():
            if file.is_open:
                return path, file.raw
        if files:
            raise Meanwhile(f"somebody answered {ask} meanwhile: that is left as it is")
        left = self._reopened.pop(ask, None)
        if left is not None and (found := self._shelf.find(left)):
            return found, left
        raise Meanwhile(f"the file of {ask} is gone, so your answer was not saved")

    # -- what was answered before this session ---------------------------------------

    def _earlier(self, files: list[tuple[Saved, LabelFile]]) -> None:
        """This person's answers to pairs that are not trained on yet."""
        for turn in self._standing.turns.values():
            for vote in turn.votes.values():
                if vote.annotator != self.me or not turn.sampled:
                    continue
                ask = Ask(turn.sampled.pair, vote.slot)
                if vote.source == "file":
                    self._elsewhere.add(ask.pair)
                    continue
                choice = shown_as(vote.value, vote.shown, strong=vote.strong)
                self.given.append(Given(ask, choice, vote.note, vote.raw, vote.saved))
        known = {given.raw for given in self.given}
        for saved, file in files:
            answer = file.answer
            if answer is None or answer.choice is None or answer.choice.word == "undo":
                continue
            mine = self._who(answer.annotator, saved.owner) == self.me
            if mine and file.raw not in known and self._may_be_asked(file.ask):
                self.given.append(
                    Given(file.ask, answer.choice, answer.note, file.raw, saved.time)
                )
        self.given.sort(key=lambda given: given.when)

    def _who(self, written: str, owner: int) -> str:
        """The annotator's name, by the rule by which the run names them."""
        default = str(self._standing.settings.get("annotator") or "")
        return name_of_annotator(written, default, owner)
