"""What labels must be, by what people saved: an account kept beside the program's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import (
    Dropped,
    Label,
    Reason,
    Record,
    Sampled,
    Side,
    Step,
    Vote,
)
from tests.people.witness import Version
from tests.people.words import Phrasebook, agreed


@dataclass
class Account:
    """One pair, over all its turns."""

    votes: dict[int, str] = field(default_factory=dict)
    slots: int = 1
    applied: list[str] = field(default_factory=list)
    ended: bool = False
    late: bool = False


class Model:
    """All pairs of a run."""

    def __init__(self, phrases: Phrasebook, rule: str, requeue: bool) -> None:
        """No pair yet."""
        self._phrases, self._rule, self._requeue = phrases, rule, requeue
        self._accounts: dict[int, Account] = {}
        self._labels: dict[int, Label] = {}

    def say(self, version: Version) -> None:
        """Somebody saved this, after all that came before."""
        meaning = self._phrases.meaning(version.raw)
        if meaning is None or meaning.value is None:
            return
        account = self._accounts[meaning.ticket]
        account.late |= account.ended
        if meaning.value == "undo":
            account.votes.pop(meaning.slot, None)
        else:
            account.votes[meaning.slot] = meaning.value

    def follow(self, records: Iterable[Record], ledger: Ledger) -> None:
        """What else the journal says happened to the pairs."""
        for record in records:
            match record:
                case Sampled(repeats=int(ticket)):
                    assert self._requeue, f"{record.pair} came again"
                    self._accounts[record.ticket] = self._accounts[ticket]
                case Sampled():
                    self._accounts[record.ticket] = Account()
                case Label():
                    self._labels[record.ticket] = record
                case Dropped():
                    self._accounts[record.ticket].ended = True
                case Step():
                    for ticket in record.tickets:
                        self._apply(ticket)
        for ticket, turn in ledger.turns.items():
            if turn.slots:
                self._accounts[ticket].slots = turn.slots

    def check(self, ledger: Ledger) -> None:
        """Let the labels be what people said last."""
        for ticket, turn in ledger.turns.items():
            account = self._accounts[ticket]
            found = turn.label and (turn.label.chosen or turn.label.reason)
            if turn.sampled and turn.sampled.repeats is not None:
                continue
            wanted = self._wanted(account)
            assert {k: v.value for k, v in turn.votes.items()} == account.votes
            assert found == wanted, f"pair {ticket} is {found}, people say {wanted}"
        if self._requeue:
            for account in self._accounts.values():
                self._check_corrected(account, ledger)

    def _check_corrected(self, account: Account, ledger: Ledger) -> None:
        wanted = self._wanted(account)
        if not account.late or account.slots > 1 or wanted not in ("first", "second"):
            return
        turns = [t for n, t in ledger.turns.items() if self._accounts[n] is account]
        labels = [
            turn.label.chosen
            for turn in turns
            if turn.label and turn.label.reason != Reason.BACK
        ]
        assert [*account.applied, *labels][-1:] == [wanted], "not corrected"
        assert len(labels) <= 1

    def _apply(self, ticket: int) -> None:
        account, label = self._accounts[ticket], self._labels[ticket]
        assert label.chosen is not None
        if account.ended:
            assert self._requeue and account.late, f"pair {ticket} is applied again"
        elif not account.late:
            wanted: Side | str | None = self._wanted(account)
            assert label.chosen == wanted, f"{ticket}: {label.chosen}, not {wanted}"
        account.applied.append(label.chosen)
        account.ended = True

    def _wanted(self, account: Account) -> str | None:
        return agreed(account.votes, account.slots, self._rule)


def same_as(fact: Vote, version: Version, phrases: Phrasebook) -> bool:
    """Whether an answer in the journal is what was saved, and means what it said."""
    meaning = phrases.meaning(version.raw)
    return meaning is not None and (
        (fact.path, fact.raw) == (version.place, version.raw)
        and (fact.ticket, fact.slot) == (meaning.ticket, meaning.slot)
        and (fact.value, fact.annotator) == (meaning.value, meaning.annotator)
    )
