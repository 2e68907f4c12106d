"""Wakes a run when somebody saves a file: a hint only, to look at once.

What counts is what a look at the folders finds, and looks are taken without any event
too: events get lost, network drives give none, and the threads behind them can die.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from onlinedpo.journal import atomic, disk

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent
    from watchdog.observers.api import BaseObserver

WITH_EVENTS = 5.0
"""Seconds after which to look although nothing was heard, while events arrive."""

WITHOUT = 2.0
"""The same where they do not."""

PATIENCE = 2.0
"""Seconds in which a folder's first event must have come, and between two starts."""

_CLOSING = 0.8
# Reading is no change: else each look at the folders would cause the next one.
_OURS = ("opened", "closed_no_write")
_Identity = tuple[int, int] | None


class Watcher:
    """Watches folders, none of those below them, until it is closed.

    It never fails: where watching does not work, `tell` is told so, once, and `period`
    is shorter.
    """

    def __init__(self, folders: Sequence[Path], tell: Callable[[str], None]) -> None:
        """Begin to watch; a folder that is not there is watched once it is."""
        self._folders = [_Folder(path) for path in folders]
        self._tell = tell
        self._told = False
        self._changed = threading.Event()
        self._observer: BaseObserver | None = None
        self._threads: list[threading.Thread] = []
        self._started = 0.0
        self._dead_since: float | None = None
        self._over = False
        # It would print on the terminal what is no concern of the user's.
        logging.getLogger("watchdog").addHandler(logging.NullHandler())
        self._start()

    @property
    def period(self) -> float:
        """Seconds after which to look even if nothing was heard."""
        healthy = self._observer is not None and self._dead_since is None
        heard = all(folder.heard for folder in self._folders)
        return WITH_EVENTS if healthy and heard else WITHOUT

    def wait(self, seconds: float) -> bool:
        """Whether something changed since the last call; waits so long for it."""
        self._check()
        woken = self._changed.wait(max(seconds, 0.0))
        if woken:
            self._changed.clear()
        return woken

    def woken(self) -> bool:
        """Whether something changed since the last call."""
        return self.wait(0.0)

    def close(self) -> None:
        """Stop watching."""
        self._over = True
        self._stop()

    def __enter__(self) -> Self:
        """For use in `with`."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop watching."""
        self.close()

    def _check(self) -> None:
        """See to it that events still come from the folders that are there now."""
        now = time.monotonic()
        if self._over or now - self._started < PATIENCE:
            return
        silent = [f.path for f in self._folders if f.watched and not f.heard]
        if silent:
            self._say(f"{silent[0]} announces no changes, as network drives do not")
        replaced = any(folder.replaced() for folder in self._folders)
        if replaced or self._observer is None:
            self._stop()
            self._start()
            # What happened in between was not heard.
            self._changed.set()
        elif all(thread.is_alive() for thread in self._threads):
            self._dead_since = None
        elif self._dead_since is None:
            # It may be that the folder is gone and that this was not heard yet.
            self._dead_since = now
        elif now - self._dead_since > PATIENCE / 4:
            self._give_up("the watching of folders broke off")

    def _start(self) -> None:
        self._started, self._dead_since = time.monotonic(), None
        before = set(threading.enumerate())
        for folder in self._folders:
            folder.begin()
        try:
            self._observer = _observer(self._folders, self._changed)
        except Exception as error:
            # Limits of the system, or whatever else: a look finds the same, later.
            if not any(folder.replaced() for folder in self._folders):
                self._give_up(f"folders cannot be watched here ({error})")
            return
        self._threads = [
            thread
            for thread in set(threading.enumerate()) - before
            if type(thread).__module__.startswith("watchdog.")
        ]
        for folder in self._folders:
            if folder.watched:
                folder.probe()

    def _stop(self) -> None:
        observer, self._observer, self._threads = self._observer, None, []
        if observer is not None:
            # A thread of its own: it would wait without end for one that is stuck.
            stop = threading.Thread(target=_stop, args=(observer,), daemon=True)
            stop.start()
            stop.join(_CLOSING)

    def _give_up(self, why: str) -> None:
        self._over = True
        self._stop()
        self._say(why)

    def _say(self, why: str) -> None:
        if not self._told:
            self._told = True
            self._tell(f"{why}: saved files are looked for every {WITHOUT:.0f} s")


class _Folder:
    """One folder: which one it was when it was last seen, and what was heard of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.watched: _Identity = None
        self.heard = False
        self.gone = False

    def begin(self) -> None:
        self.watched = _identity(self.path)
        self.heard = self.gone = False

    def replaced(self) -> bool:
        """Whether there is another folder of this name now, or one at last, or none."""
        if self.watched and not self.heard:
            # Some network drives number their files anew at each look.
            return False
        return self.gone or _identity(self.path) != self.watched

    def probe(self) -> None:
        """Let an event come, if any do."""
        name = f"{atomic.TEMPORARY}probe-{uuid.uuid4().hex[:8]}"
        with contextlib.suppress(OSError):
            disk.write_new(self.path / name, b"")
            disk.remove(self.path / name)


def _identity(folder: Path) -> _Identity:
    try:
        found = os.lstat(folder)
    except OSError:
        return None
    if not stat.S_ISDIR(found.st_mode):
        # A link could lead anywhere.
        return None
    return found.st_dev, found.st_ino


def _observer(folders: Sequence[_Folder], changed: threading.Event) -> BaseObserver:
    """A started observer of those folders that are there."""
    # Imported here: most runs have nobody to wait for.
    from watchdog.events import FileSystemEventHandler
    from watchdog.observers import Observer

    class Handler(FileSystemEventHandler):
        """Only notes that something happened: an error here would end the watching."""

        def __init__(self, folder: _Folder) -> None:
            self._folder = folder

        def dispatch(self, event: FileSystemEvent) -> None:
            with contextlib.suppress(Exception):
                self._folder.heard = True
                if event.event_type in _OURS:
                    return
                if event.event_type == "deleted" and event.is_directory:
                    # Perhaps the folder itself, after which nothing more is heard;
                    # the number of one that is made anew can be the same.
                    self._folder.gone = True
                changed.set()

    observer = Observer()
    try:
        for folder in folders:
            if folder.watched:
                observer.schedule(Handler(folder), str(folder.path), recursive=False)
        observer.start()
    except Exception:
        _stop(observer)
        raise
    return observer


def _stop(observer: BaseObserver) -> None:
    # One that never ran has nothing to wait for.
    with contextlib.suppress(Exception):
        observer.stop()
        observer.join()
