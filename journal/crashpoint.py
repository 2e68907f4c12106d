"""Named points at which a test can kill the process, as a power cut would."""

from __future__ import annotations

import os
import signal

_WANTED = os.environ.get("ONLINEDPO_CRASH", "")
_seen: dict[str, int] = {}


def reached(point: str) -> None:
    """Die by SIGKILL here if `ONLINEDPO_CRASH` is "point@n" and this is the n-th time.

    With `ONLINEDPO_CRASH=list:FILE` the points are counted into FILE instead, one line
    each, so that a test knows them all.
    """
    if not _WANTED:
        return
    _seen[point] = _seen.get(point, 0) + 1
    if _WANTED.startswith("list:"):
        with open(_WANTED.removeprefix("list:"), "a") as log:
            log.write(point + "\n")
        return
    wanted, _, times = _WANTED.partition("@")
    if point == wanted and _seen[point] == int(times):
        os.kill(os.getpid(), signal.SIGKILL)
