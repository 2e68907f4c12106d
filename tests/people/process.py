"""One run, process after process, whose labels come from simulated people.

Whatever a process does is compared with what a witness saw in the folder.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from onlinedpo.engine.people.inbox import Inbox
from onlinedpo.journal.label_folder import LabelFolder
from onlinedpo.journal.reader import Reader
from onlinedpo.journal.writer import Journal
from onlinedpo.states.answers import Ask
from onlinedpo.states.config import Settings
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.lifecycle import LiveMachine
from onlinedpo.states.records import Kept, Record, RunOpened, Sampled, Vote
from tests.people.editors import Hands
from tests.people.faults import Clock, Fuse
from tests.people.model import Model, same_as
from tests.people.witness import Version, Witness
from tests.people.words import DEFAULT_NAME, Phrasebook, asks_of
from tests.states import facts

RUN = bytes(range(16))
MOVE = LiveMachine()


@cache
def settings(seed: int, rule: str, late: str) -> Settings:
    """Settings of a run in which people judge."""
    return Settings(
        judge="human",
        seed=seed,
        annotator=DEFAULT_NAME,
        resolve=rule,
        late_labels=late,
    )


@cache
def opened(seed: int, rule: str, late: str) -> RunOpened:
    """A run of these settings begins."""
    return facts.run_opened(**settings(seed, rule, late).as_dict())


class Noted(Journal):
    """A journal that also remembers what was appended, in this process."""

    def __init__(self, *args: Any) -> None:
        """Nothing was appended yet."""
        super().__init__(*args)
        self._noted: list[Record] = []
        self._open = True

    def close(self) -> None:
        """Give the run back, once."""
        if self._open:
            self._open = False
            super().close()

    def noted(self) -> list[Record]:
        """What was appended since this was last asked."""
        noted, self._noted = self._noted, []
        return noted

    def append(self, batch: list[Record]) -> None:  # type: ignore[override]
        """Append, and remember."""
        super().append(batch)
        self._noted += batch


class Watched:
    """A run that is held to its promises at every look."""

    def __init__(
        self, place: Path, seed: int, *, rule: str = "", late: str = ""
    ) -> None:
        """Nothing is there yet; settings that are not given are drawn."""
        self.counts: Counter[str] = Counter(schedules=1)
        self.rng = rng = random.Random(seed)
        self.clock, self.fuse = Clock(), Fuse()
        self.hands = Hands(self.clock)
        rule = rule or rng.choice(("first", "majority", "adjudicate"))
        late = late or rng.choice(("record", "requeue"))
        self.settings = settings(seed % 5, rule, late)
        self.place, self.labels = place, place / "labels"
        self.phrases = Phrasebook(seed % 5, RUN.hex()[:8], rng)
        self.asks: list[Ask] = []
        self.witness = Witness(
            self.labels, self.phrases.meaning, self.phrases.offered, self.hands.renamed
        )
        self.model = Model(self.phrases, rule, late == "requeue")
        self.disturbed = False
        self.expected: list[Version] = []
        self.known: list[Record] = []

    def create(self) -> None:
        """The run begins."""
        self.journal = Noted.create(self.place / "journal", RUN, MOVE)
        wanted = self.settings
        self.append([opened(wanted.seed, wanted.resolve, wanted.late_labels)])

    def open(self) -> None:
        """Take the run up."""
        self.journal = Noted.open(self.place / "journal", {}, MOVE)
        found = [*Reader(self.journal.folder).records()]
        # What a process that was cut off had written, and perhaps not folded.
        self.journal.noted()
        self.received(found[len(self.known) :], self.expected)
        self.expected = []
        self.inbox = self.new_inbox()
        self.witness.new_process()
        self.received(self.journal.noted(), [])
        self.model.check(self.journal.ledger)

    def new_inbox(self) -> Inbox:
        """An inbox that has seen nothing yet."""
        folder = LabelFolder(self.labels)
        return Inbox(folder, self.journal, self.settings, self.tell, self.clock)

    def tell(self, line: str) -> None:
        """Nobody reads it."""
        self.counts["lines told"] += 1

    def append(self, batch: list[Record]) -> None:
        """The run goes on."""
        self.journal.append(batch)
        self.received(self.journal.noted(), [])

    def look(self) -> None:
        """The run looks; what has come to rest is then in the journal."""
        self.counts["looks"] += 1
        self.expected = self.witness.settled(self.clock.now)
        self.disturbed = False
        self.inbox.take_in()
        records = self.journal.noted()
        self.received(records, self.expected, whole=True)
        votes = [fact for fact in records if isinstance(fact, Vote)]
        for fact in votes:
            if not self.disturbed:
                kept_as = self.labels / fact.kept_as
                assert kept_as.read_bytes() == fact.raw, f"{kept_as} is another"
        self.witness.moves([vote.path for vote in votes])
        self.model.check(self.journal.ledger)

    def received(
        self, records: list[Record], expected: list[Version], *, whole: bool = False
    ) -> None:
        """Compare what is in the journal now with what came to rest before."""
        self.known += records
        for record in records:
            if isinstance(record, Sampled) and record.repeats is None:
                self.phrases.add(record)
                one, *others = asks_of(record)
                # Files that are not asked for yet are answered too, but seldom.
                self.asks += [one, one, one, *others]
        said = [r for r in records if isinstance(r, Vote | Kept)]
        votes = [r for r in said if isinstance(r, Vote)]
        self.counts["versions"] += len(said)
        self.counts["late answers"] += sum(
            vote.ticket not in self.journal.ledger.turns for vote in votes
        )
        for vote in votes:
            if (vote.path, vote.raw) in {(v.place, v.raw) for v in expected}:
                self.phrases.learn(vote)
        early = [fact for fact in votes if self.witness.may_be_read(fact)]
        if self.disturbed or early:
            for vote in votes:
                self.model.say(Version(0, vote.path, vote.raw))
        elif said or whole:
            wanted = [v for v in expected if self.phrases.meaning(v.raw)]
            assert len(votes) == len(wanted), f"{brief(votes)}, not {brief(wanted)}"
            for vote, version in zip(votes, wanted, strict=True):
                assert same_as(vote, version, self.phrases), brief([vote, version])
                self.model.say(version)
            kept = {(r.path, r.raw) for r in said if isinstance(r, Kept)}
            for v in expected:
                assert v in wanted or (v.place, v.raw) in kept, f"{brief([v])} is lost"
        self.witness.take(said)
        self.model.follow(records, self.journal.ledger)

    def rest(self) -> None:
        """Look until all is read that lies there, also on drives that keep times."""
        for seconds in (0.6, 0.6, 61.0, 0.6):
            self.clock.now += seconds
            self.look()
        while self.inbox.unsettled:
            self.clock.now += 0.6
            self.look()

    def nothing_is_left(self) -> None:
        """What is answered is in done/, and what is wanted is in todo/."""
        for file in (self.labels / "todo").glob("*.md"):
            assert not self.phrases.meaning(file.read_bytes()), f"{file} is left"
        ours = [p.name for p in self.labels.glob("*/.[tw][mi][pt]*")]
        assert not ours, f"{ours} are left"
        for ask in self.journal.ledger.open_asks():
            wanted = self.labels / "todo" / f"{ask}.md"
            assert wanted.exists(), f"{wanted} is not offered"

    def same_when_replayed(self) -> None:
        """Whoever reads the journal comes to the same."""
        reader = Reader(self.journal.folder)
        assert standing(reader.fold()) == standing(self.journal.ledger)
        assert [*Reader(self.journal.folder).records()] == self.known


def standing(ledger: Ledger) -> tuple[object, ...]:
    """What a ledger says of the pairs."""
    return (
        *(ledger.turns, ledger.read, ledger.asked, ledger.late),
        *(ledger.steps, ledger.finished, ledger.dropped, ledger.next_ticket),
    )


def brief(things: Sequence[Vote | Kept | Version]) -> str:
    """Facts and versions, to be told in a line."""
    return str(
        [
            (t.place if isinstance(t, Version) else t.path, t.raw[-50:].decode())
            for t in things
        ]
    )
