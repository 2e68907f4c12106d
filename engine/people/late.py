"""Pairs that have ended, which one reading of the journal finds again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from onlinedpo.journal.reader import Reader
from onlinedpo.states.late import Ended, Past
from onlinedpo.states.ledger import Ledger


def look_up(journal: Path, tickets: Iterable[int]) -> dict[int, Ended]:
    """The pairs of these tickets; what is not in the journal is left out."""
    past, ledger = Past(tickets), Ledger()
    if past.wanted:
        for record in Reader(journal).records():
            past.take(record, ledger)
            ledger.fold(record)
    return past.ended(ledger)
