"""What each frame of a journal must say, derived again from all that stands before it.

A frame is what one operation of the loop has appended.  Its own facts (what the policy
wrote, what a judge put out, what a person saved) are taken as they are; all that
follows from them by rule is derived again and compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile

from onlinedpo.states import endings, labelling
from onlinedpo.states import records as r
from onlinedpo.states.config import Settings
from onlinedpo.states.due import Operation, due, next_batch
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.lifecycle import Phase
from onlinedpo.states.rederive import decisions, late, opening, rewinds, steps
from onlinedpo.states.rederive.judging import Verdicts
from onlinedpo.states.rederive.mismatch import NOTHING, Mismatch, kind_of, must_agree
from onlinedpo.states.rederive.pairs import Pairs
from onlinedpo.states.rederive.people import Answers, Files, Take

_SAVED = {r.Vote, r.Kept, r.Bundle}
_BEGINNINGS = {r.RunOpened, r.ProcessStarted, r.Derived}
_PAIRS = {r.Sampled, r.Dropped, r.Submitted, r.Verdict, r.Label}

Observer = Callable[[r.Record, Ledger], None]
"""Is told of each fact, with where all stood before it."""


class Rederivation:
    """Takes a run's frames in, one after the other, and holds each to what is due."""

    def __init__(
        self,
        run: str,
        files: Files,
        before: Callable[[int], Iterable[r.Record]],
        observers: Sequence[Observer] = (),
    ) -> None:
        """`run` is the id of the journal; `before` reads what stands before a frame."""
        self.ledger = Ledger()
        self.late: list[Take] = []
        """What came after its pair had ended: `look_back` checks it."""
        self.kinds: Counter[type[r.Record]] = Counter()
        """How many facts there are of each kind."""
        self._run, self._before, self._observers = run, before, observers
        self._verdicts, self._answers = Verdicts(), Answers(files)
        self._pairs: Pairs | None = None
        self._in_force: Settings | None = None
        self._owed: set[int] = set()
        """Pairs that people have answered, and whose labels must follow at once."""
        self._may: set[int] = set()
        """Pairs whose labels may be settled now, if the run looks at them."""
        self._take: Take | None = None
        self._derived: tuple[int, r.Derived] | None = None
        """The frame that says whose pairs these are, until they are put back."""

    @property
    def checked(self) -> Counter[str]:
        """How many facts of each kind were held to what follows."""
        return self._verdicts.checked + self._answers.checked

    def take(self, number: int, where: object, batch: Sequence[r.Record]) -> None:
        """Take a frame in.

        Raises `Mismatch`, which says where, and `IllegalMove`.
        """
        try:
            self._derive(number, where, batch)
            self._fold(number, batch)
        except Mismatch as mismatch:
            mismatch.where = mismatch.where or where
            raise

    def finish(self) -> None:
        """The journal ends here; what is put off is left to `look_back`."""
        self._must_be_of(self._run[:8])

    def look_back(self, frames: Iterable[tuple[int, Sequence[r.Record]]]) -> None:
        """Hold what was put off to a second reading of the frames that were taken."""
        if self.late:
            late.check(self.late, frames)

    @property
    def _settings(self) -> Settings:
        if self._in_force is None:
            raise Mismatch("run-opened", "", NOTHING, "run-opened")
        return self._in_force

    def _fold(self, number: int, batch: Sequence[r.Record]) -> None:
        ledger = self.ledger
        self.kinds.update(map(type, batch))
        for record in batch:
            for observe in self._observers:
                observe(record, ledger)
            ledger.fold(record)
            if type(record) in _BEGINNINGS:
                self._begins(number, record)

    def _begins(self, number: int, record: r.Record) -> None:
        """A process, or a run, begins: settings may have changed."""
        self._in_force = opening.settings_of(record, self.ledger)
        if self.ledger.opened is None:
            raise Mismatch("run-opened", "", NOTHING, "run-opened")
        self._verdicts.judged_by(self.ledger.opened, self._in_force)
        if isinstance(record, r.Derived):
            self._derived = number, record
            self._must_be_of(record.source[:8])
            self._answers.runs.clear()
        elif isinstance(record, r.ProcessStarted):
            self._answers.begin()
            self._take = self._derived = None
            asks, turns = self._settings.asks_people, set(self.ledger.turns)
            self._owed, self._may = (turns, set()) if asks else (set(), turns)

    def _must_be_of(self, run: str) -> None:
        """Label files that were taken in are files of this run."""
        for name, (where, pair) in self._answers.runs.items():
            if name != run:
                raise Mismatch("vote", "raw.run", name, run, pair=pair, where=where)

    # -- one frame -----------------------------------------------------------------

    def _derive(self, number: int, where: object, batch: Sequence[r.Record]) -> None:
        if not batch:
            return
        kinds = {type(record) for record in batch}
        derived = self.ledger.derived
        if type(batch[0]) in _SAVED:
            self._people(number, where, batch)
            return
        if kinds & _PAIRS and derived and derived.purpose == "rejudge":
            self._rejudged(where, batch)
        elif r.Verdict in kinds:
            self._judged(where, batch)
        elif r.Sampled in kinds:
            self._sampled(where, batch)
        elif r.Step in kinds:
            self._stepped(batch)
        elif r.Submitted in kinds:
            self._submitted(batch)
        elif kinds & {r.Label, r.Withdrawn, r.Escalated, r.Dropped}:
            self._settled(batch)
        elif r.Rewound in kinds:
            self._rewound(number, where, batch)
        elif kinds != {r.Restored}:
            for record in batch:
                opening.check(record, self.ledger, self._run)
        self._take = None

    def _operation(self, what: Operation, batch: Sequence[r.Record]) -> Settings:
        """The loop does what is due, and only once people's answers count."""
        self._nothing_owed()
        wanted = due(self.ledger, self._settings)
        if what != wanted:
            raise Mismatch(kind_of(batch[-1]), "operation", what, wanted)
        return self._settings

    def _nothing_owed(self) -> None:
        if self._owed:
            owed = labelling.settle_all(self.ledger, self._settings, self._owed, 0.0)
            must_agree([], owed, self.ledger)
        self._owed, self._may = set(), set()

    def _judged(self, where: object, batch: Sequence[r.Record]) -> None:
        settings = self._operation("judge", batch)
        decisions.judged(batch, self.ledger, settings, self._verdicts, where)

    def _sampled(self, where: object, batch: Sequence[r.Record]) -> None:
        settings, opened = self._operation("sample", batch), self.ledger.opened
        if self._pairs is None:
            assert opened is not None
            self._pairs = Pairs(opened, settings)
        self._pairs.check(batch, self.ledger, settings, self._verdicts, where)

    def _submitted(self, batch: Sequence[r.Record]) -> None:
        settings, ledger = self._operation("submit", batch), self.ledger
        fresh, now = ledger.pairs(Phase.SAMPLED), batch[-1].time
        derived = labelling.submit(fresh, settings, ledger.asked, now)
        must_agree(batch, derived, ledger)

    def _stepped(self, batch: Sequence[r.Record]) -> None:
        settings, ledger, step = self._operation("apply", batch), self.ledger, batch[-1]
        ended = endings.without_winner(ledger.undecided(), step.time)
        must_agree(batch[:-1], ended, ledger)
        assert isinstance(step, r.Step)
        pairs = next_batch(ledger, settings)
        steps.check(step, pairs, ledger, settings)

    def _settled(self, batch: Sequence[r.Record]) -> None:
        """What is said of pairs without anything new being said by a judge."""
        ledger, last = self.ledger, batch[-1]
        why = last.reason if isinstance(last, r.Dropped) else ""
        if isinstance(last, r.Escalated):
            why = last.why
        if why in (r.Reason.IDENTICAL, r.Reason.TRUNCATED):
            self._submitted(batch)
        elif self._derived and why in (r.Why.HUMAN, r.Reason.BUDGET):
            decisions.asked_instead(batch, ledger, self._settings)
        elif self._derived and why == r.Reason.LEFT_OUT:
            decisions.left_out(batch, ledger)
        elif isinstance(last, r.Dropped):
            decisions.dropped(batch, ledger, self._operation("drop", batch))
        else:
            tickets = {
                n for fact in batch if (n := getattr(fact, "ticket", None)) is not None
            }
            tickets |= self._owed | self._may
            derived = labelling.settle_all(ledger, self._settings, tickets, last.time)
            must_agree(batch, derived, ledger)
            self._owed, self._may = set(), set()

    def _rejudged(self, where: object, batch: Sequence[r.Record]) -> None:
        ledger, settings = self.ledger, self._settings
        decisions.rejudged(batch, ledger, settings, self._verdicts, where)

    def _people(self, number: int, where: object, batch: Sequence[r.Record]) -> None:
        ledger = self.ledger
        facts = [*takewhile(lambda fact: type(fact) in _SAVED, batch)]
        take = self._take
        if take is None or not take.goes_on_with(facts):
            self._nothing_owed()
            take = self._take = Take(number, where, self._settings)
        take.number, take.where = number, where
        self._answers.check(facts, take, ledger)
        take.turns = [*batch[len(facts) :]]
        if not take.late:
            must_agree(take.turns, [], ledger)
        elif not (self.late and self.late[-1] is take):
            self.late.append(take)
        self._owed |= {fact.ticket for fact in facts if isinstance(fact, r.Vote)}

    def _rewound(self, number: int, where: object, batch: Sequence[r.Record]) -> None:
        """Steps that are undone: planned again by a second reading up to here."""
        ledger, rewound = self.ledger, batch[-1]
        if len(batch) > 1 or not isinstance(rewound, r.Rewound):
            raise Mismatch("rewound", "records", len(batch), 1)
        labels = "same"
        if self._derived and self._derived[1].labels != "same":
            number, labels = self._derived[0], self._derived[1].labels

        def reread(pair: r.Restored) -> None:
            asked = {pair.sampled.ticket: pair.sampled}
            said, settings = pair.verdicts, self._settings
            self._verdicts.check(said, asked, settings, where, elsewhere=True)

        facts = self._before(number)
        rewinds.check(rewound, facts, ledger, self._settings, labels, reread)
        self._derived = None
