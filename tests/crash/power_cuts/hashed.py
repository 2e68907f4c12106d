"""Numerics that cost nothing: each step is a hash of all that was trained on before.

Whatever differs once, in state, batch or label, differs in all that comes after it.
The rest of the program around them is the real one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import mlx.core as mx
import pytest

from onlinedpo.engine import environment, start
from onlinedpo.engine.data.prompts import Prompts
from onlinedpo.engine.judges.comparison import Comparison
from onlinedpo.engine.people import desk
from onlinedpo.engine.people.desk import Desk
from onlinedpo.engine.sampler import Request
from onlinedpo.engine.tensors import Tensors, digest
from onlinedpo.engine.training.learner import StepResult
from onlinedpo.states.config import Settings
from onlinedpo.states.ledger import LabelledPair
from onlinedpo.states.records import Completion, Messages, Shown
from tests.engine.runs import Winner
from tests.people.kit import Doubtful, Leaps

WORDS = ("ay", "bee", "cue", "dee", "em", "gee", "jay")
TRAIN: list[Messages] = [
    ({"role": "user", "content": f"Question {i}?"},) for i in range(12)
]


def number(*parts: object) -> int:
    """A number that depends on every bit of these."""
    whole = hashlib.blake2b(repr(parts).encode(), digest_size=4)
    return int.from_bytes(whole.digest())


class HashedPolicy:
    """One number in the place of a model."""

    model = tokenizer = None

    def __init__(self) -> None:
        self.weight = 1

    def encode(self, messages: Messages) -> list[int]:
        """The text's bytes."""
        return list(messages[-1]["content"].encode())

    def trainable(self) -> Tensors:
        """The number as an adapter's only tensor."""
        return {"weight": mx.array([self.weight], dtype=mx.uint32)}

    def update(self, tensors: Mapping[str, mx.array]) -> None:
        """Take it from there."""
        self.weight = cast(int, tensors["weight"].item())

    def has_moved(self) -> bool:
        """Whether any step was taken."""
        return self.weight != 1

    def initial_digest(self) -> str:
        """As it begins."""
        return digest(HashedPolicy().trainable())


class HashedLearner:
    """Steps that are hashes."""

    def __init__(
        self, policy: HashedPolicy, scorer: object, settings: Settings
    ) -> None:
        self.policy = policy
        self.momentum = 2

    def state(self) -> Tensors:
        """The optimizer's."""
        return {"momentum": mx.array([self.momentum], dtype=mx.uint32)}

    def restore(self, adapter: Tensors, optimizer: Tensors) -> None:
        """Go on from a checkpoint."""
        self.policy.update(adapter)
        self.momentum = cast(int, optimizer["momentum"].item())

    def go_on_with(self, settings: Settings) -> None:
        """No setting matters."""

    def step(self, pairs: Sequence[LabelledPair], index: int) -> StepResult:
        """The next numbers."""
        seen = [(p.sampled.pair, p.chosen) for p in pairs]
        self.momentum = number(self.momentum, seen, index)
        self.policy.weight = number(self.policy.weight, self.momentum)
        share = self.policy.weight / 2**32
        return StepResult(share, 1 + share, {"loss": share}, (share,) * len(pairs))


class HashedSampler:
    """Words by the policy's number and the key of each draw."""

    policy: HashedPolicy

    def __init__(self, model: object, tokenizer: object, settings: Settings) -> None:
        """Nothing depends on them."""

    def fits(self, prompt: Sequence[int]) -> bool:
        """Always."""
        return True

    def sample(
        self, requests: Sequence[Request], finished: object = None
    ) -> list[list[Completion]]:
        """One word each; two draws of a prompt are the same word at times."""
        return [[self._draw(seed) for seed in r.seeds] for r in requests]

    def _draw(self, seed: int) -> Completion:
        place = number(self.policy.weight, seed) % len(WORDS)
        return Completion(tokens=(place, 99), text=WORDS[place], finish="stop")


class Still:
    """A watcher that hears nothing, at once."""

    period = 0.0

    def __init__(self, folders: object, tell: object) -> None:
        """Nothing is watched."""

    def woken(self) -> bool:
        """Nothing was heard."""
        return False

    def wait(self, seconds: float) -> bool:
        """Nor is it waited for."""
        return False

    def __enter__(self) -> Still:
        """Nothing to begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""


def winner(comparison: Comparison, shown: Shown) -> Winner:
    """By the texts; a tie now and then."""
    one, two = comparison.first, comparison.second
    if number("tie", one, two) % 6 == 0:
        return "tie"
    return "first" if one > two else "second"


def sureness(comparison: Comparison) -> float:
    """Half of the pairs are left to people."""
    left = number("sure", comparison.first, comparison.second) % 2
    return 0.6 if left else 0.95


@contextmanager
def numerics() -> Iterator[None]:
    """Within the block runs have these numerics, and nobody sleeps."""
    described = environment.describe()

    def load(settings: Settings, begun: object, watch: object) -> Any:
        policy = HashedPolicy()
        HashedSampler.policy = policy
        models: Any = type("Models", (), {"as_dict": lambda self: {"weights": "1"}})()
        judge = Doubtful(winner, sureness=sureness)
        parts: Callable[..., Any] = start._Parts
        return parts(settings, models, Prompts(TRAIN, []), policy, None, judge)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(start, "_load", load)
        patch.setattr(start, "Learner", HashedLearner)
        patch.setattr(start, "Sampler", HashedSampler)
        patch.setattr(start, "repeats", lambda learner: True)
        patch.setattr(start, "version", lambda name: "1")
        patch.setattr(environment, "describe", lambda: described)
        patch.setattr(environment, "line", lambda now, *, exact: "hashes")
        patch.setattr(start, "Desk", partial(Desk, clock=Leaps()))
        patch.setattr(desk, "Watcher", Still)
        yield
