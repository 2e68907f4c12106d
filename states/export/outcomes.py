"""What became of each pair of a run: the label it has now, and how it was trained on.

Only the end of a journal says: a rewind undoes steps, and a late answer corrects a
label.  What is kept of a pair that has ended is small, and none of its text.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from onlinedpo.states import records as r
from onlinedpo.states.labelling import decide
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.turns import Turn, put

UNDONE = "undone, and not labelled again"
"""Why a pair has no winner whose step was undone, and that was not put back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a pair.

    It is labelled (`chosen` is a side), undecided (`reason` says why it has no winner),
    or neither yet.
    """

    ticket: int
    pair: str
    chosen: r.Side | None = None
    reason: str = ""
    source: str = ""
    """Who decided: "judge", "human" or "file"; empty where nobody had to, or has."""
    annotators: tuple[str, ...] = ()
    """The people whose answers the label, or its lack of a winner, is."""
    confidence: float | None = None
    judged: str = ""
    """What a model judge decided, or why it did not; empty where none was asked."""
    first: float | None = None
    """The judge's mean probability that the first completion is better."""
    step: int | None = None
    """The step that trained on it; None where none has."""
    margin: float | None = None
    """The reward margin before that step."""
    ended: bool = False
    restored: int = 0
    """Which of the times that it was put back by a rewind counts; 0: none."""

    @property
    def open(self) -> bool:
        """Whether it is neither labelled nor undecided yet."""
        return not self.chosen and not self.reason

    @property
    def probability(self) -> float | None:
        """The judge's probability that the chosen completion is better."""
        if self.first is None or self.chosen == "first":
            return self.first
        return 1.0 - self.first


