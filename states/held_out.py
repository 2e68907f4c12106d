"""The facts of a held-out win rate."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass

from onlinedpo.states.sampled import Completion, Messages


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """The reference's answers to the held-out prompts, in their order."""

    prompts: tuple[Messages, ...]
    completions: tuple[Completion, ...]
    time: float

    def flaw(self) -> str:
        """What cannot be of it as a whole, in words; empty where nothing is wrong."""
        return _unlike(self.completions, self.prompts, "prompts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """The policy after `step` steps, judged against the reference on held-out prompts.

    `outcomes` has one of "win", "tie", "loss", "failed" for each prompt.
    """

    step: int
    completions: tuple[Completion, ...]
    outcomes: tuple[str, ...]
    seconds: float
    time: float

    def flaw(self) -> str:
        """What cannot be of it as a whole, in words; empty where nothing is wrong."""
        return _unlike(self.completions, self.outcomes, "outcomes")

    @property
    def win_rate(self) -> float:
        """Wins plus half the ties, over the prompts the judge could decide."""
        decided = [o for o in self.outcomes if o != "failed"]
        if not decided:
            return float("nan")
        return (decided.count("win") + decided.count("tie") / 2) / len(decided)

    @property
    def ended(self) -> float:
        """The share of answers that the policy ended by itself."""
        stops = [c.finish == "stop" for c in self.completions]
        return sum(stops) / len(stops)

    @property
    def mean_length(self) -> float:
        """Mean length in tokens."""
        return sum(len(c.tokens) for c in self.completions) / len(self.completions)


def _unlike(answers: Sized, others: Sized, what: str) -> str:
    """That there is not one of the others for each answer, or no answer."""
    fits = 0 < len(answers) == len(others)
    return "" if fits else f"there are {len(answers)} answers, {len(others)} {what}"
