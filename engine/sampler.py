"""Fresh completions from the live policy.

Every completion has a random key of its own, so its tokens depend on the model and on
(seed, epoch, prompt, draw), not on its batch mates or on what was sampled before.  The
completions of one prompt share its prefill.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.generate import BatchGenerator
from mlx_lm.models.cache import make_prompt_cache
from mlx_lm.sample_utils import apply_min_p, apply_top_k, apply_top_p

from onlinedpo.engine.models import chat
from onlinedpo.engine.tensors import scalar
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import TrainingDiverged, UsageError
from onlinedpo.states.records import Completion

_PREFILL = 2048

Finished = Callable[[int, Sequence[Completion]], None]
"""Is told of the completions of one request, by its place."""


@dataclass(frozen=True, slots=True)
class Request:
    """A prompt, and one seed for each completion wanted of it."""

    prompt: Sequence[int]
    seeds: Sequence[int]


class Sampler:
    """Draws completions as the settings say."""

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Any,
        settings: Settings,
        *,
        strict: bool = True,
    ) -> None:
        """Sample from `model`; the tokenizer names every id that ends a turn.

        Where it gives NaN for probabilities, a `strict` sampler raises
        `TrainingDiverged`; another one draws nonsense.
        """
        self._model = model
        self._tokenizer = tokenizer
        self._settings = settings
        self._strict = strict
        self._eos = sorted(int(i) for i in tokenizer.eos_token_ids)

    def on(self, model: nn.Module) -> Sampler:
        """One that draws in the same way from another model of this tokenizer."""
        if model is self._model:
            return self
        return Sampler(model, self._tokenizer, self._settings)

    def fits(self, prompt: Sequence[int]) -> bool:
        """Whether a prompt leaves room for at least one token."""
        return len(prompt) < self._settings.max_seq_length

    def sample(
        self, requests: Sequence[Request], finished: Finished | None = None
    ) -> list[list[Completion]]:
        """The completions of each request, in order.

        The EOS stands at the end of a completion if and only if the model chose it.
        `finished` is told of the completions of a request as soon as all are there.
        """
        prompts, lengths, caches, samplers = [], [], [], []
        owner: list[int] = []
        for place, request in enumerate(requests):
            room = self._settings.max_seq_length - len(request.prompt)
            length = min(room, self._settings.max_completion_length)
            prefilled = self._prefill(request.prompt[:-1])
            for seed in request.seeds:
                owner.append(place)
                prompts.append(list(request.prompt[-1:]))
                lengths.append(length)
                caches.append(copy.deepcopy(prefilled))
                samplers.append(self._draw(seed, length))
        generator = BatchGenerator(
            self._model,
            stop_tokens=[[token] for token in self._eos],
            prefill_batch_size=len(prompts),
            completion_batch_size=len(prompts),
        )
        tokens: list[list[int]] = [[] for _ in prompts]
        finish = [""] * len(prompts)
        try:
            uids = generator.insert(prompts, lengths, caches=caches, samplers=samplers)
            row = {uid: i for i, uid in enumerate(uids)}
            while responses := generator.next_generated():
                for response in responses:
                    i = row[response.uid]
                    tokens[i].append(int(response.token))
                    if not response.finish_reason:
                        continue
                    # Once there, NaN is in the state after every later token too.
                    if self._strict and math.isnan(scalar(response.logprobs[0])):
                        raise _no_numbers()
                    finish[i] = response.finish_reason
                    mates = [j for j, place in enumerate(owner) if place == owner[i]]
                    if finished and all(finish[j] for j in mates):
                        prompt = requests[owner[i]].prompt
                        finished(
                            owner[i],
                            [
                                self._completion(prompt, tokens[j], finish[j])
                                for j in mates
                            ],
                        )
        finally:
            generator.close()
        drawn = iter(zip(tokens, finish, strict=True))
        return [
            [self._completion(request.prompt, *next(drawn)) for _ in request.seeds]
            for request in requests
        ]

    def _completion(
        self, prompt: Sequence[int], tokens: list[int], finish: str
    ) -> Completion:
        words = tokens[:-1] if finish == "stop" else tokens
        text = self._tokenizer.decode(words)
        return Completion(
            tokens=tuple(tokens),
            text=chat.without_thinking(self._tokenizer, prompt, text),
            finish="stop" if finish == "stop" else "length",
        )

    def _prefill(self, prompt: Sequence[int]) -> list[Any]:
        """The model's state after a prompt, one entry per layer."""
        cache = make_prompt_cache(self._model)
        tokens = mx.array([list(prompt)], mx.int32)
        for start in range(0, len(prompt), _PREFILL):
            self._model(tokens[:, start : start + _PREFILL], cache=cache)
            mx.eval([c.state for c in cache])
        return cache

    def _draw(self, seed: int, length: int) -> Callable[[mx.array], mx.array]:
        """A sampler for one completion; logprobs (1, V) -> token (1,).

        The filters come in mlx-lm's order: top_p, min_p, top_k, then temperature.
        """
        settings = self._settings
        if settings.temperature == 0:
            return lambda logprobs: mx.argmax(logprobs, axis=-1)
        # The generator draws one token ahead of what it hands out.
        keys = iter(mx.random.split(mx.random.key(seed), length + 1))

        def draw(logprobs: mx.array) -> mx.array:
            logprobs = logprobs.astype(mx.float32)
            if 0 < settings.top_p < 1:
                logprobs = apply_top_p(logprobs, settings.top_p)
            if settings.min_p > 0:
                logprobs = apply_min_p(logprobs, settings.min_p)
            if 0 < settings.top_k < logprobs.shape[-1]:
                logprobs = apply_top_k(logprobs, settings.top_k)
            return mx.random.categorical(
                logprobs / settings.temperature, key=next(keys)
            )

        return draw


def _no_numbers() -> TrainingDiverged:
    return TrainingDiverged(
        "nothing can be sampled: the model's probabilities are not numbers (NaN)",
        hint="Before the first step that is the model's own fault; after it training"
        " has diverged: start a new run with a lower learning_rate or beta.",
    )


def must_be_batched(model: nn.Module) -> None:
    """Raise `UsageError` for a model whose state after a prompt cannot be shared."""
    layers = list(make_prompt_cache(model))
    for layer in layers:
        layers.extend(getattr(layer, "caches", ()))
        if not hasattr(layer, "merge"):
            raise UsageError(
                "mlx-lm cannot sample from several prompts of this model together (its"
                f" cache, {type(layer).__name__}, cannot be merged)",
                hint="Choose a model of another family.",
            )
