"""A python function as judge, in the two shapes that TRL has for them.

A *pairwise* function is called as TRL calls `BasePairwiseJudge.judge(prompts,
completions)`: with a list of prompts and one of pairs of completions, and returns for
each pair the place of the better one, 0 or 1; -1 or None where it has no verdict.  A
*reward* function is called as TRL calls `reward_funcs`: with prompts and completions by
keyword, each prompt once for each of its two completions, and returns a score for each;
None or NaN where it has none.  TRL asks of the latter that they take **kwargs: so a
function that does is a reward function, and any other is a pairwise one.
"""

from __future__ import annotations

import json
import operator
import time
from collections.abc import Sequence
from typing import Any

from onlinedpo.engine.judges import user_code
from onlinedpo.engine.judges.comparison import Comparison
from onlinedpo.engine.judges.user_code import UserCode
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import JudgeFailed
from onlinedpo.states.records import Shown, Verdict
from onlinedpo.states.verdicts import asking, judges
from onlinedpo.states.verdicts.parsing import CHOICE, PARSERS, SCORES
from onlinedpo.states.verdicts.scores import is_number, preference

_Row = tuple[Comparison, Shown]

_TRIAL = Comparison(
    0, ({"role": "user", "content": "Is it raining?"},), "Yes, it is raining.", "No."
)

_AS_MESSAGES = (
    "It is given text; if it takes messages, as TRL gives them for conversational data,"
    " add --judge-format messages."
)
_TAKEN_AS = {
    "pairwise": "It was taken for a pairwise judge, which is given pairs and returns 0"
    " or 1 for each; a reward function must take **kwargs.",
    "reward": "It was taken for a reward function, as it takes **kwargs: it returns a"
    " number for each completion. A pairwise judge must not take **kwargs.",
}


def python_judge(settings: Settings, name: str) -> PythonJudge:
    """The judge that `python:module:function` names; raises `UsageError`."""
    return PythonJudge(
        user_code.find(name),
        messages=settings.judge_format == "messages",
        orders=settings.judge_orders,
        seed=settings.seed,
    )


