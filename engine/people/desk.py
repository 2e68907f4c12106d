"""The desk at which a run meets people: the inbox, and what wakes it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from onlinedpo.engine.people.inbox import Inbox
from onlinedpo.engine.watcher import Watcher
from onlinedpo.journal.label_folder import LabelFolder
from onlinedpo.journal.looks import SETTLE
from onlinedpo.journal.writer import Journal
from onlinedpo.states.config import Settings


class Desk:
    """Offers files, takes answers in, and waits for them."""

    def __init__(
        self,
        folder: LabelFolder,
        journal: Journal,
        settings: Settings,
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the folder and begin to watch it.  `clock` never goes back."""
        self._inbox = Inbox(folder, journal, settings, tell, clock)
        self._tell = tell
        self._woken = False
        self._watcher = Watcher([folder.todo, folder.done, folder.inbox], tell)

    @property
    def todo(self) -> Path:
        """Where the files lie that wait."""
        return self._inbox.folder.todo

    @property
    def unsettled(self) -> bool:
        """Whether something was saved that will be read in a moment."""
        return self._inbox.unsettled

    def take_in(self) -> None:
        """Look whether anybody saved something, if that is due, and journal it."""
        woken = self._watcher.woken() or self._woken
        if not woken and self._inbox.due():
            return
        self._woken = False
        if answers := self._inbox.take_in(self._watcher.period):
            self._tell(f"took in {answers} answer{'s' * (answers > 1)}")

    def wait(self, seconds: float) -> None:
        """Sleep until something is saved or the next look is due, at most so long."""
        if self._watcher.wait(min(seconds, self._inbox.due())):
            self._woken = True

    def __enter__(self) -> Self:
        """Take in all that was saved while no process ran."""
        self._inbox.take_in()
        while self._inbox.unsettled:
            self.wait(SETTLE)
            self.take_in()
        return self

    def __exit__(self, *_: object) -> None:
        """Let nobody watch any more; files that are not wanted go, the others stay."""
        with self._watcher:
            self._inbox.offer()
