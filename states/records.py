"""The facts of a run, in the order in which they happen to a prompt.

Each is frozen and is written to the journal as it stands.  Prompts are counted: the
*ticket* is the running number of a prompt's turn, over epochs, and ties all facts of
that turn together.  Times are Unix seconds and data only: nothing is decided by them.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any, Literal

from onlinedpo.states.answers import Bundle as Bundle
from onlinedpo.states.answers import Escalated as Escalated
from onlinedpo.states.answers import Kept as Kept
from onlinedpo.states.answers import Shown as Shown
from onlinedpo.states.answers import Side as Side
from onlinedpo.states.answers import Vote as Vote
from onlinedpo.states.answers import Withdrawn as Withdrawn
from onlinedpo.states.opening import Derived as Derived
from onlinedpo.states.opening import ProcessStarted as ProcessStarted
from onlinedpo.states.opening import RunOpened as RunOpened
from onlinedpo.states.opening import TailCut as TailCut
from onlinedpo.states.reasons import Reason as Reason
from onlinedpo.states.reasons import Why as Why

Finish = Literal["stop", "length"]
Messages = tuple[dict[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What the policy wrote: token ids as sampled, the EOS included if it came."""

    tokens: tuple[int, ...]
    text: str
    finish: Finish


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """Two completions of one prompt, drawn from the policy after `step` steps.

    `repeats` is the ticket whose prompt, or whose pair, gets another turn with this.
    """

    ticket: int
    epoch: int
    prompt: int
    messages: Messages
    prompt_tokens: tuple[int, ...]
    first: Completion
    second: Completion
    step: int
    time: float
    repeats: int | None = None

    @property
    def pair(self) -> str:
        """The pair's name: its ticket and a digest of its tokens."""
        digest = hashlib.blake2b(digest_size=4)
        for ids in (self.prompt_tokens, self.first.tokens, self.second.tokens):
            digest.update(repr(ids).encode())
        return f"{self.ticket:06d}-{digest.hexdigest()}"

    def is_again(self, other: Sampled) -> bool:
        """Whether it is the very pair of another turn, and not just of its prompt."""
        return (self.first, self.second) == (other.first, other.second)

    def side(self, side: Side) -> Completion:
        """The completion on one side."""
        return self.first if side == "first" else self.second

    @property
    def truncated(self) -> bool:
        """Whether either completion hit `max_completion_length`."""
        return "length" in (self.first.finish, self.second.finish)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """These pairs went to the judge."""

    tickets: tuple[int, ...]
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One judge's answer for one presentation order.

    `winner` is in pair coordinates (the swap is already undone), "tie", or None where
    the judge failed, and then `failure` says how.  `logprobs` are the natural-log
    probabilities of the answers A and B, in the order shown; empty where the judge
    names a winner and no probability.  `attempt` counts from 1 where it is asked again.
    """

    ticket: int
    shown: Shown
    winner: Literal["first", "second", "tie"] | None
    failure: str
    logprobs: tuple[float, ...]
    raw: str
    judge: dict[str, Any]
    prompt: str
    prompt_tokens: tuple[int, ...]
    attempt: int
    seconds: float
    time: float

    def probability_first(self) -> float:
        """The judge's probability that the pair's first completion is better."""
        if not self.logprobs:
            return {"first": 1.0, "second": 0.0}.get(str(self.winner), 0.5)
        a, b = self.logprobs
        p_a = 1.0 / (1.0 + math.exp(min(b - a, 700.0)))
        return p_a if self.shown == "first-second" else 1.0 - p_a


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """The decision on a pair, which stands until the next step is taken.

    `chosen` is None where people decided that neither is better; `reason` then says how
    (one of `Reason`), and the next step drops the pair.
    """

    ticket: int
    chosen: Side | None
    source: Literal["judge", "human", "file"]
    confidence: float
    time: float
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """This prompt's turn ends without training; `reason` is one of `Reason`."""

    ticket: int
    reason: str
    detail: str
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A DPO step was taken on these pairs: appending this record is the commit.

    `margins` are the reward margins per pair before the step.  `state` is the digest of
    adapter and optimizer after it, where a checkpoint was written, and else empty.
    """

    index: int
    tickets: tuple[int, ...]
    loss: float
    grad_norm: float
    metrics: dict[str, float]
    margins: tuple[float, ...]
    state: str
    seconds: dict[str, float]
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A pair that is about to be taken back, as it stood, with the label it has now.

    `was` is the reason for which it had been dropped, or empty if it was trained on.
    """

    sampled: Sampled
    slots: int
    verdicts: tuple[Verdict, ...]
    votes: tuple[Vote, ...]
    label: Label
    was: str
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewound:
    """The steps after `to` are undone; the restored pairs `tickets` are labelled again.

    `batches` are the tickets that the next steps will train on, in order.
    """

    to: int
    tickets: tuple[int, ...]
    batches: tuple[tuple[int, ...], ...]
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """The reference's answers to the held-out prompts, in their order."""

    prompts: tuple[Messages, ...]
    completions: tuple[Completion, ...]
    time: float


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


Record = (
    RunOpened
    | Derived
    | ProcessStarted
    | TailCut
    | Sampled
    | Submitted
    | Verdict
    | Label
    | Dropped
    | Step
    | Escalated
    | Vote
    | Kept
    | Bundle
    | Withdrawn
    | Restored
    | Rewound
    | HeldOut
    | Evaluated
)
