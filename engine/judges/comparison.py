"""What a judge is asked, and what any judge is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from onlinedpo.engine.observer import Observer
from onlinedpo.states.errors import Unanswered
from onlinedpo.states.people.label_file import text_of
from onlinedpo.states.records import Messages, Sampled, Shown, Verdict


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two texts to compare, under the number that its verdicts will carry."""

    ticket: int
    messages: Messages
    first: str
    second: str

    @property
    def request(self) -> str:
        """What both answer, as one text."""
        return text_of(self.messages)

    def answers(self, shown: Shown) -> tuple[str, str]:
        """Answers A and B where they are shown in this order."""
        if shown == "first-second":
            return self.first, self.second
        return self.second, self.first


class Judge(Protocol):
    """Anything that compares completions."""

    @property
    def identity(self) -> dict[str, Any]:
        """What the journal says of the judge."""

    def judge(self, comparisons: Sequence[Comparison]) -> list[list[Verdict]]:
        """The verdicts on each comparison: one per order asked, or one per attempt.

        Raises `Unanswered`, where the judge is elsewhere, with those that came.
        """


@runtime_checkable
class Outside(Protocol):
    """A judge elsewhere, which can think while the policy goes on."""

    def expect(self, comparison: Comparison) -> None:
        """Begin with what will be asked soon; if it never is, nothing has happened."""

    def watched_by(self, watch: Observer) -> None:
        """Tell `watch` where the judge is waited for, and leave where it asks to."""


@runtime_checkable
class Tried(Protocol):
    """A judge that is tried before a run begins: it is not in our hands."""

    def must_answer(self) -> None:
        """Raise `OnlineDPOError` if it cannot be asked at all; no verdict is kept."""


def judge_pairs(
    judge: Judge, pairs: Sequence[Sampled]
) -> tuple[list[list[Verdict]], Unanswered | None]:
    """The verdicts on these pairs, or on the first of them and why it is not all."""
    comparisons = [
        Comparison(p.ticket, p.messages, p.first.text, p.second.text) for p in pairs
    ]
    try:
        return judge.judge(comparisons), None
    except Unanswered as unanswered:
        return [*unanswered.came], unanswered
