"""The model judge: which of two completions is better, and how sure it is.

Every pair is asked about in both orders.  The verdict is read from the
log-probabilities of the two answer letters, so there is nothing to parse; the swap is
undone here and nowhere else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.cache import KVCache, make_prompt_cache

from onlinedpo.engine.judges import prompt as judge_prompt
from onlinedpo.engine.judges.comparison import Comparison
from onlinedpo.engine.judges.prompt import Question
from onlinedpo.engine.models.chat import must_render
from onlinedpo.engine.tensors import floats
from onlinedpo.engine.training.logps import Scorer
from onlinedpo.states.errors import UsageError
from onlinedpo.states.records import Shown, Verdict
from onlinedpo.states.verdicts import asking, judges
from onlinedpo.states.verdicts.parsing import LETTERS, letters


def described(model: Mapping[str, str], rubric: str) -> dict[str, Any]:
    """What the journal says of a model that judges by a rubric."""
    return {
        "kind": "model",
        **model,
        "rubric": rubric,
        "frame": judge_prompt.FRAME_VERSION,
        "parser": LETTERS,
    }


class ModelJudge:
    """A language model as judge."""

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Any,
        *,
        identity: dict[str, str],
        rubric: str,
        orders: int,
        seed: int,
        at_once: int = 16,
        as_judge: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        """Judge with `model` within `as_judge()` (adapters off, where it is shared).

        `at_once` prompts go through it together.
        Raises `UsageError` if the tokenizer has no tokens for the two answers.
        """
        self._scorer = Scorer(model)
        self._tokenizer = tokenizer
        self._rubric = rubric
        self._orders = orders
        self._seed = seed
        self._at_once = at_once
        self._as_judge = as_judge
        self.identity = described(identity, rubric)
        self._brief = judges.brief(self.identity)
        a, b = judge_prompt.answer_tokens(tokenizer)
        if not a or not b or set(a) & set(b):
            raise UsageError(
                f"the judge '{identity['id']}' has no single tokens for A and B",
                hint="Choose another judge.",
            )
        must_render(tokenizer, identity["id"])
        self._letters = [list(a), list(b)]
        self._prefix, self._prefix_states = self._compute_prefix()

    def judge(self, comparisons: Sequence[Comparison]) -> list[list[Verdict]]:
        """Two verdicts on each comparison (or one, with one order)."""
        questions = [self._ask(c, shown) for c in comparisons for shown in self._of(c)]
        answers: list[Verdict] = []
        with self._as_judge():
            for start in range(0, len(questions), self._at_once):
                answers += self._answer(questions[start : start + self._at_once])
        waiting = iter(answers)
        return [[next(waiting) for _ in self._of(c)] for c in comparisons]

    def _of(self, comparison: Comparison) -> Sequence[Shown]:
        return asking.orders(self._brief, self._orders, self._seed, comparison.ticket)

    def _ask(self, comparison: Comparison, shown: Shown) -> Question:
        return judge_prompt.ask(self._tokenizer, self._rubric, comparison, shown)

    def _answer(self, questions: Sequence[Question]) -> list[Verdict]:
        began = time.perf_counter()
        logits = self._last_logits([q.prompt.tokens for q in questions])
        logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
        letters = mx.stack(
            [mx.logsumexp(logprobs[:, ids], axis=-1) for ids in self._letters], axis=-1
        )
        likeliest = mx.argmax(logits, axis=-1)
        mx.eval(letters, likeliest)
        seconds = (time.perf_counter() - began) / len(questions)
        return [
            self._verdict(question, (a, b), int(token), seconds)
            for question, a, b, token in zip(
                questions,
                floats(letters[:, 0]),
                floats(letters[:, 1]),
                floats(likeliest),
                strict=True,
            )
        ]

    def _verdict(
        self,
        question: Question,
        logprobs: tuple[float, ...],
        token: int,
        seconds: float,
    ) -> Verdict:
        raw = self._tokenizer.decode([token])
        winner, failure = letters(logprobs, question.shown, raw)
        return Verdict(
            ticket=question.comparison.ticket,
            shown=question.shown,
            winner=winner,
            failure=failure,
            logprobs=logprobs,
            raw=raw,
            judge=self._brief,
            prompt=question.prompt.text,
            prompt_tokens=question.prompt.tokens,
            attempt=1,
            seconds=seconds,
            time=time.time(),
        )

    # -- forward passes --------------------------------------------------------

    def _last_logits(self, prompts: Sequence[Sequence[int]]) -> mx.array:
        """Logits after each prompt, (B, V) float32; the common prefix is not redone."""
        shared = min(_common(self._prefix, prompt) for prompt in prompts)
        rest = [prompt[shared:] for prompt in prompts]
        width = max(map(len, rest))
        tokens = mx.array([[*r, *[0] * (width - len(r))] for r in rest], mx.int32)
        last = mx.array([[len(r) - 1] for r in rest], mx.int32)
        cache = self._prefix_cache(shared, len(rest)) if shared else None
        return self._scorer.logits_at(tokens, last, cache)[:, 0].astype(mx.float32)

    def _compute_prefix(self) -> tuple[Sequence[int], list[tuple[mx.array, mx.array]]]:
        """What every prompt begins with: the rubric and the frame up to the request."""
        model, build = self._scorer.model, judge_prompt.build
        if not all(type(layer) is KVCache for layer in make_prompt_cache(model)):
            # A recurrent or windowed state cannot be cut back to a shorter prefix.
            return (), []
        one = build(self._tokenizer, self._rubric, "one", "1", "1").tokens
        other = build(self._tokenizer, self._rubric, "Other", "2", "2").tokens
        prefix = one[: _common(one, other)]
        if not prefix:
            return (), []
        cache = make_prompt_cache(model)
        with self._as_judge():
            model(mx.array([prefix], mx.int32), cache=cache)
            states = [layer.keys_and_values() for layer in cache]
            mx.eval(states)
        return prefix, states

    def _prefix_cache(self, length: int, rows: int) -> list[Any]:
        cache = []
        for keys, values in self._prefix_states:
            layer = KVCache()
            layer.state = (
                mx.repeat(keys[..., :length, :], rows, axis=0),
                mx.repeat(values[..., :length, :], rows, axis=0),
                length,
            )
            cache.append(layer)
        return cache


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Length of the common prefix."""
    return next(
        (i for i, (x, y) in enumerate(zip(one, other, strict=False)) if x != y),
        min(len(one), len(other)),
    )
