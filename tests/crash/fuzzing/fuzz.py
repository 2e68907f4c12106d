"""Hostile inputs by the thousand, the same on every machine, and what comes of them.

What reads an input either takes it or raises what it documents, in bounded time and
memory.  An input with an outcome that was not seen before becomes a seed: so the
inputs wander to where the reader has more to say.
"""

from __future__ import annotations

import random
import re
import signal
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.conftest import Count

MEMORY = 64 << 20
"""Bytes at most above what was in use before an input was read."""
SECONDS = 60
"""Of CPU for one input: it ends what would not end; nothing sound comes near it."""
_SEEDS = 2000
_TAKEN = "taken"

FULL = pytest.param("full", marks=pytest.mark.slow)
tiers = pytest.mark.parametrize("tier", ["quick", FULL])


class Hangs(BaseException):
    """An input has taken as much CPU as none may."""


@dataclass(frozen=True)
class Target:
    """Something that reads inputs of others.

    `change` makes an input of one of the `seeds`, `written` is its bytes, and `read`
    takes these; it asserts of what it accepts that it means what it should, and may say
    what that was.  For the rest it raises one of `refuses`.
    """

    name: str
    seeds: Sequence[Any]
    change: Callable[[random.Random, Any, Sequence[Any]], Any]
    read: Callable[[bytes], object]
    refuses: tuple[type[Exception], ...]
    written: Callable[[Any], bytes] = bytes


@dataclass
class Found:
    """What a series of inputs came to."""

    inputs: int = 0
    taken: int = 0
    memory: int = 0
    """The most that one input took, in bytes."""
    outcomes: Counter[str] = field(default_factory=Counter)


def fuzz(target: Target, inputs: int, count: Count) -> Found:
    """Read so many inputs; fails with the first that is not read as it should be."""
    pool, found = list(target.seeds), Found()
    tracemalloc.start()
    try:
        for number in range(inputs):
            chance = random.Random(f"{target.name} {number}")
            # What is broken once stays so: most inputs begin from what is sound.
            seeds = pool if chance.random() < 0.3 else target.seeds
            item = target.change(chance, chance.choice(seeds), pool)
            try:
                data = target.written(item)
            except (ValueError, OverflowError, RecursionError, TypeError):
                # The tree has no form in bytes: as it was, then.
                item = chance.choice(pool)
                data = target.written(item)
            outcome, memory = _attempt(target, number, data)
            found.inputs += 1
            found.taken += outcome.startswith(_TAKEN)
            found.memory = max(found.memory, memory)
            if not found.outcomes[outcome] and len(pool) < _SEEDS:
                pool.append(item)
            found.outcomes[outcome] += 1
    finally:
        tracemalloc.stop()
    print(
        f"{target.name}: {found.inputs:,} inputs, {found.taken:,} taken,"
        f" {len(found.outcomes)} outcomes, {found.memory / 2**20:.1f} MiB at most"
    )
    count("hostile inputs", found.inputs)
    return found


def _kind_of(said: object) -> str:
    """What was said, without what differs from input to input."""
    return re.sub(r"\S*/\S*|'.*?'|\".*?\"|[0-9]+", "", str(said)[:1000])[:80]


def _attempt(target: Target, number: int, data: bytes) -> tuple[str, int]:
    """(what came of it, bytes of memory that it took)."""
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    try:
        with ending():
            outcome = f"{_TAKEN} {_kind_of(target.read(data))}"
    except target.refuses as error:
        outcome = f"{type(error).__name__}: {_kind_of(error)}"
    except (Exception, Hangs) as error:
        small = _smaller(target, data, type(error))
        raise AssertionError(
            f"{target.name}, input {number} of {len(data)} bytes:"
            f" {type(error).__name__}: {str(error)[:400]}\n"
            f"smaller, {len(small)} bytes: {small[:400]!r}"
        ) from error
    memory = tracemalloc.get_traced_memory()[1] - before
    assert memory < MEMORY, (target.name, number, memory, data[:400])
    return outcome, memory


def _smaller(target: Target, data: bytes, kind: type[BaseException]) -> bytes:
    """A shorter input that fails in the same way, if a few tries find one."""
    if kind is Hangs:
        return data

    def fails(candidate: bytes) -> bool:
        try:
            with ending():
                target.read(candidate)
        except (Exception, Hangs) as error:
            return type(error) is kind
        return False

    size, tries = len(data) // 2, 300
    while size and tries:
        for at in range(0, len(data), size):
            candidate = data[:at] + data[at + size :]
            tries -= 1
            if not tries:
                break
            if fails(candidate):
                data = candidate
                break
        else:
            size //= 2
        size = min(size, len(data))
    return data


@contextmanager
def ending(seconds: int = SECONDS) -> Iterator[None]:
    """End what runs in the block if it takes more CPU than anything sound would."""

    def over(*_: object) -> None:
        raise Hangs(f"no end within {seconds} s of CPU")

    before = signal.signal(signal.SIGVTALRM, over)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
