"""Runs that are killed again and again, and held to all that they had acknowledged."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from onlinedpo.journal.audit.auditing import audit
from onlinedpo.journal.reader import Reader, segments
from onlinedpo.states.records import Evaluated, Record, Step, Vote
from tests.processes import Child, Outcome, begin, final_bytes, killed

SEGMENT = "SEGMENT"
"""Stands in a point's name for the segment that the next process begins."""


@dataclass(frozen=True)
class Death:
    """How a process is to die: at a point, at a change of a file, or after a time.

    The time is that of its computing, or, seen from outside, of a clock.
    """

    crash: str = ""
    operation: str = ""
    computing: float = 0.0
    outside: float | None = None

    @property
    def point(self) -> str:
        """The name of the point, if it is one."""
        return self.crash.split("@")[0]

    def in_run(self, journal: Path) -> Death:
        """The same of a process that takes this journal up."""
        if SEGMENT not in self.crash:
            return self
        segment = f"{len(segments(journal)) + 1:06d}.odj"
        return replace(self, crash=self.crash.replace(SEGMENT, segment))

    def __str__(self) -> str:
        """As a failing test tells it."""
        if self.outside is not None:
            return f"after {self.outside:.3f} s"
        return self.crash or self.operation or f"after computing {self.computing:.3f} s"


LEFT_ALONE = Death()


def at_point(point: str, times: int = 1) -> Death:
    """Dies where it passes a point for the n-th time."""
    return Death(crash=f"{point}@{times}")


def at_change(chance: random.Random, most: int) -> Death:
    """Dies before one of its first changes of a file; every third time in the midst."""
    torn = " torn" * (chance.random() < 1 / 3)
    return Death(operation=f"{chance.randrange(most) + 1}{torn}")


def at_moment(chance: random.Random, most: float = 0.4) -> Death:
    """Dies within so many seconds of computing, of which a start takes 0.15."""
    return Death(computing=chance.uniform(0.001, most))


def from_outside(chance: random.Random, most: float) -> Death:
    """Is killed within so many seconds."""
    return Death(outside=chance.uniform(0, most))


def begun(death: Death, *arguments: str | Path, keys: bytes = b"") -> Child:
    """A process of the command line that is to die so."""
    return begin(
        *arguments,
        crash=death.crash,
        operation=death.operation,
        seconds=death.computing,
        keys=keys,
    )


def died(death: Death, *arguments: str | Path, keys: bytes = b"") -> Outcome:
    """How it ended, which it does by that death or before it."""
    with closing(begun(death, *arguments, keys=keys)) as child:
        return child.ended()


class Killed:
    """A run whose processes die, one after the other."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        """`arguments` of the command that begins it and goes on with it."""
        self.folder, self.arguments = folder, ("run", str(folder), *arguments)
        self.deaths: list[Death] = []
        self.known: list[Record] = []
        """All that its journal held when the last process had died."""

    def dies(self, death: Death) -> bool:
        """Have a process work on it and die so; False where it ended before."""
        for _ in self.dying(death):
            pass
        return bool(self.deaths) and self.deaths[-1] is death

    def dying(self, death: Death, tick: float = 600.0) -> Iterator[Child]:
        """The same, with the process again and again as long as it lives."""
        exact = death.in_run(self.folder / "journal")
        with closing(begun(exact, *self.arguments)) as child:
            left = 600.0 if death.outside is None else death.outside
            end = time.monotonic() + left
            while child.lives(max(min(tick, end - time.monotonic()), 0.0)):
                if time.monotonic() >= end:
                    child.kill()
                    break
                yield child
            ended = child.ended()
        if killed(ended):
            self.deaths.append(death)
        else:
            assert ended.code == 0, f"{self}\n{ended.output}"
        self.holds(ended)

    def holds(self, ended: Outcome) -> None:
        """Nothing that was there is gone, and what was told is there."""
        found = [*Reader(self.folder / "journal").records()]
        same = found[: len(self.known)] == self.known
        assert same, f"{self}\nwhat the journal held is not there any more"
        new, self.known = found[len(self.known) :], found
        for what, told, there in promised(ended.output, found, new):
            assert told <= there, f"{self}\n{what}: {told} told, {there} journalled"

    def ends_like(self, expected: dict[str, str]) -> None:
        """Let it go on to its end, which is to be that of a run left alone."""
        ended = died(LEFT_ALONE, *self.arguments)
        assert ended.code == 0, f"{self}\n{ended.output}"
        self.holds(ended)
        assert final_bytes(self.folder) == expected, str(self)
        self.is_in_order()

    def is_in_order(self) -> None:
        """Its journal passes an audit, and nothing half-made is left."""
        audit(self.folder)
        left = [str(p.relative_to(self.folder)) for p in self.folder.rglob(".tmp-*")]
        assert not left, f"{self}\n{left}"

    def __str__(self) -> str:
        """By which it can be done again."""
        return f"{self.folder.name} died: {', '.join(map(str, self.deaths))}"


def promised(
    output: str, found: list[Record], new: list[Record]
) -> Iterator[tuple[str, int, int]]:
    """What was told to a user, and what of it the journal has: (what, told, there)."""
    steps = max((r.index for r in found if isinstance(r, Step)), default=0)
    told = re.findall(r"^step +(\d+)/", output, re.M)
    yield "steps", max(map(int, told), default=0), steps
    rates = max((r.step for r in found if isinstance(r, Evaluated)), default=-1)
    told = re.findall(r"^held-out win rate after step (\d+)", output, re.M)
    yield "win rates", max(map(int, told), default=-1), rates
    answers = sum(isinstance(record, Vote) for record in new)
    yield "answers", sum(map(int, re.findall(r"took in (\d+)", output))), answers


def killed_often(
    kills: int,
    runs: Iterator[Killed],
    death: Callable[[], Death],
    expected: dict[str, str],
) -> None:
    """Kill so many processes, of as many runs as that takes.

    Each run is `expected` in the end.  A run is killed 25 times at most.
    """
    while kills > 0:
        run = next(runs)
        for _ in range(min(kills, 25)):
            if not run.dies(death()):
                break
        kills -= len(run.deaths)
        run.ends_like(expected)


def passed(points: Path) -> Counter[str]:
    """The points that a process wrote down, by how often it passed them."""
    names = points.read_text().split()
    return Counter(re.sub(r"\d{6}\.odj", SEGMENT, name) for name in names)
