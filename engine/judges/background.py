"""Calls to other machines, on a thread of their own: MLX stays on the main one."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Coroutine
from concurrent.futures import Future
from threading import Thread, current_thread
from typing import Any, TypeVar

T = TypeVar("T")

_PARTING = 1.0
"""Seconds that the thread has for closing its connections when the program ends."""


class Background:
    """Runs coroutines until it is no longer held, or the program ends."""

    def __init__(self) -> None:
        """Start the thread."""
        self._loop = asyncio.new_event_loop()
        # Where it hangs, the program must be able to end.
        thread = Thread(target=_work, args=(self._loop,), daemon=True)
        thread.start()
        weakref.finalize(self, _end, self._loop, thread)

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin with some work; its result, or error, comes through the future."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)


def _work(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.close()


def _end(loop: asyncio.AbstractEventLoop, thread: Thread) -> None:
    loop.call_soon_threadsafe(loop.stop)
    # What is no longer held may be found out on any thread.
    if thread is not current_thread():
        thread.join(_PARTING)