class Outcomes:
    """What became of each pair, as the facts of a run come in."""

    def __init__(self) -> None:
        """Nothing has happened yet."""
        self.ledger = Ledger()
        self.unsampled: Counter[str] = Counter()
        """Prompts that were dropped before anything was sampled for them, and why."""
        self._restored: Counter[int] = Counter()
        """How often a pair was put back, or was to be, by its ticket."""
        self._counts: dict[int, int] = {}
        """Which of these times counts."""
        self._ended: dict[int, Outcome] = {}
        self._late: dict[int, dict[int, r.Vote]] = {}
        """People's answers on pairs that have ended, those that came after included."""
        self._corrects: dict[int, int] = {}
        """Of each turn with a corrected label: the ticket of the pair's first turn."""

    def take(self, record: r.Record) -> None:
        """Take one fact in; raises `IllegalMove` as the ledger does."""
        match record:
            case r.Sampled(repeats=int(before)):
                if _completions(record.pair) == _completions(self._name(before)):
                    self._corrects[record.ticket] = self._first(before)
            case r.Step():
                for ticket, margin in zip(record.tickets, record.margins, strict=True):
                    self._end(ticket, step=record.index, margin=margin)
            case r.Dropped():
                self._end(record.ticket, record.reason)
            case r.Vote(ticket=ticket) if ticket not in self.ledger.turns:
                put(self._late.setdefault(ticket, {}), _without_text(record))
            case r.Restored(sampled=pair):
                self._restored[pair.ticket] += 1
            case r.Rewound():
                self._rewound(record)
        self.ledger.fold(record)

    def standing(self) -> dict[int, Outcome]:
        """The outcome of each pair, by the ticket of each turn that it had.

        A pair that was trained on again with a corrected label has one outcome, whose
        `ticket` is that of the turn with the label that it has now.
        """
        pairs: dict[int, list[Outcome]] = {}
        for outcome in self._all():
            pairs.setdefault(self._first(outcome.ticket), []).append(outcome)
        found: dict[int, Outcome] = {}
        for turns in pairs.values():
            now = _now(turns)
            found |= {turn.ticket: now for turn in turns}
        return found

    def _all(self) -> Iterator[Outcome]:
        """Every turn of every pair, the first turn of each before the others."""
        in_flight = {
            ticket: self._outcome(turn)
            for ticket, turn in self.ledger.turns.items()
            if turn.sampled
        }
        for _, outcome in sorted({**self._ended, **in_flight}.items()):
            yield outcome

    def _first(self, ticket: int) -> int:
        return self._corrects.get(ticket, ticket)

    def _name(self, ticket: int) -> str:
        turn = self.ledger.turns.get(ticket)
        if turn and turn.sampled:
            return turn.sampled.pair
        return self._ended[ticket].pair if ticket in self._ended else ""

    def _end(self, ticket: int, reason: str = "", **end: Any) -> None:
        turn = self.ledger.turns.get(ticket)
        if turn is None or turn.sampled is None:
            # What the ledger does not know of, it will not have either.
            self.unsampled += Counter([reason] if reason else ())
            return
        self._ended[ticket] = self._outcome(turn, reason, ended=True, **end)
        if turn.votes:
            votes = {slot: _without_text(vote) for slot, vote in turn.votes.items()}
            self._late[ticket] = votes

    def _rewound(self, rewound: r.Rewound) -> None:
        for ticket in rewound.tickets:
            self._counts[ticket] = self._restored[ticket]
        for ticket, outcome in self._ended.items():
            if outcome.step and outcome.step > rewound.to:
                # A correction of its own has moved into the pair's first turn.
                self._ended[ticket] = Outcome(
                    ticket=ticket, pair=outcome.pair, reason=UNDONE, ended=True
                )

    def _outcome(self, turn: Turn, reason: str = "", **end: Any) -> Outcome:
        """What stands of a pair, in flight or as it ends, for `reason` if dropped."""
        assert turn.sampled is not None
        ticket, label = turn.sampled.ticket, turn.label
        chosen = label.chosen if label else None
        if label and not reason:
            reason = label.reason
        judged, first = _judged(turn.verdicts)
        # The answers behind a correction are to the pair's first turn.
        votes = turn.votes or self._late.get(self._first(ticket), {})
        return Outcome(
            ticket=ticket,
            pair=turn.sampled.pair,
            chosen=chosen,
            reason="" if chosen else reason,
            source=label.source if label else "judge" if judged else "",
            annotators=_annotators(label, votes) if label else (),
            confidence=label.confidence if label else None,
            judged=judged,
            first=first,
            restored=self._counts.get(ticket, 0),
            **end,
        )


def _now(turns: Sequence[Outcome]) -> Outcome:
    """Of the turns of one pair, the first of them first, the one that counts."""
    labelled = [turn for turn in turns if turn.chosen]
    if not labelled:
        return turns[0]
    # Where a rewind has brought the first turn back, people's answers go there.
    now = max(labelled, key=lambda o: (not o.ended, o.step or 0, -o.ticket))
    judged = turns[0]
    return replace(
        now, judged=judged.judged, first=judged.first, restored=judged.restored
    )


def _annotators(label: r.Label, votes: Mapping[int, r.Vote]) -> tuple[str, ...]:
    """Who gave the answer that a label is; all who answered, where it has no winner."""
    if label.source == "judge":
        return ()
    agreeing = [v for v in votes.values() if label.chosen in (None, v.value)]
    return tuple(dict.fromkeys(vote.annotator for vote in agreeing if vote.annotator))


def _judged(verdicts: Sequence[r.Verdict]) -> tuple[str, float | None]:
    """What a judge decided, and its probability that the first one is better."""
    if not verdicts:
        return "", None
    decided = decide(verdicts, 0.0)
    said = decided.chosen if isinstance(decided, r.Label) else decided.reason
    chances = [v.probability_first() for v in verdicts if v.winner is not None]
    first = sum(chances) / len(chances) if chances else math.nan
    return str(said), first if math.isfinite(first) else None


def _without_text(vote: r.Vote) -> r.Vote:
    return replace(vote, raw=b"", note="", path="", kept_as="")


def _completions(pair: str) -> str:
    """The part of a pair's name that is the same in every turn of the pair."""
    return pair.partition("-")[2]
