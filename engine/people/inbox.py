"""The watched folder: what waits for people is offered there, what they save comes in.

An event only wakes; what counts is the content of the files, looked at again and again.
The order is always: append to the journal, synced; then move the file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from onlinedpo.engine.people import bundles, intake, late
from onlinedpo.engine.people.reading import (
    NO_CHOICE,
    Circumstances,
    Read,
    fitting,
    read,
)
from onlinedpo.journal.label_folder import (
    GUIDELINES,
    MAX_LABEL_FILE,
    FreshNames,
    LabelFolder,
    run_name,
)
from onlinedpo.journal.looks import SETTLE, Looks, Saved
from onlinedpo.journal.writer import Journal
from onlinedpo.states.answers import Ask, Kept, Vote, sides
from onlinedpo.states.config import Settings
from onlinedpo.states.late import Ended
from onlinedpo.states.people import label_file
from onlinedpo.states.records import Sampled

LONGEST = 30.0
"""Seconds between two looks at most."""

VANISHED = 30.0
"""Seconds for which an offered file must be gone before it is written anew."""


class Inbox:
    """Offers label files and takes in what was saved."""

    def __init__(
        self,
        folder: LabelFolder,
        journal: Journal,
        settings: Settings,
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make the folders.  `clock` never goes back; files settle by it."""
        self.folder = folder
        self._journal = journal
        self._settings = settings
        self._tell = tell
        self._clock = clock
        self._run = run_name(journal.run)
        self._offered: dict[str, bytes] = {}
        self._offered_at: tuple[int, bytes] | None = None
        self._gone: set[str] = set()
        self._told: set[Path] = set()
        self._next_look = self._next_census = 0.0
        self.start_over()
        # A crash may have come between an answer and what follows from it.
        intake.settle(journal, settings, journal.ledger.turns)
        self.offer()
        self._clear_leftovers()

    @property
    def unsettled(self) -> bool:
        """Whether something was saved that will be read in a moment."""
        looks = (self._todo, self._done, self._inbox)
        return any(look.unsettled > len(look.restless) for look in looks)

    def due(self) -> float:
        """Seconds until the next look, if nothing wakes before."""
        return max(0.0, self._next_look - self._clock())

    def take_in(self, period: float = 0.0) -> int:
        """Journal every version that has settled; returns how many answers there were.

        The next look is due after `period` seconds, or as soon as what is unsettled now
        can have settled.
        """
        began, now = time.perf_counter(), self._clock()
        if not self._ready:
            self.start_over()
        self.folder.check()
        about, ledger = self._circumstances(), self._journal.ledger
        saved, dropped = [*self._todo.look(now)], [*self._inbox.look(now)]
        for file in self._done.look(now):
            bundle = bundles.was_read(file.path, self.folder, ledger)
            (dropped if bundle else saved).append(file)
        cost = time.perf_counter() - began
        answers = self._take_files(sorted(saved, key=lambda s: s.time), about)
        answers += sum(self._take_dropped(file, about) for file in dropped)
        self.folder.keep_moves()
        self.offer()
        if now >= self._next_census:
            self._census(now)
        # Looking takes a small part of the time, however many files lie here.
        pause = SETTLE if self.unsettled else max(period, min(200 * cost, LONGEST))
        self._next_look = now + pause
        return answers

    def offer(self) -> None:
        """Let todo/ hold a file for each answer that is wanted, and for no other."""
        if self._offered_at == self._journal.position:
            # Nothing was said since, so nothing else is wanted.
            return
        self.folder.check()
        turns = self._journal.ledger.turns
        wanted = {f"{ask}.md": ask for ask in self._journal.ledger.open_asks()}
        for name in sorted(self._offered.keys() - wanted.keys()):
            self.folder.withdraw(name, self._offered[name])
            del self._offered[name]
            self._gone.discard(name)
        for name in sorted(wanted.keys() - self._offered.keys()):
            sampled = turns[wanted[name].ticket].sampled
            assert sampled is not None
            content = self._rendered(sampled, wanted[name])
            self.folder.offer(name, content)
            self._offered[name] = content
        self._offered_at = self._journal.position

    def start_over(self, pause: float = 0.0) -> None:
        """Make the folders that are missing; look at all anew, after a pause."""
        self._todo = Looks(self.folder.todo, limit=MAX_LABEL_FILE)
        self._done = Looks(self.folder.done, limit=MAX_LABEL_FILE)
        self._inbox = Looks(self.folder.inbox, limit=bundles.MAX_FILE)
        self._next_look = self._clock() + pause
        self._ready = False
        self._journal.lock.must_hold()
        # Until this works nothing is read: it would be an answer once more each time.
        self.folder.make(GUIDELINES.format(rubric=self._settings.judge_system))
        self.folder.finish_moves(self._journal.ledger.read)
        self._ready = True

    def _circumstances(self) -> Circumstances:
        return Circumstances(
            seed=self._settings.seed,
            run=self._run,
            annotator=self._settings.annotator or "",
            guidelines=self.folder.guidelines_digest(),
        )

    def _rendered(self, sampled: Sampled, ask: Ask) -> bytes:
        shown = sides(self._settings.seed, ask)
        return label_file.render(sampled, ask, shown, self._run).encode()

    # -- label files -----------------------------------------------------------------

    def _take_files(self, saved: Iterable[Saved], about: Circumstances) -> int:
        ledger, folder = self._journal.ledger, self.folder
        files = []
        names = FreshNames(ledger.read)
        for one in saved:
            if self._offered.get(one.path.name) == one.raw:
                folder.forgive(one.path)  # It was of another version.
                continue
            kept_as = folder.place(one.path)
            if one.path.parent == folder.todo:
                kept_as = f"done/{names.take(one.path, folder)}"
            files.append(read(one, folder.place(one.path), kept_as, about, ledger.read))
        ended = self._ended(files)
        files = [fitting(file, ledger, ended) for file in files]
        new = [file.fact for file in files if file.new]
        intake.take(self._journal, self._settings, new, ended)
        for file in files:
            self._put_away(file)
        return sum(isinstance(fact, Vote) for fact in new)

    def _take_dropped(self, file: Saved, about: Circumstances) -> int:
        bundle = bundles.take(file, self.folder, self._journal, self._settings, about)
        if bundle is None:
            return 0
        if bundle.refused:
            bad = len(bundle.refused) + bundle.more
            self._tell(
                f"labels/{bundle.path}: {bad} could not be used; why is said in"
                f" labels/{bundle.kept_as}.receipt"
            )
        return bundle.taken

    def _ended(self, files: Iterable[Read]) -> dict[int, Ended]:
        """The pairs of answers to what is not in flight, as far as there are any."""
        tickets = {file.fact.ticket for file in files if isinstance(file.fact, Vote)}
        late_ones = tickets - self._journal.ledger.turns.keys()
        return late.look_up(self._journal.folder, late_ones)

    def _put_away(self, file: Read) -> None:
        """What follows for a file once the journal has what it says."""
        path, fact = file.saved.path, file.fact
        if isinstance(fact, Vote):
            if fact.path != fact.kept_as:
                self._move(path, fact)
            self.folder.forgive(path)
        elif fact.reason == NO_CHOICE:
            self.folder.forgive(path)
        else:
            self.folder.complain(path, fact.reason)
            self._tell(f"labels/{fact.path} is not read as an answer: {fact.reason}")

    def _move(self, path: Path, vote: Vote) -> None:
        name = self.folder.finish(path, vote.kept_as.removeprefix("done/"))
        if not name:
            # Whatever comes in its place is new.
            self._todo.forget(path.name)
            return
        self._todo.moved(path.name, self._done, name)
        if (place := f"done/{name}") != vote.kept_as:
            why = f"the answer of {vote.path}; the name {vote.kept_as} was taken"
            kept = Kept(path=place, raw=vote.raw, reason=why, time=time.time())
            self._journal.append([kept])

    # -- what is missing, and what is too much ----------------------------------------

    def _census(self, now: float) -> None:
        """Write files that vanished anew, and tell of some that never come to rest."""
        self._next_census = now + VANISHED
        present = set(os.listdir(self.folder.todo))
        for name, content in self._offered.items():
            if name in present:
                self._gone.discard(name)
            elif name in self._gone:
                # Deleting a file is no answer.
                self.folder.offer(name, content)
                self._tell(f"labels/todo/{name} was gone: it is written again")
            else:
                # An editor may have it away for a moment.
                self._gone.add(name)
        for look in (self._todo, self._done, self._inbox):
            for path, why in look.not_read():
                if path not in self._told:
                    self._told.add(path)
                    self._tell(f"{path} {why}")

    def _clear_leftovers(self) -> None:
        """Files of pairs that ended while nobody could take them away."""
        asks = {
            name: ask
            for name in sorted(os.listdir(self.folder.todo))
            if Path(name).suffix == ".md"
            and name not in self._offered
            and (ask := Ask.parse(Path(name).stem))
        }
        turns = self._journal.ledger.turns
        pairs = {
            n: turn.sampled for n, turn in turns.items() if turn.sampled is not None
        }
        tickets = {ask.ticket for ask in asks.values()}
        found = late.look_up(self._journal.folder, tickets - pairs.keys())
        pairs |= {ticket: ended.sampled for ticket, ended in found.items()}
        for name, ask in asks.items():
            if ask.ticket in pairs:
                self.folder.withdraw(name, self._rendered(pairs[ask.ticket], ask))
