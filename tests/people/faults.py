"""A machine that can stop, or let somebody act, between any two of its operations.

What is replaced here belongs to the operating system: its clock and its calls on files.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

CALLS = ("rename", "replace", "link", "unlink", "write", "fdatasync", "fsync")
REAL = {call: getattr(os, call) for call in CALLS}
"""As people call them: their hands are not on the machine that stops."""

EPOCH = 1_700_000_000


class PowerCut(BaseException):
    """The process is no more."""


class Clock:
    """Time that passes only when the schedule says so; each stamp is a new one."""

    def __init__(self) -> None:
        """Begin at nought."""
        self.now = 0.0
        self._stamps = 0

    def __call__(self) -> float:
        """Seconds since the schedule began."""
        return self.now

    def stamp(self) -> int:
        """The time of a save, in nanoseconds."""
        self._stamps += 1
        return (EPOCH * 10**9) + int(self.now * 1e6) * 1000 + self._stamps * 1000


class Fuse:
    """Counts one thread's calls on files, and at the wanted one does what was set."""

    def __init__(self) -> None:
        """Nothing is set."""
        self.fired = False
        self._left = 0
        self._how = ""
        self._meanwhile: Callable[[], None] | None = None
        self._dead = False
        # A watcher of an earlier test may still be closing its files elsewhere.
        self._thread = threading.get_ident()

    def cut(self, calls: int, how: str) -> None:
        """Die at that call: "before", "after", or with a write done by "half"."""
        self._left, self._how, self._meanwhile = calls, how, None

    def meanwhile(self, calls: int, act: Callable[[], None]) -> None:
        """Let somebody act just before that call."""
        self._left, self._how, self._meanwhile = calls, "", act

    def clear(self) -> None:
        """A new process begins."""
        self._left, self._dead, self._how, self._meanwhile = 0, False, "", None

    def call(self, name: str, *args: Any, **named: Any) -> Any:
        """Make the call, if the machine lives."""
        if threading.get_ident() != self._thread:
            return REAL[name](*args, **named)
        if self._dead:
            # Not even what stands in a `finally` is done after a power cut.
            raise PowerCut
        self._left -= self._left > 0
        if self._left or not (self._how or self._meanwhile):
            return REAL[name](*args, **named)
        act, how = self._meanwhile, self._how
        self._meanwhile, self._how, self.fired = None, "", True
        if act:
            act()
            return REAL[name](*args, **named)
        self._dead = True
        if how == "after":
            REAL[name](*args, **named)
        elif how == "half" and name == "write":
            fd, data = args
            REAL[name](fd, bytes(data)[: len(data) // 2])
        raise PowerCut


@contextmanager
def machine(clock: Clock, fuse: Fuse) -> Iterator[None]:
    """Let the program run by this clock, and on files by way of this fuse."""

    with ExitStack() as stack:
        for name in CALLS:
            stack.enter_context(patch.object(os, name, partial(fuse.call, name)))
        stack.enter_context(patch.object(time, "time", lambda: EPOCH + clock.now))
        stack.enter_context(patch.object(time, "perf_counter", clock))
        yield
