"""All that a run's journal says of its judges, kept small: no text stays.

Collected in one pass.  A pair is counted when its verdicts are first acted on, which is
when it is labelled or dropped or goes to people; what became of it later is not the
judge's doing.  Verdicts with which a pair is restored are not counted: they were given
before, or in another run, of which only the pairs with a winner came here.  Each pair
takes 22 bytes and each verdict 8.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Self

from onlinedpo.states.ledger import Ledger
from onlinedpo.states.measuring.answers_given import AnswersGiven
from onlinedpo.states.measuring.judged_pair import JudgedPair
from onlinedpo.states.records import (
    Dropped,
    Escalated,
    Label,
    Record,
    Restored,
    Sampled,
    Side,
    Verdict,
    Vote,
    Withdrawn,
)
from onlinedpo.states.verdicts.deciding import all_by_judge
from onlinedpo.states.verdicts.judges import BRIEF, PANEL

_SOURCES = ("", "judge", "human", "file", "without_winner")


class Judge:
    """What one judge said: the kind of each pair, and what its verdicts cost."""

    def __init__(self, identity: dict[str, Any]) -> None:
        """It has said nothing yet."""
        self.identity = identity
        self.seconds = array("d")
        """Of each verdict."""
        self.prompt_tokens = 0
        self.retried = 0
        """Verdicts that took more than one attempt."""
        self._kinds: dict[JudgedPair, int] = {}
        self._tickets, self._steps, self._of_kind = array("q"), array("q"), array("i")

    def take(self, pair: Sampled, verdicts: Sequence[Verdict]) -> None:
        """Its verdicts on one pair, those that were asked for again included."""
        kinds = self._kinds
        self._of_kind.append(
            kinds.setdefault(JudgedPair.of(pair, verdicts), len(kinds))
        )
        self._tickets.append(pair.ticket)
        self._steps.append(pair.step)
        for verdict in verdicts:
            self.seconds.append(verdict.seconds)
            self.prompt_tokens += len(verdict.prompt_tokens)
            self.retried += verdict.attempt > 1

    def pairs(self) -> Counter[JudgedPair]:
        """How many pairs of each kind it judged."""
        kinds = list(self._kinds)
        return Counter({kinds[k]: n for k, n in Counter(self._of_kind).items()})

    def at_steps(self) -> Counter[tuple[int, JudgedPair]]:
        """The same by the policy's step when they were sampled."""
        kinds = list(self._kinds)
        counted = Counter(zip(self._steps, self._of_kind, strict=True))
        return Counter({(step, kinds[k]): n for (step, k), n in counted.items()})

    @property
    def tickets(self) -> Iterable[int]:
        """The pairs that it judged."""
        return self._tickets

    def of(self, tickets: Iterable[int]) -> dict[int, JudgedPair]:
        """Those of these pairs that it judged."""
        kinds, wanted = list(self._kinds), set(tickets)
        return {
            ticket: kinds[k]
            for ticket, k in zip(self._tickets, self._of_kind, strict=True)
            if ticket in wanted
        }


class JudgeRecord:
    """What the judges of a run said, beside what people did."""

    def __init__(self) -> None:
        """Nothing has been read yet."""
        self.judges: dict[tuple[str, ...], Judge] = {}
        """By identity; a run has several where its judge was changed, or is a panel."""
        self.panel: Judge | None = None
        """What its panel came to, if it had one."""
        self.asked: Counter[str] = Counter()
        """How often people were asked, by why."""
        self.people = AnswersGiven()
        self._counted = bytearray()
        """By ticket, whether the judge's verdicts on it are counted."""
        self._sources = bytearray()
        """By ticket, whose its newest label is: a place in `_SOURCES`, or 0."""

    @classmethod
    def collect(cls, records: Iterable[Record]) -> Self:
        """All of a run, from its records in order; raises `IllegalMove`."""
        found, ledger = cls(), Ledger()
        for record in records:
            found.take(record, ledger)
            ledger.fold(record)
        return found

    def take(self, record: Record, ledger: Ledger) -> None:
        """Take one fact in; `ledger` is where all stood before it."""
        match record:
            # Most facts are these, and they count when their pair is decided.
            case Verdict() | Sampled():
                pass
            case Label():
                self._judged(record.ticket, ledger)
                self._labelled(record.ticket, record, ledger)
            case Dropped():
                self._judged(record.ticket, ledger)
            case Escalated():
                self._judged(record.ticket, ledger)
                self.asked[record.why] += 1
                self.people.take(record)
            case Vote():
                self.people.take(record)
            case Restored(sampled=sampled):
                self._labelled(sampled.ticket, record.label, ledger)
                if 0 <= sampled.ticket < ledger.next_ticket:
                    self._counted_already(sampled.ticket)
            case Withdrawn():
                self._labelled(record.ticket, None, ledger)

    def labels(self) -> dict[str, int]:
        """How many pairs have a label of whom, and how many one without a winner."""
        counted = Counter(self._sources)
        return {name: counted[k] for k, name in enumerate(_SOURCES) if name}

    def beside_people(
        self, judge: Judge, *, at_random: bool = False
    ) -> list[tuple[Side, JudgedPair]]:
        """The pairs on which a person and this judge both chose: the person's side."""
        pairs = judge.of(self.people.pairs)
        chosen = {ticket: pair.chosen for ticket, pair in pairs.items()}
        self.people.judged = {t: side for t, side in chosen.items() if side}
        return [
            ("first" if vote.value == "first" else "second", pairs[vote.ticket])
            for vote, _ in self.people.beside_judge(at_random=at_random)
        ]

    def _judged(self, ticket: int, ledger: Ledger) -> None:
        turn = ledger.turns.get(ticket)
        if turn is None or not turn.verdicts or turn.sampled is None:
            return
        if self._counted_already(ticket):
            return
        judges = all_by_judge(turn.verdicts)
        for said in judges:
            self._of(said[0].judge).take(turn.sampled, said)
        if len(judges) > 1:
            if self.panel is None:
                self.panel = Judge({"kind": PANEL})
            self.panel.take(turn.sampled, turn.verdicts)

    def _of(self, identity: dict[str, Any]) -> Judge:
        """The judge that verdicts name."""
        for judge in self.judges.values():
            if judge.identity == identity:
                return judge
        key = tuple(str(identity.get(name)) for name in BRIEF)
        return self.judges.setdefault(key, Judge(identity))

    def _counted_already(self, ticket: int) -> bool:
        """Whether a pair has been counted; from here on it has."""
        _make_room(self._counted, ticket)
        before, self._counted[ticket] = self._counted[ticket], 1
        return bool(before)

    def _labelled(self, ticket: int, label: Label | None, ledger: Ledger) -> None:
        if not 0 <= ticket < ledger.next_ticket:
            # No such pair: the ledger will say so.
            return
        name = "" if label is None else label.source if label.chosen else _SOURCES[-1]
        _make_room(self._sources, ticket)
        self._sources[ticket] = _SOURCES.index(name) if name in _SOURCES else 0


def _make_room(column: bytearray, ticket: int) -> None:
    if ticket >= len(column):
        column.extend(bytes(ticket + 1024 - len(column)))
