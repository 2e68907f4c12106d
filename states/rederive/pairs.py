"""Pairs as they were sampled: of the prompt that was next, after the step that was."""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from itertools import islice
from typing import Any

from onlinedpo.states import due, offline
from onlinedpo.states.config import Settings
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.order import Order, next_turns
from onlinedpo.states.records import (
    Dropped,
    Ranked,
    Reason,
    Record,
    RunOpened,
    Sampled,
)
from onlinedpo.states.rederive import pairing
from onlinedpo.states.rederive.judging import Verdicts
from onlinedpo.states.rederive.mismatch import Mismatch, kind_of

_TOO_LONG = re.compile(r"([0-9]+) tokens, max_seq_length is ([0-9]+)")


class Pairs:
    """Derives which prompts are sampled, frame after frame."""

    def __init__(self, opened: RunOpened, settings: Settings) -> None:
        """By the seed and the number of prompts that the run began with."""
        self._count = int(opened.data["train"])
        self._order = Order(settings.seed, self._count)
        self._words = array("q", bytes(8 * self._count))
        """By prompt, a hash of its words; 0: not seen yet."""

    def check(
        self,
        batch: Sequence[Record],
        ledger: Ledger,
        settings: Settings,
        read: Verdicts,
        where: object,
    ) -> None:
        """Raise `Mismatch` at the first whose prompt is not the next one."""
        ranked = pairing.ranked_in(batch)
        begun = [record for record in batch if not isinstance(record, Ranked)]
        turns = islice(next_turns(ledger, self._order), len(begun))
        drawn = 0
        for record, turn in zip(begun, turns, strict=True):
            if isinstance(record, Sampled):
                drawn += 1
                for field, recorded, derived in (
                    ("ticket", record.ticket, turn.ticket),
                    ("epoch", record.epoch, turn.epoch),
                    ("prompt", record.prompt, turn.prompt),
                    ("repeats", record.repeats, turn.repeats),
                    ("step", record.step, ledger.steps),
                ):
                    if recorded != derived:
                        raise _differs(record, field, recorded, derived)
                by_judge = ranked.get(record.ticket)
                if settings.offline_pairs:
                    _of_file(record, by_judge)
                else:
                    pairing.check(record, by_judge, settings, read, where)
                self._same_words(record, settings)
            elif isinstance(record, Dropped) and record.reason == Reason.TOO_LONG:
                _too_long(record, turn.ticket, settings)
            else:
                raise Mismatch(kind_of(record), "", kind_of(record), "sampled")
        if drawn != (wanted := due.to_sample(ledger, settings)):
            raise Mismatch("sampled", "pairs", drawn, wanted)

    def _same_words(self, pair: Sampled, settings: Settings) -> None:
        """A prompt has the same words whenever it comes, and a file's pair both sides.

        Not the same tokens: a chat template may put a date before them.
        """
        said = [(m["role"], m["content"]) for m in pair.messages]
        if settings.offline_pairs:
            said += offline.texts(pair, settings.seed)
        words = hash(tuple(said)) or 1
        before = self._words[pair.prompt]
        self._words[pair.prompt] = words
        if before not in (0, words):
            derived = f"those that prompt {pair.prompt} had before"
            field = "completions" if settings.offline_pairs else "messages"
            raise _differs(pair, field, said, derived)


def _differs(pair: Sampled, field: str, recorded: Any, derived: Any) -> Mismatch:
    return Mismatch("sampled", field, recorded, derived, pair=pair.pair)


def _of_file(pair: Sampled, ranked: Ranked | None) -> None:
    """What is taken from a file was not drawn, and ends where its text does."""
    for field, recorded, derived in (
        ("source", pair.source, "file"),
        ("others", pair.others, ()),
        ("drawn", pair.drawn, ()),
        ("ranked", ranked, None),
        ("first.finish", pair.first.finish, "stop"),
        ("second.finish", pair.second.finish, "stop"),
    ):
        if recorded != derived:
            raise _differs(pair, field, recorded, derived)


def _too_long(drop: Dropped, ticket: int, settings: Settings) -> None:
    """How long the prompt was is only known where there is a tokenizer."""
    name, limit = f"{ticket:06d}", settings.max_seq_length
    if drop.ticket != ticket:
        raise Mismatch("dropped", "ticket", drop.ticket, ticket, pair=name)
    found = _TOO_LONG.fullmatch(drop.detail)
    if not found or int(found[2]) != limit or int(found[1]) < limit:
        derived = f"a length of at least {limit}"
        raise Mismatch("dropped", "detail", drop.detail, derived, pair=name)
