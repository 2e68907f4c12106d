"""The facts of a run as a whole, and of the processes that work on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from onlinedpo.states.verdicts.judges import Judge


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOpened:
    """A run begins: what it is made of, by content."""

    run_id: str
    time: float
    version: str
    settings: dict[str, Any]
    model: dict[str, str]
    judge: Judge
    data: dict[str, Any]
    initial: str
    """Digest of the trainable parameters before the first step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStarted:
    """A process took the run up, in this environment, with these settings changed."""

    time: float
    version: str
    environment: dict[str, str]
    changed: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """The pairs of this run are another run's: which run's, and what was changed.

    A "fork" trains on them; a "rejudge" holds another judge's verdicts on them and is
    not trained; a "salvage" is what could be read of it when it was damaged.  `source`
    is the other run's id; `frame` and `chain` are the place in its journal up to which
    it was read, `step` its last step that counts here.
    `labels` says whose labels the pairs have: "same", "rejudged" or "human".  `changed`
    are settings that differ from the other run's, `judge` is the judge from here on.
    In a fork this stands after the facts that were copied, and counts from there.
    `sample` is how many pairs were asked for where not all of them were.
    """

    purpose: Literal["fork", "rejudge", "salvage"]
    source: str
    frame: int
    chain: bytes
    step: int
    labels: Literal["same", "rejudged", "human"]
    changed: dict[str, Any]
    judge: Judge
    time: float
    sample: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TailCut:
    """A torn tail was cut off the journal and kept in quarantine."""

    time: float
    segment: int
    offset: int
    size: int
    sha256: str
    kept_as: str
