"""Random schedules of people, editors, looks, restarts and power cuts on one run.

    python -m tests.people.schedules [HOW MANY] [FIRST SEED]

plays that many (10,000) and prints what happened in them.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from onlinedpo.states.records import Reason, Vote
from tests.people.editors import EDITORS
from tests.people.faults import PowerCut, machine
from tests.people.process import Watched, brief
from tests.states import facts

LOSSES = (0.0, 0.5, 1.0)
"""Shares of events that nobody hears of."""

MEMORY = Path("/dev/shm")


class Schedule(Watched):
    """One run, the people who label it, and what befalls them."""

    def __init__(self, place: Path, seed: int) -> None:
        """Nothing has happened yet."""
        super().__init__(place, seed)
        self.loss = LOSSES[seed % 3]
        self.editing: list[Iterator[None]] = []
        self.events = 0

    def play(self) -> None:
        """All of it, and then whether all is well."""
        acts: dict[Callable[[], None], int] = {
            self.take_up_a_file: 6,
            self.go_on: 14,
            self.tick: 10,
            self.hear: 4,
            self.restart: 1,
            self.set_fuse: 4,
            self.apply: 3,
            self.drop: 1,
            self.sample: 1,
        }
        with machine(self.clock, self.fuse):
            try:
                self.begin()
                for act in self.rng.choices(
                    [*acts], [*acts.values()], k=self.rng.randint(20, 60)
                ):
                    self.clock.now += self.rng.choice((0.0, 0.05, 0.2))
                    self.live(act)
                self.finish()
            finally:
                self.fuse.clear()
                self.journal.close()

    def begin(self) -> None:
        """The run begins, with one to three pairs."""
        self.create()
        for _ in range(self.rng.randint(1, 3)):
            self.sample()
        self.inbox = self.new_inbox()

    def live(self, act: Callable[[], None]) -> None:
        """Do something, and begin again if the machine stops."""
        try:
            act()
        except PowerCut:
            self.counts["power cuts"] += 1
            self.restart()

    def restart(self, *, calm: bool = False) -> None:
        """Another process takes the run up, perhaps at the second try."""
        self.journal.close()
        self.fuse.clear()
        for _ in range(self.rng.randint(0, 6)):
            self.go_on()
        if not calm and self.rng.random() < 0.2:
            self.set_fuse()
        while True:
            try:
                self.open()
                break
            except PowerCut:
                self.counts["power cuts"] += 1
                self.journal.close()
                self.fuse.clear()
        self.counts["restarts"] += 1

    def take_up_a_file(self) -> None:
        """Somebody opens a file, where it lies or where it once lay, and saves."""
        if len(self.editing) > 2:
            return
        rng = self.rng
        ask = rng.choice(self.asks)
        folder = self.labels / rng.choice(("todo", "todo", "done"))
        path = folder / f"{ask}.md"
        there = sorted(folder.glob("[!.]*.md"))
        if there and (folder.name == "done" or rng.random() < 0.5):
            path = rng.choice(there)
            ask = next((a for a in self.asks[::-1] if str(a) in path.name), ask)
        elif folder.name == "done":
            return
        raw = self.phrases.write(ask)
        editor = rng.choice(EDITORS)
        self.editing.append(editor(self.hands, path, raw))
        if rng.random() < 0.03 and path.exists():
            self.lie(path)

    def lie(self, path: Path) -> None:
        """Somebody saves on a drive that keeps the old time."""
        if raw := self.phrases.changed_in_place(path.read_bytes()):
            self.hands.keep_times(path, raw)
            self.counts["saves that keep the time"] += 1

    def go_on(self) -> None:
        """One step of one editor; perhaps an event tells of it, once or twice."""
        if not self.editing:
            return
        editor = self.rng.choice(self.editing)
        try:
            next(editor)
        except StopIteration:
            self.editing.remove(editor)
        for _ in range(self.rng.choice((0, 1, 1, 2))):
            self.events += self.rng.random() >= self.loss

    def hear(self) -> None:
        """An event comes through, soon or late: somebody looks at once."""
        if self.events:
            self.events -= 1
            self.counts["events"] += 1
            self.look()

    def tick(self) -> None:
        """Time passes; the run looks when it is due."""
        self.clock.now += self.rng.choice((0.1, 0.5, 0.5, 0.6, 1.0, 6.0))
        if self.inbox.due() == 0.0:
            self.look()

    def set_fuse(self) -> None:
        """Soon the machine will stop, or somebody act, amid what the program does."""
        calls = self.rng.randint(1, 15)
        if self.rng.random() < 0.5:
            self.fuse.meanwhile(calls, self.interfere)
        else:
            self.fuse.cut(calls, self.rng.choice(("before", "after", "half")))

    def interfere(self) -> None:
        """Somebody's editor is faster than the program."""
        self.disturbed = True
        self.counts["races"] += 1
        for _ in range(self.rng.randint(1, 3)):
            self.take_up_a_file()
        for _ in range(self.rng.randint(1, 8)):
            self.go_on()

    def apply(self) -> None:
        """The run takes a step on pairs that are labelled."""
        ledger = self.journal.ledger
        if pairs := ledger.labelled()[: self.rng.randint(1, 2)]:
            tickets = (pair.sampled.ticket for pair in pairs)
            ends = [facts.dropped(x.ticket, x.reason) for x in ledger.undecided()]
            self.append([*ends, facts.step(ledger.steps + 1, *tickets)])
            self.counts["steps"] += 1

    def drop(self) -> None:
        """The run gives up a pair that waits."""
        if (waiting := self.journal.ledger.waiting()) and self.rng.random() < 0.3:
            pair = waiting[0].sampled
            assert pair
            self.append([facts.dropped(pair.ticket, Reason.STALE)])

    def sample(self) -> None:
        """Another pair waits for people."""
        if self.journal.ledger.next_ticket < 3:
            ticket = self.journal.ledger.next_ticket
            one, two = facts.completion(ticket, 1), facts.completion(ticket, 2)
            pair = facts.sampled(ticket, one, two)
            asked = facts.escalated(ticket, self.rng.choice((1, 1, 1, 2)))
            self.append([pair, facts.submitted(ticket), asked])

    def finish(self) -> None:
        """All save what they have open; then nothing happens any more."""
        self.fuse.clear()
        while self.editing:
            self.go_on()
        self.rest()
        there = self.witness.contents() | {*self.phrases.offered.values()}
        for raw in self.hands.precious.values():
            assert raw in there, f"no file holds {raw[-80:]!r}"
        before = len(self.known)
        self.restart(calm=True)
        self.rest()
        more = [r for r in self.known[before:] if isinstance(r, Vote)]
        assert not more, f"journalled anew after a restart: {brief(more)}"
        self.nothing_is_left()
        self.same_when_replayed()
        self.counts["saves"] = self.hands.saves


def play(place: Path, seed: int) -> Counter[str]:
    """Play one schedule; raises AssertionError where a promise is broken."""
    schedule = Schedule(place, seed)
    schedule.play()
    return schedule.counts


def main(many: int = 10_000, first: int = 0) -> None:
    """Play them and print what happened."""
    counts: Counter[str] = Counter()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as place:
        for seed in range(first, first + many):
            folder = Path(place) / str(seed)
            folder.mkdir()
            try:
                counts += play(folder, seed)
            except Exception as error:
                counts["failed"] += 1
                print(f"seed {seed}: {type(error).__name__}: {error}")
            shutil.rmtree(folder)
    each = (time.perf_counter() - began) / many
    print(", ".join(f"{n:,} {what}" for what, n in counts.items()))
    print(f"{each * 1e3:.1f} ms each")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
