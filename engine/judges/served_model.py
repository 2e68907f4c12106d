"""A model behind a server: how it wants to be asked, which it shows by what it refuses.

It is asked with the log-probabilities of its first token, where a letter is wanted, and
with the rubric in a system turn; where the server refuses one of these, without it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from onlinedpo.engine.judges import wire
from onlinedpo.engine.judges.server import Refused, Reply, Server
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError
from onlinedpo.states.verdicts.texts import RETRY_TEMPERATURE

_OTHERWISE = (400, 404, 422)
"""What servers say to a parameter, or a system turn, that they do not take."""


class ServedModel:
    """One model of a server, asked as the settings say."""

    def __init__(self, settings: Settings, server: Server, name: str) -> None:
        """Ask the model that the server knows by this name; raises `UsageError`."""
        wire.must_be_free(settings.judge_parameters)
        self._settings, self._server, self.name = settings, server, name
        self._reasons = settings.judge_mode == "generate"
        self._manner = wire.Manner(chances=not self._reasons)

    async def ask(self, question: str, attempt: int, seed: int) -> Reply:
        """Its answer; raises `JudgeUnreachable` and `Refused`."""
        letter = wire.LETTER_TOKENS
        most = self._settings.judge_max_tokens if self._reasons else letter
        return await self._ask(question, attempt, seed, most)

    async def try_out(self, question: str) -> None:
        """Ask once, for a few tokens; raises `UsageError` too, for no answer."""
        reply = await self._ask(question, 1, 0, wire.LETTER_TOKENS, calls=1)
        if wire.is_no_answer(reply):
            raise UsageError(
                f"the judge at {self._server.url} answers, but with no chat completion",
                hint="Give the address of an OpenAI-compatible server.",
            )

    async def _ask(
        self,
        question: str,
        attempt: int,
        seed: int,
        max_tokens: int,
        *,
        calls: int | None = None,
    ) -> Reply:
        while True:
            manner = self._manner
            body = self._body(question, attempt, seed, max_tokens, manner)
            try:
                return await self._server.ask("/chat/completions", body, calls=calls)
            except Refused as refusal:
                other = _other(manner, refusal)
                if other == manner:
                    raise
                if self._manner == manner:
                    self._manner = other

    def _body(
        self,
        question: str,
        attempt: int,
        seed: int,
        max_tokens: int,
        manner: wire.Manner,
    ) -> dict[str, Any]:
        settings = self._settings
        temperature = settings.judge_temperature
        if attempt > 1 and temperature == 0:
            temperature = RETRY_TEMPERATURE
        return wire.request(
            self.name,
            settings.judge_system,
            question,
            manner=manner,
            max_tokens=max_tokens,
            temperature=temperature,
            seed=seed,
            more=settings.judge_parameters,
        )


async def only_model(server: Server) -> str:
    """The name of the only model that a server lists; raises `UsageError`."""
    listed = wire.models(await server.ask("/models", calls=1))
    if len(listed) == 1:
        return listed[0]
    some = ", ".join(f"'{name}'" for name in listed[:5])
    more = ", ..." if len(listed) > 5 else ""
    raise UsageError(
        f"the judge at {server.url} has {len(listed)} models: {some}{more}"
        if listed
        else f"the judge at {server.url} does not say which model it has",
        hint="Name one with --judge-model. That with which mlx_lm.server was started"
        " is 'default_model'.",
    )


def _other(manner: wire.Manner, refusal: Refused) -> wire.Manner:
    """How to ask a server that refuses to be asked so; the same if it is not that."""
    if refusal.status not in _OTHERWISE:
        return manner
    if manner.system and "system" in str(refusal).lower():
        return replace(manner, system=False)
    if manner.chances:
        return replace(manner, chances=False)
    return manner