class PythonJudge:
    """A function of the user's as judge."""

    def __init__(
        self, code: UserCode, *, messages: bool, orders: int, seed: int
    ) -> None:
        """Ask `code`; with `messages` it is given these instead of text."""
        self._code = code
        self._messages = messages
        self._orders, self._seed = orders, seed
        self._parser = SCORES if code.shape == "reward" else CHOICE
        self.identity: dict[str, Any] = {
            "kind": "python",
            "id": code.name,
            "function": code.function,
            "source": code.source,
            "shape": code.shape,
            "parser": self._parser,
        }
        self._brief = judges.brief(self.identity)

    def judge(self, comparisons: Sequence[Comparison]) -> list[list[Verdict]]:
        """A verdict for each order asked; raises `JudgeFailed`."""
        asked = [[(c, shown) for shown in self._of(c)] for c in comparisons]
        rows = [row for rows in asked for row in rows]
        if not rows:
            return []
        began = time.perf_counter()
        outputs = self._scored(rows) if self._scores else self._chosen(rows)
        seconds = (time.perf_counter() - began) / len(rows)
        verdicts = iter(
            self._verdict(row, output, seconds)
            for row, output in zip(rows, outputs, strict=True)
        )
        return [[next(verdicts) for _ in rows] for rows in asked]

    def must_answer(self) -> None:
        """Try it on a pair of our own; raises `JudgeFailed`."""
        self.judge([_TRIAL])

    def told(self) -> str:
        """What it was taken for, for whoever wrote it."""
        shape = "scores each completion" if self._scores else "is given pairs"
        return f"the judge {self._code.name} {shape}"

    @property
    def _scores(self) -> bool:
        return self._code.shape == "reward"

    def _of(self, comparison: Comparison) -> Sequence[Shown]:
        return asking.orders(self._brief, self._orders, self._seed, comparison.ticket)

    def _chosen(self, rows: Sequence[_Row]) -> list[int | None]:
        """What a pairwise function returns, for each pair as it is shown."""
        prompts = [self._prompt(comparison) for comparison, _ in rows]
        pairs = [
            [self._completion(text) for text in comparison.answers(shown)]
            for comparison, shown in rows
        ]
        # TRL's own judges would swap at random: both orders are asked here anyway.
        more = {name: False for name in self._code.keywords if name == "shuffle_order"}
        found = self._results(self._call(prompts, pairs, **more), len(rows))
        return [self._place(value, n) for n, value in enumerate(found, start=1)]

    def _scored(self, rows: Sequence[_Row]) -> list[list[float | None]]:
        """What a reward function returns, by pair."""
        prompts, completions = [], []
        for comparison, shown in rows:
            for text in comparison.answers(shown):
                prompts.append(self._prompt(comparison))
                completions.append(self._completion(text))
        found = self._results(
            self._call(prompts=prompts, completions=completions), len(completions)
        )
        scores = [self._score(value, n) for n, value in enumerate(found, start=1)]
        return [scores[n : n + 2] for n in range(0, len(scores), 2)]

    def _prompt(self, comparison: Comparison) -> Any:
        if self._messages:
            return [dict(message) for message in comparison.messages]
        return comparison.request

    def _completion(self, text: str) -> Any:
        return [{"role": "assistant", "content": text}] if self._messages else text

    def _call(self, *arguments: Any, **named: Any) -> Any:
        try:
            return self._code(*arguments, **named)
        except JudgeFailed as error:
            if isinstance(error.__cause__, TypeError) and not self._messages:
                error.hint = f"{_AS_MESSAGES} {error.hint}"
            raise

    # -- what came back --------------------------------------------------------------

    def _results(self, found: Any, count: int) -> Sequence[Any]:
        """As many results as were asked for; arrays are taken as lists."""
        if hasattr(found, "tolist"):
            found = found.tolist()
        if not isinstance(found, list | tuple):
            raise self._wrong(f"returned {_shown(found)}, which is no list")
        if len(found) != count:
            raise self._wrong(f"returned {len(found)} results for {count}")
        return found

    def _place(self, value: Any, number: int) -> int | None:
        """0 or 1, or that there is no verdict."""
        if value is None:
            return None
        try:
            place = None if isinstance(value, bool) else operator.index(value)
        except TypeError:
            place = None
        if place not in (-1, 0, 1):
            told = f"returned {_shown(value)} for pair {number}, and not 0, 1, -1 or"
            raise self._wrong(f"{told} None")
        return place

    def _score(self, value: Any, number: int) -> float | None:
        """A number, or that there is none."""
        if value is None:
            return None
        try:
            # Of text it would be a number, too.
            return float(operator.pos(value))
        except (TypeError, ValueError, OverflowError):
            told = f"returned {_shown(value)} for completion {number}"
            raise self._wrong(f"{told}, which is no number") from None

    def _wrong(self, told: str) -> JudgeFailed:
        return JudgeFailed(
            f"the judge {self._code.name} {told}: nothing was labelled",
            hint=f"{_TAKEN_AS[self._code.shape]} {user_code.MEND}",
        )

    def _verdict(self, row: _Row, output: Any, seconds: float) -> Verdict:
        comparison, shown = row
        raw = json.dumps(output)
        logprobs: tuple[float, ...] = ()
        if isinstance(output, list) and all(map(is_number, output)):
            logprobs = preference(*output)
        winner, failure = PARSERS[self._parser](logprobs, shown, raw)
        return Verdict(
            ticket=comparison.ticket,
            shown=shown,
            winner=winner,
            failure=failure,
            logprobs=logprobs,
            raw=raw,
            judge=self._brief,
            # What it was given follows from the pair.
            prompt="",
            prompt_tokens=(),
            attempt=1,
            seconds=seconds,
            time=time.time(),
        )


def _shown(value: object) -> str:
    """A value, briefly."""
    told = repr(value)
    return told if len(told) <= 60 else f"{told[:59]}…"
