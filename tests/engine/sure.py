"""A scripted judge that says how sure it is, and calls some pairs a tie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from onlinedpo.engine.judges.comparison import Comparison
from onlinedpo.states import seeds
from onlinedpo.states.records import Shown, Verdict
from tests.engine.runs import Scripted, Winner


def some_ties(comparison: Comparison, shown: Shown) -> Winner:
    """A tie in two of five pairs, in both orders."""
    luck = seeds.derive(0, comparison.first, comparison.second) % 5
    return "tie" if luck < 2 else "first" if luck < 4 else "second"


@dataclass
class Sure(Scripted):
    """A scripted judge whose log-probabilities are those of what it says."""

    def judge(self, comparisons: Sequence[Comparison]) -> list[list[Verdict]]:
        """The verdicts of the script; a winner is one nat ahead."""
        return [[*map(_sure, said)] for said in super().judge(comparisons)]


def _sure(verdict: Verdict) -> Verdict:
    ahead = {"first": 1.0, "second": -1.0}.get(str(verdict.winner), 0.0)
    a = ahead if verdict.shown == "first-second" else -ahead
    return replace(verdict, logprobs=(a / 2 - 1, -a / 2 - 1))
