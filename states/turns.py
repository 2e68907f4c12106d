"""What the ledger holds of each prompt in flight, and counts of each round."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from onlinedpo.states import records as r
from onlinedpo.states.answers import Ask
from onlinedpo.states.lifecycle import Phase


@dataclass(slots=True)
class Turn:
    """One prompt in flight: its facts so far."""

    phase: Phase
    sampled: r.Sampled | None = None
    verdicts: list[r.Verdict] = field(default_factory=list)
    slots: int = 0
    """Answers that are wanted of people; 0: none."""
    votes: dict[int, r.Vote] = field(default_factory=dict)
    """The newest answer in each slot, in the order in which slots were first filled."""
    label: r.Label | None = None
    since: float = 0.0
    """When it was first sent to people."""

    @property
    def waits(self) -> bool:
        """Whether it waits for people."""
        return self.phase is Phase.JUDGING and self.slots > 0

    @property
    def answerable(self) -> bool:
        """Whether an answer counts: a pair that is only sampled was shown to nobody."""
        return self.phase in (Phase.JUDGING, Phase.LABELLED)

    @property
    def asks(self) -> list[Ask]:
        """The answers that are wanted and not there."""
        assert self.sampled is not None
        pair = self.sampled.pair
        return [Ask(pair, s) for s in range(1, self.slots + 1) if s not in self.votes]

    def add_vote(self, vote: r.Vote) -> None:
        """Put an answer into its slot, or take it out."""
        put(self.votes, vote)


def put(votes: dict[int, r.Vote], vote: r.Vote) -> None:
    """Put an answer into its slot; an undo takes out what is there."""
    if vote.value == "undo":
        votes.pop(vote.slot, None)
    else:
        votes[vote.slot] = vote


def slot_for(asked: int, annotator: str, filled: Mapping[int, r.Vote]) -> int:
    """The annotator's own slot, else the one asked for, else the first that is free."""
    own = [slot for slot, vote in filled.items() if vote.annotator == annotator]
    if asked in own or asked not in filled:
        return asked
    free = next(n for n in range(1, len(filled) + 2) if n not in filled)
    return own[0] if own else free


@dataclass(frozen=True, slots=True)
class LabelledPair:
    """What a step trains on."""

    sampled: r.Sampled
    label: r.Label

    @property
    def tied(self) -> bool:
        """Whether neither side is better: then it is trained on as a tie."""
        return self.label.chosen is None

    @property
    def chosen(self) -> r.Side:
        """The better side; of a tie the first, and no loss depends on which."""
        return self.label.chosen or "first"

    @property
    def lengths(self) -> tuple[int, int]:
        """Tokens of the chosen and of the rejected completion."""
        first, second = len(self.sampled.first.tokens), len(self.sampled.second.tokens)
        return (first, second) if self.chosen == "first" else (second, first)


@dataclass(slots=True)
class Round:
    """What was sampled and judged since the last step."""

    sampled: int = 0
    fresh: int = 0
    """Those that the policy drew: not a pair's next turn with a corrected label."""
    completions: int = 0
    tokens: int = 0
    ended: int = 0
    truncated: int = 0
    judged: int = 0
    agreed: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    unsettled: Counter[str] = field(default_factory=Counter)
    """Why a model judge did not settle a pair, whatever became of the pair."""

    def add_sampled(self, pair: r.Sampled) -> None:
        """Count a fresh pair."""
        self.sampled += 1
        self.truncated += pair.truncated
        for completion in (pair.first, pair.second, *pair.others):
            self.completions += 1
            self.tokens += len(completion.tokens)
            self.ended += completion.finish == "stop"

    def add_judged(self, decision: r.Label | r.Dropped) -> None:
        """Count a pair on which a judge has decided: it agrees with itself, or not."""
        self.judged += 1
        if isinstance(decision, r.Label) and decision.chosen:
            self.agreed += 1
        else:
            self.unsettled[decision.reason] += 1
