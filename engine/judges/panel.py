"""A panel: several judges who are all asked, each of whom answers for itself."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from onlinedpo.engine.judges.comparison import Comparison, Judge, Outside, Tried
from onlinedpo.engine.observer import Observer
from onlinedpo.states.errors import Unanswered
from onlinedpo.states.records import Verdict
from onlinedpo.states.verdicts import judges


class Panel:
    """Several judges as one: the verdicts of each, in the order of the judges.

    What they come to together is decided where all verdicts are: see
    `states.verdicts.deciding`.
    """

    def __init__(self, members: Sequence[Judge]) -> None:
        """Ask all of these about each pair."""
        self._members = members
        self.identity = judges.panel([member.identity for member in members])

    def judge(self, comparisons: Sequence[Comparison]) -> list[list[Verdict]]:
        """All verdicts on each comparison, judge by judge.

        Raises `Unanswered` with those on the first of them, on which all have answered.
        """
        # Those that are elsewhere can think while the others do.
        for comparison in comparisons:
            self.expect(comparison)
        said: list[list[list[Verdict]]] = []
        left: Unanswered | None = None
        for member in self._members:
            try:
                came = member.judge(comparisons)
            except Unanswered as unanswered:
                came, left = [*unanswered.came], left or unanswered
                comparisons = comparisons[: len(came)]
            said.append(came)
        # One judge's verdicts are not the panel's.
        whole = [[*chain(*verdicts)] for verdicts in zip(*said, strict=False)]
        if left:
            left.came = whole
            raise left
        return whole

    def expect(self, comparison: Comparison) -> None:
        """Let those that are elsewhere begin."""
        for member in self._members:
            if isinstance(member, Outside):
                member.expect(comparison)

    def must_answer(self) -> None:
        """Try those that are not in our hands."""
        for member in self._members:
            if isinstance(member, Tried):
                member.must_answer()

    def watched_by(self, watch: Observer) -> None:
        """Tell `watch` where one that is elsewhere is waited for."""
        for member in self._members:
            if isinstance(member, Outside):
                member.watched_by(watch)
