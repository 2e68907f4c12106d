"""Named points at which a test can kill the process, as a power cut would."""

from __future__ import annotations

import os
import signal

_seen: dict[str, int] = {}


def reached(point: str) -> None:
    """Die by SIGKILL here if `ONLINEDPO_CRASH` is "point@n" and this is the n-th time.

    With `ONLINEDPO_CRASH=list:FILE` the points are counted into FILE instead, one line
    each, so that a test knows them all.
    """
    # Asked each time, which is nothing beside a sync: a process that was forked from
    # one which had imported this has an environment of its own.
    wanted = os.environ.get("ONLINEDPO_CRASH")
    if not wanted:
        return
    _seen[point] = _seen.get(point, 0) + 1
    if wanted.startswith("list:"):
        with open(wanted.removeprefix("list:"), "a") as log:
            log.write(point + "\n")
        return
    name, _, times = wanted.partition("@")
    if point == name and _seen[point] == int(times):
        os.kill(os.getpid(), signal.SIGKILL)
