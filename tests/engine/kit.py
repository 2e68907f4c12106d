"""Real parts of the engine on toy models."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx

from onlinedpo.engine.checkpoint import state_of
from onlinedpo.engine.models import policy as policies
from onlinedpo.engine.models.identity import identify
from onlinedpo.engine.models.policy import Policy
from onlinedpo.engine.training.learner import Learner
from onlinedpo.engine.training.logps import Scorer
from onlinedpo.states.config import Settings
from onlinedpo.states.ledger import LabelledPair
from onlinedpo.states.records import Completion, Label, Sampled, Side

LORA = {"rank": 4, "dropout": 0.0, "scale": 2.0}
DROPOUT = {**LORA, "dropout": 0.1}
WAYS = ("lora", "dora", "full")
ENDS = (2, *range(20, 60))
"""Enough ids that end a turn for a random model to end some of its turns."""


@dataclass(frozen=True)
class Trainer:
    """A policy and its learner, without a run around them."""

    policy: Policy
    scorer: Scorer
    learner: Learner
    settings: Settings

    def digest(self) -> str:
        """Digest of adapter and optimizer, as the journal keeps it."""
        return state_of(self.policy.trainable(), self.learner.state())


def trainer(model: Path, **wanted: Any) -> Trainer:
    """A fresh policy on `model`, and what trains it."""
    settings = Settings(**{"lora_parameters": LORA, "learning_rate": 1e-2, **wanted})
    identity = identify(str(model), quantized=settings.quantize)
    base, tokenizer = policies.load(identity)
    policy = Policy(base, tokenizer, settings)
    scorer = Scorer(policy.model)
    return Trainer(policy, scorer, Learner(policy, scorer, settings), settings)


def nudge(policy: Policy, size: float = 0.05, seed: int = 1) -> None:
    """Move every trainable parameter a little away from where it began."""
    keys = mx.random.split(mx.random.key(seed), len(policy.initial))
    policy.update(
        {
            name: value + size * mx.random.normal(value.shape, key=key)
            for (name, value), key in zip(policy.trainable().items(), keys, strict=True)
        }
    )


def tokenizer_of(model: Path) -> Any:
    """A model's tokenizer, as the engine loads it."""
    return policies.load(identify(str(model)))[1]


# -- pairs -----------------------------------------------------------------------


def completion(tokens: Sequence[int], *, stopped: bool = False) -> Completion:
    """A completion of these tokens."""
    return Completion(
        tokens=tuple(tokens),
        text=" ".join(map(str, tokens)),
        finish="stop" if stopped else "length",
    )


def labelled(
    ticket: int,
    prompt: Sequence[int],
    first: Sequence[int],
    second: Sequence[int],
    chosen: Side = "first",
) -> LabelledPair:
    """A labelled pair of two completions."""
    return LabelledPair(
        Sampled(
            ticket=ticket,
            epoch=0,
            prompt=ticket,
            messages=({"role": "user", "content": f"{ticket}?"},),
            prompt_tokens=tuple(prompt),
            first=completion(first),
            second=completion(second),
            step=0,
            time=0.0,
        ),
        Label(ticket=ticket, chosen=chosen, source="judge", confidence=1.0, time=0.0),
    )


def some_pairs(count: int, seed: int = 0) -> list[LabelledPair]:
    """Pairs of random tokens and of many lengths."""
    chance = random.Random(seed)

    def words(low: int, high: int) -> list[int]:
        return [chance.randrange(4, 260) for _ in range(chance.randint(low, high))]

    return [
        labelled(i, words(1, 9), words(1, 12), words(1, 12), chance.choice(SIDES))
        for i in range(count)
    ]


SIDES: tuple[Side, Side] = ("first", "second")
