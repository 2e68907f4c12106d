"""The judge behind a server: a chat completion for each pair and order.

Its calls are in flight while the policy goes on, and their answers are collected in the
order in which they were asked.  What the server does not answer is no verdict; what it
answers is one, if only of failure.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from onlinedpo.engine.judges import wire
from onlinedpo.engine.judges.background import Background
from onlinedpo.engine.judges.comparison import Comparison
from onlinedpo.engine.judges.served_model import ServedModel, only_model
from onlinedpo.engine.judges.server import Server
from onlinedpo.engine.observer import Observer, Silent
from onlinedpo.states import seeds
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import JudgeLeft, Unanswered
from onlinedpo.states.records import Shown, Verdict
from onlinedpo.states.verdicts import asking, judges
from onlinedpo.states.verdicts.framing import (
    FRAMES,
    SERVED_LETTER,
    SERVED_REASON,
    fence_for,
)
from onlinedpo.states.verdicts.parsing import GENERATED, PARSERS, SERVED
from onlinedpo.states.verdicts.texts import chances_of

_OPENAI = "https://api.openai.com/"
_GLANCE = 0.1
"""Seconds between two looks whether the user wants to leave."""

_Key = tuple[int, Shown, str]
"""A question: its ticket, the order, and the words."""


def http_judge(settings: Settings, url: str) -> HttpJudge:
    """The judge at `url`; raises `UsageError`, `JudgeUnreachable` and `Refused`.

    The server is asked which model it has, if `judge_model` does not say which.
    """
    server = Server(
        url,
        _key(settings.judge_key_env, url),
        timeout=settings.judge_timeout,
        attempts=settings.judge_attempts,
        at_once=settings.judge_concurrency,
    )
    background = Background()
    name = settings.judge_model or background.start(only_model(server)).result()
    model = ServedModel(settings, server, name)
    return HttpJudge(settings, server, background, model)


def _key(variable: str | None, url: str) -> str:
    """The key for a server: nobody else is sent what is meant for OpenAI."""
    if variable is None:
        variable = "OPENAI_API_KEY" if f"{url}/".startswith(_OPENAI) else ""
    return os.environ.get(variable, "")


def described(settings: Settings, url: str, model: str) -> dict[str, Any]:
    """What the journal says of a model that judges behind a server."""
    reasons = settings.judge_mode == "generate"
    return {
        "kind": "http",
        "id": url,
        "model": model,
        "rubric": settings.judge_system,
        "frame": SERVED_REASON if reasons else SERVED_LETTER,
        "parser": GENERATED if reasons else SERVED,
    }


class HttpJudge:
    """A model behind an OpenAI-compatible server."""

    def __init__(
        self,
        settings: Settings,
        server: Server,
        background: Background,
        model: ServedModel,
    ) -> None:
        """Ask `model`, which is behind the `server`, with calls on the `background`."""
        self._settings, self._server = settings, server
        self._background, self._model = background, model
        self.identity = described(settings, server.url, model.name)
        self._brief = judges.brief(self.identity)
        self._reasons = self.identity["parser"] == GENERATED
        self._watch: Observer = Silent()
        self._asked: dict[_Key, Future[list[Verdict]]] = {}

    def must_answer(self) -> None:
        """Raise `Unanswered` or `UsageError` if the server cannot be asked at all.

        A small question shows address, key and model, and how it wants to be asked.
        """
        question = FRAMES[self._brief["frame"]]("~~~", "2 + 2?", "4", "5")
        self._background.start(self._model.try_out(question)).result()

    def watched_by(self, watch: Observer) -> None:
        """Tell `watch` where the server is waited for, and leave where it asks to."""
        self._watch = watch

    def expect(self, comparison: Comparison) -> None:
        """Ask about this now, and keep the answer for when it is wanted."""
        for shown in self._orders(comparison):
            key = self._key(comparison, shown)
            if key not in self._asked:
                self._asked[key] = self._background.start(self._answers(*key))

    def judge(self, comparisons: Sequence[Comparison]) -> list[list[Verdict]]:
        """The verdicts on each comparison: for each order one per attempt.

        Raises `Unanswered` with those on the first of them.
        """
        for comparison in comparisons:
            self.expect(comparison)
        came: list[list[Verdict]] = []
        try:
            for comparison in comparisons:
                orders = self._orders(comparison)
                came.append([v for o in orders for v in self._result(comparison, o)])
        except Unanswered as error:
            error.came = came
            for future in self._asked.values():
                future.cancel()
            self._asked.clear()
            raise
        return came

    def _orders(self, comparison: Comparison) -> Sequence[Shown]:
        settings = self._settings
        orders, seed = settings.judge_orders, settings.seed
        return asking.orders(self._brief, orders, seed, comparison.ticket)

    def _result(self, comparison: Comparison, shown: Shown) -> list[Verdict]:
        key = self._key(comparison, shown)
        while True:
            try:
                verdicts = self._asked[key].result(timeout=_GLANCE)
                del self._asked[key]
                return verdicts
            except TimeoutError:
                # The calls never end so: they say themselves what went wrong.
                while not self._server.told.empty():
                    self._watch.said(self._server.told.get())
                if self._watch.asked_to_stop():
                    raise JudgeLeft(
                        "left while the judge was thinking",
                        hint="The next run asks it again.",
                    ) from None

    def _key(self, comparison: Comparison, shown: Shown) -> _Key:
        request, (a, b) = comparison.request, comparison.answers(shown)
        frame = FRAMES[self._brief["frame"]]
        question = frame(fence_for(request, a, b), request, a, b)
        return comparison.ticket, shown, question

    # -- on the background ---------------------------------------------------------

    async def _answers(self, ticket: int, shown: Shown, question: str) -> list[Verdict]:
        """A verdict for each attempt; the last one that was made counts."""
        verdicts: list[Verdict] = []
        retries = self._settings.judge_retries
        for attempt in range(1, 1 + asking.attempts(self._brief, retries)):
            began = time.perf_counter()
            seed = seeds.derive(self._settings.seed, "judge", ticket, shown, attempt)
            raw = wire.kept(await self._model.ask(question, attempt, seed))
            seconds = time.perf_counter() - began
            logprobs = () if self._reasons else chances_of(raw)
            read = PARSERS[self._brief["parser"]](logprobs, shown, raw)
            verdicts.append(
                Verdict(
                    ticket=ticket,
                    shown=shown,
                    winner=read[0],
                    failure=read[1],
                    logprobs=logprobs,
                    raw=raw,
                    judge=self._brief,
                    prompt=wire.together(self._settings.judge_system, question),
                    prompt_tokens=(),
                    attempt=attempt,
                    seconds=seconds,
                    time=time.time(),
                )
            )
            if verdicts[-1].winner is not None:
                break
        return verdicts
