"""The facts of a run, in the order in which they happen to a prompt.

Each is frozen and is written to the journal as it stands.  Prompts are counted: the
*ticket* is the running number of a prompt's turn, over epochs, and ties all facts of
that turn together.  Times are Unix seconds and data only: nothing is decided by them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from onlinedpo.states.answers import Bundle as Bundle
from onlinedpo.states.answers import Escalated as Escalated
from onlinedpo.states.answers import Kept as Kept
from onlinedpo.states.answers import Shown as Shown
from onlinedpo.states.answers import Side as Side
from onlinedpo.states.answers import Slots as Slots
from onlinedpo.states.answers import Vote as Vote
from onlinedpo.states.answers import Withdrawn as Withdrawn
from onlinedpo.states.held_out import Evaluated as Evaluated
from onlinedpo.states.held_out import HeldOut as HeldOut
from onlinedpo.states.opening import Derived as Derived
from onlinedpo.states.opening import ProcessStarted as ProcessStarted
from onlinedpo.states.opening import RunOpened as RunOpened
from onlinedpo.states.opening import TailCut as TailCut
from onlinedpo.states.reasons import Reason as Reason
from onlinedpo.states.reasons import Why as Why
from onlinedpo.states.sampled import Completion as Completion
from onlinedpo.states.sampled import Finish as Finish
from onlinedpo.states.sampled import Messages as Messages
from onlinedpo.states.sampled import Sampled as Sampled
from onlinedpo.states.sampled import of_each_side
from onlinedpo.states.verdicts.judges import Judge as Judge

OfEachSide = Annotated[tuple[float, ...], of_each_side(float, int)]


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
    `penalties` were taken off the first and the second completion of the pair: see
    `states.verdicts.penalties`; `winner` is the one after that.
    """

    ticket: int
    shown: Shown
    winner: Literal["first", "second", "tie"] | None
    failure: str
    logprobs: OfEachSide
    raw: str
    judge: Judge
    prompt: str
    prompt_tokens: tuple[int, ...]
    attempt: int
    seconds: float
    time: float
    penalties: OfEachSide = ()

    def scores(self) -> tuple[float, ...]:
        """What A and B score, in nats: log-probabilities without the penalties."""
        if not self.penalties:
            return self.logprobs
        places = 1 if self.shown == "first-second" else -1
        taken = self.penalties[::places]
        return tuple(p - lost for p, lost in zip(self.logprobs, taken, strict=True))

    def probability_first(self) -> float:
        """The judge's probability that the pair's first completion is better."""
        if not self.logprobs:
            return {"first": 1.0, "second": 0.0}.get(str(self.winner), 0.5)
        a, b = self.scores()
        p_a = 1.0 / (1.0 + math.exp(min(b - a, 700.0)))
        return p_a if self.shown == "first-second" else 1.0 - p_a


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """The completions of one prompt, compared with each other before two were paired.

    A verdict's `ticket` is here the number of its comparison: see `states.pairing`.
    """

    ticket: int
    verdicts: tuple[Verdict, ...]
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """The decision on a pair, which stands until the next step is taken.

    `chosen` is None where it was decided that neither is better; `reason` then says how
    (one of `Reason`).  The next step drops the pair, or trains on it if that is a tie
    and the setting `ties` wants it.  `confidence` is the judge's probability that the
    chosen one is better (of a tie one half), or the share of people who agree.
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

    `margins` are the reward margins per pair before the step, of a tie that of the
    first completion over the second.  `state` is the digest of adapter and optimizer
    after it, where a checkpoint was written, and else empty.
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

    def flaw(self) -> str:
        """What cannot be of it as a whole, in words; empty where nothing is wrong."""
        pairs, margins = len(self.tickets), len(self.margins)
        return "" if pairs == margins else f"{pairs} pairs have {margins} margins"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A pair that is about to be taken back, as it stood, with the label it has now.

    `was` is the reason for which it had been dropped, or empty if it was trained on.
    """

    sampled: Sampled
    slots: Slots
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


Record = (
    RunOpened
    | Derived
    | ProcessStarted
    | TailCut
    | Sampled
    | Ranked
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
