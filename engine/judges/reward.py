"""A reward model as judge: it scores each completion, and the higher score wins.

How likely the first is the better one follows from both scores (Bradley and Terry).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.nn as nn
from jinja2 import TemplateError
from mlx_lm.utils import load_tokenizer

from onlinedpo.engine.judges import reward_model
from onlinedpo.engine.judges.comparison import Comparison
from onlinedpo.engine.judges.prompt import encode_quoted
from onlinedpo.engine.models.chat import fall_back
from onlinedpo.engine.models.identity import ModelIdentity
from onlinedpo.engine.tensors import floats
from onlinedpo.states.errors import UsageError
from onlinedpo.states.records import Messages, Verdict
from onlinedpo.states.verdicts import conversations, judges
from onlinedpo.states.verdicts.parsing import SCORES
from onlinedpo.states.verdicts.scores import is_number, preference
from onlinedpo.states.verdicts.scores import scores as parsed

_MARK = "\ue000\ue004"
"""Private-use characters: they stand for a completion while a template is rendered."""


def described(name: str, model: Mapping[str, str]) -> dict[str, Any]:
    """What the journal says of a reward model; `name` is as the setting has it."""
    return {"kind": "reward", **model, "id": name, "parser": SCORES}


def reward_judge(name: str, identity: ModelIdentity, at_once: int) -> RewardJudge:
    """Load the reward model; raises `UsageError`."""
    model = reward_model.load(identity)
    options = {"trust_remote_code": identity.trusted}
    tokenizer = load_tokenizer(identity.path, options)
    fall_back(tokenizer)
    described_as = described(name, identity.as_dict())
    return RewardJudge(model, tokenizer, identity=described_as, at_once=at_once)


@dataclass(frozen=True, slots=True)
class _Scored:
    """A comparison as it is scored: two conversations that end differently."""

    comparison: Comparison
    before: str
    after: str
    tokens: tuple[list[int], list[int]]


class RewardJudge:
    """A reward model as judge."""

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Any,
        *,
        identity: dict[str, Any],
        at_once: int,
    ) -> None:
        """Score `at_once` conversations at a time; raises `UsageError`."""
        self._model, self._tokenizer = model, tokenizer
        # The two of a pair are scored together.
        self._pairs_at_once = max(1, at_once // 2)
        self.identity = identity
        self._brief = judges.brief(identity)
        # Whether its template can be used is known before anything is sampled.
        self._around(({"role": "user", "content": "Why?"},))

    def judge(self, comparisons: Sequence[Comparison]) -> list[list[Verdict]]:
        """One verdict on each comparison: in scoring there is no order."""
        asked = [self._ask(comparison) for comparison in comparisons]
        size = self._pairs_at_once
        return [
            [verdict]
            for start in range(0, len(asked), size)
            for verdict in self._answer(asked[start : start + size])
        ]

    def _ask(self, comparison: Comparison) -> _Scored:
        before, after = self._around(comparison.messages)
        tokens = [
            [*self._encode(before), *self._quoted(text), *self._encode(after)]
            for text in (comparison.first, comparison.second)
        ]
        return _Scored(comparison, before, after, (tokens[0], tokens[1]))

    def _around(self, messages: Messages) -> tuple[str, str]:
        """What the chat template writes before and after the assistant's answer."""
        whole = [*messages, {"role": "assistant", "content": _MARK}]
        try:
            rendered = self._tokenizer.apply_chat_template(whole, tokenize=False)
        except (TemplateError, TypeError, ValueError, KeyError) as error:
            raise UsageError(
                f"the chat template of '{self.identity['id']}' does not take such a"
                f" conversation: {error}",
                hint="Take another judge, or prompts without what it refuses.",
            ) from error
        before, found, after = str(rendered).rpartition(_MARK)
        if not found:
            raise UsageError(
                f"the chat template of '{self.identity['id']}' leaves out what the"
                " assistant answers",
                hint="Take another judge.",
            )
        return before, after

    def _encode(self, text: str) -> list[int]:
        # The template writes the BOS if the model wants one.
        return [*self._tokenizer.encode(text, add_special_tokens=False)] if text else []

    def _quoted(self, text: str) -> list[int]:
        # So that a completion cannot end its turn and praise itself in the user's name.
        return encode_quoted(self._tokenizer, text)

    def _answer(self, asked: Sequence[_Scored]) -> list[Verdict]:
        began = time.perf_counter()
        rows = [row for scored in asked for row in scored.tokens]
        found = floats(reward_model.scores(self._model, rows))
        seconds = (time.perf_counter() - began) / len(asked)
        return [
            self._verdict(scored, found[2 * n], found[2 * n + 1], seconds)
            for n, scored in enumerate(asked)
        ]

    def _verdict(
        self, scored: _Scored, one: float, other: float, seconds: float
    ) -> Verdict:
        known = is_number(one) and is_number(other)
        logprobs = preference(one, other) if known else ()
        raw = json.dumps([one, other])
        winner, failure = parsed(logprobs, "first-second", raw)
        comparison, around = scored.comparison, (scored.before, scored.after)
        return Verdict(
            ticket=comparison.ticket,
            shown="first-second",
            winner=winner,
            failure=failure,
            logprobs=logprobs,
            raw=raw,
            judge=self._brief,
            prompt=conversations.written(*around, comparison.first, comparison.second),
            prompt_tokens=(*scored.tokens[0], *scored.tokens[1]),
            attempt=1,
            seconds=seconds,
            time=time.time(),
        )
