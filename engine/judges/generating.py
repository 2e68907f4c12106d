"""The model judge that reasons: it writes, and its last line is the verdict.

What it writes is kept whole.  Where that cannot be read it is asked again, and its
tokens depend on the seed, the pair, the order and the attempt, and on nothing else.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import mlx.nn as nn

from onlinedpo.engine.judges import prompt as judge_prompt
from onlinedpo.engine.judges.comparison import Comparison
from onlinedpo.engine.judges.prompt import JudgePrompt, Question
from onlinedpo.engine.models.chat import must_render
from onlinedpo.engine.sampler import Request, Sampler
from onlinedpo.states import seeds
from onlinedpo.states.config import Settings
from onlinedpo.states.records import Completion, Shown, Verdict
from onlinedpo.states.verdicts import asking, judges
from onlinedpo.states.verdicts.framing import REASON
from onlinedpo.states.verdicts.parsing import GENERATED
from onlinedpo.states.verdicts.texts import RETRY_TEMPERATURE, generated

_ANY_LENGTH = 2**31


def described(model: Mapping[str, str], rubric: str) -> dict[str, Any]:
    """What the journal says of a model that reasons, and judges by a rubric."""
    return {
        "kind": "model",
        **model,
        "rubric": rubric,
        "frame": REASON,
        "parser": GENERATED,
    }


class GeneratingJudge:
    """A language model that thinks before it judges."""

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Any,
        *,
        identity: dict[str, str],
        rubric: str,
        orders: int,
        seed: int,
        max_tokens: int,
        temperature: float,
        retries: int,
        at_once: int = 16,
        as_judge: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        """Judge with `model` within `as_judge()` (adapters off, where it is shared).

        An answer has `max_tokens` at most, and `at_once` are written together.
        Raises `UsageError` if the chat template cannot write a question.
        """
        self._tokenizer = tokenizer
        self._rubric, self._orders, self._seed = rubric, orders, seed
        self._retries, self._at_once, self._as_judge = retries, at_once, as_judge
        self.identity = described(identity, rubric)
        self._brief = judges.brief(self.identity)
        must_render(tokenizer, identity["id"], thinking=True)
        self._first, self._again = (
            Sampler(model, tokenizer, _drawing(max_tokens, heat), strict=False)
            for heat in (temperature, temperature or RETRY_TEMPERATURE)
        )

    def judge(self, comparisons: Sequence[Comparison]) -> list[list[Verdict]]:
        """The verdicts on each comparison: for each order one per attempt."""
        questions = [self._ask(c, shown) for c in comparisons for shown in self._of(c)]
        said: list[list[Verdict]] = [[] for _ in questions]
        waiting = [*range(len(questions))]
        with self._as_judge():
            for attempt in range(1, 1 + asking.attempts(self._brief, self._retries)):
                for start in range(0, len(waiting), self._at_once):
                    part = waiting[start : start + self._at_once]
                    answers = self._answer([questions[i] for i in part], attempt)
                    for i, verdict in zip(part, answers, strict=True):
                        said[i].append(verdict)
                waiting = [i for i in waiting if said[i][-1].winner is None]
        each = iter(said)
        return [[v for _ in self._of(c) for v in next(each)] for c in comparisons]

    def _of(self, comparison: Comparison) -> Sequence[Shown]:
        return asking.orders(self._brief, self._orders, self._seed, comparison.ticket)

    def _ask(self, comparison: Comparison, shown: Shown) -> Question:
        tokenizer, rubric = self._tokenizer, self._rubric
        return judge_prompt.ask(tokenizer, rubric, comparison, shown, frame=REASON)

    def _answer(self, questions: Sequence[Question], attempt: int) -> list[Verdict]:
        began = time.perf_counter()
        sampler = self._first if attempt == 1 else self._again
        answers = sampler.sample(
            [Request(q.prompt.tokens, [self._key(q, attempt)]) for q in questions]
        )
        seconds = (time.perf_counter() - began) / len(questions)
        return [
            self._verdict(question, answer, attempt, seconds)
            for question, (answer,) in zip(questions, answers, strict=True)
        ]

    def _key(self, question: Question, attempt: int) -> int:
        ticket, shown = question.comparison.ticket, question.shown
        return seeds.derive(self._seed, "judge", ticket, shown, attempt)

    def _verdict(
        self, question: Question, answer: Completion, attempt: int, seconds: float
    ) -> Verdict:
        raw = self._raw(question.prompt, answer)
        winner, failure = generated((), question.shown, raw)
        return Verdict(
            ticket=question.comparison.ticket,
            shown=question.shown,
            winner=winner,
            failure=failure,
            logprobs=(),
            raw=raw,
            judge=self._brief,
            prompt=question.prompt.text,
            prompt_tokens=question.prompt.tokens,
            attempt=attempt,
            seconds=seconds,
            time=time.time(),
        )

    def _raw(self, prompt: JudgePrompt, answer: Completion) -> str:
        """What was written, as `states.parsing_text` reads it."""
        ended = answer.finish == "stop"
        # The thinking belongs to it, which a completion's text is without.
        text = self._tokenizer.decode(list(answer.tokens)[: -1 if ended else None])
        found = {"content": text, "finish_reason": answer.finish}
        begin = self._tokenizer.think_start
        if begin and prompt.text.rstrip().endswith(begin):
            found["opened"] = begin
        return json.dumps(found, ensure_ascii=False)


def _drawing(max_tokens: int, temperature: float) -> Settings:
    """How an answer is drawn."""
    return Settings(
        max_completion_length=max_tokens,
        max_seq_length=_ANY_LENGTH,
        temperature=temperature,
        top_p=1.0,
        top_k=0,
        min_p=0.0,
    )
