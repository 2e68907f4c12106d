"""The desk at which a run meets people: the inbox, and what wakes it."""

from __future__ import annotations

import contextlib
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

AGAIN = 5.0
"""Seconds until a folder that failed is tried again."""


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
        self._trouble = ""
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
        """Offer what is wanted; look if that is due, and journal what was saved."""
        woken = self._watcher.woken() or self._woken
        look = woken or not self._inbox.due()
        self._woken = False
        try:
            if not look:
                self._inbox.offer()
                return
            answers = self._inbox.take_in(self._watcher.period)
        except OSError as error:
            self._out_of_reach(error)
            return
        self._trouble = ""
        if answers:
            self._tell(f"took in {answers} answer{'s' * (answers > 1)}")

    def wait(self, seconds: float) -> None:
        """Sleep until something is saved or the next look is due, at most so long."""
        if self._watcher.wait(min(seconds, self._inbox.due())):
            self._woken = True

    def _out_of_reach(self, error: OSError) -> None:
        """Go on without the folder until it can be reached again: a drive may be away.

        What the journal has is safe; what it does not have lies where it was saved.
        """
        if self._trouble != str(error):
            self._trouble = str(error)
            self._tell(
                f"labels cannot be taken in: {error}. It is tried again every"
                f" {AGAIN:.0f} s; what was saved is taken in then"
            )
        with contextlib.suppress(OSError):
            self._inbox.start_over(AGAIN)

    def __enter__(self) -> Self:
        """Take in all that was saved while no process ran."""
        self.take_in()
        while self._inbox.unsettled:
            self.wait(SETTLE)
            self.take_in()
        return self

    def __exit__(self, *_: object) -> None:
        """Let nobody watch any more; files that are not wanted go, the others stay."""
        with self._watcher, contextlib.suppress(OSError):
            self._inbox.offer()
