"""A person who answers label files, and runs in which one does."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from math import log
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.engine import start, watcher
from onlinedpo.engine.judges.comparison import Comparison
from onlinedpo.engine.people.desk import Desk
from onlinedpo.states.answers import Ask, sides
from onlinedpo.states.people import label_file
from onlinedpo.states.people.choices import shown_as
from onlinedpo.states.records import Sampled, Shown, Side, Verdict
from onlinedpo.states.visible import visible
from tests.engine.runs import Listener, Scripted, Winner

PATIENCE = 20.0
"""Seconds without a new answer after which a person leaves, so that no test hangs."""

Parts = dict[str, Any]


class Leaps:
    """A clock that is six seconds later whenever it is read.

    So the next look is always due, and a saved file has settled by then.
    """

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time."""
        self.now += 6.0
        return self.now


@contextmanager
def in_a_hurry() -> Iterator[None]:
    """No run waits for what was saved to settle, nor for its watching to end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watcher, "_CLOSING", 0.0)
        patch.setattr(start, "Desk", partial(Desk, clock=Leaps()))
        yield


# -- people ----------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A label file as a person reads it."""

    path: Path
    ask: Ask
    one: str
    two: str

    @property
    def ticket(self) -> int:
        """The pair's number."""
        return self.ask.ticket


Rule = Callable[[Case], str]
"""What to write after "choice:"; nothing: the file is left alone."""


def read(path: Path) -> Case:
    """Open a label file and look at the two responses."""
    text = path.read_text()
    found = label_file.identify(text)
    assert found, text
    one, two = (
        re.search(rf"^## Response {n}\n\n(~+)\n(.*?)\n\1$", text, re.M | re.S)
        for n in (1, 2)
    )
    assert one and two, text
    return Case(path, found[0], one[2], two[2])


def answer(path: Path, choice: str, **more: str) -> bytes:
    """Write an answer into a label file and save it; what was saved."""
    case = read(path)
    text = label_file.fill(path.read_text(), case.ask, choice=choice, **more)
    path.write_text(text)
    return path.read_bytes()


def greater(case: Case) -> str:
    """A taste that depends on the two texts alone."""
    return "1" if case.one > case.two else "2"


def said(path: Path) -> str:
    """What a person of that taste says of a label file."""
    return greater(read(path))


def by_visible_text(comparison: Comparison, shown: Shown) -> Winner:
    """The same taste, as a judge."""
    one, two = visible(comparison.first), visible(comparison.second)
    return "first" if one > two else "second"


def taste(pair: Sampled) -> Side:
    """The side of a pair that is to that taste."""
    one, two = visible(pair.first.text), visible(pair.second.text)
    return "first" if one > two else "second"


def side_of(case: Case, side: Side) -> str:
    """The choice of one side of a pair, by the order in which it is shown here."""
    return str(shown_as(side, sides(0, case.ask)))


def nothing(case: Case) -> str:
    """Leave every file alone."""
    return ""


def on(choices: Mapping[int, str], other: Rule = greater) -> Rule:
    """These choices for these tickets, and a rule for the rest."""
    return lambda case: choices.get(case.ticket) or other(case)


class Person(Listener):
    """Answers whatever waits by a rule, whenever the run waits.

    One who finds nothing to do leaves (the run stops): by default after a while.
    """

    def __init__(
        self, rule: Rule = greater, *, stop_after: int | None = None, **more: Any
    ) -> None:
        super().__init__(stop_after)
        self.rule = rule
        self.more = more
        self.waits: list[int] = []
        """How many files waited, each time that the run waited."""
        self.saved: dict[str, bytes] = {}
        """What was saved, by the names of the files in todo/."""
        self.left = False
        self._since = time.monotonic()

    def waiting(self, files: int, folder: Path) -> None:
        """Answer every file that is not answered yet."""
        self.waits.append(files)
        if self.at_work(folder):
            self._since = time.monotonic()
        elif time.monotonic() - self._since > PATIENCE:
            self.left = True

    def at_work(self, todo: Path) -> bool:
        """Answer the files; whether there was anything to answer."""
        worked = False
        for path in sorted(todo.glob("*.md")):
            if path.read_bytes() == self.saved.get(path.name):
                continue
            if choice := self.rule(read(path)):
                self.saved[path.name] = answer(path, choice, **self.more)
                worked = True
        return worked

    def asked_to_stop(self) -> bool:
        """Whether the person has left, or enough steps were taken."""
        return self.left or super().asked_to_stop()


class Stages(Person):
    """Does one thing after the other: the next one each time that the run waits.

    What is to be done gets the labels folder.  After the last, the person leaves.
    """

    def __init__(self, *stages: Callable[[Path], object]) -> None:
        super().__init__()
        self.stages = list(stages)

    def waiting(self, files: int, folder: Path) -> None:
        """Do the next thing."""
        self.waits.append(files)
        if self.stages:
            self.stages.pop(0)(folder.parent)
        else:
            self.left = True


# -- judges ----------------------------------------------------------------------


@dataclass
class Doubtful(Scripted):
    """A scripted judge that is as sure of each pair as it is told to be."""

    sureness: Callable[[Comparison], float] = lambda comparison: 0.95

    def judge(self, comparisons: Any) -> list[list[Verdict]]:
        """The verdicts of the script, with log-probabilities to match."""
        found = super().judge(comparisons)
        return [
            [replace(v, logprobs=self._logprobs(v, c)) for v in verdicts]
            for c, verdicts in zip(comparisons, found, strict=True)
        ]

    def _logprobs(
        self, verdict: Verdict, comparison: Comparison
    ) -> tuple[float, float]:
        sure = self.sureness(comparison)
        a_wins = (verdict.winner == "first") == (verdict.shown == "first-second")
        a = sure if a_wins else 1.0 - sure
        return log(a), log(1.0 - a)
