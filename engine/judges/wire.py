"""What is sent to a judge's server, and what of its reply is kept: JSON both ways."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onlinedpo.engine.judges.server import Reply
from onlinedpo.states.errors import UsageError
from onlinedpo.states.verdicts.texts import usable

LETTER_TOKENS = 8
"""Enough for a letter and its end; whoever says more has not answered."""

_TOP = 10
"""mlx_lm.server gives 11 at most, other servers 20."""
_MOST = 20
_OURS = ("messages", "model", "stream", "n")
_BLANK = " \n\t\r\u0120\u010a\u2581"
"""Blanks, also as vocabularies write them."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a server wants to be asked; which it shows by what it refuses."""

    chances: bool = True
    """With the log-probabilities of the first token."""
    system: bool = True
    """With the rubric in a system turn, and not before the question."""


def request(
    model: str,
    rubric: str,
    question: str,
    *,
    manner: Manner,
    max_tokens: int,
    temperature: float,
    seed: int,
    more: Mapping[str, Any],
) -> dict[str, Any]:
    """The body of a chat completion; `more` wins, and null leaves a key out."""
    system, user = {"role": "system", "content": rubric}, question
    turns = [system] if rubric and manner.system else []
    if rubric and not manner.system:
        user = together(rubric, question)
    body: dict[str, Any] = {
        "model": model,
        "messages": [*turns, {"role": "user", "content": user}],
        "max_tokens": max_tokens,
        "temperature": temperature,
        "stream": False,
    }
    if temperature > 0:
        # With a seed, some servers answer one request after the other.
        body["seed"] = seed % 2**31
    if manner.chances:
        body |= {"logprobs": True, "top_logprobs": _TOP}
    return {key: value for key, value in {**body, **more}.items() if value is not None}


def together(rubric: str, question: str) -> str:
    """What a judge is told, as one text."""
    return f"{rubric}\n\n{question}" if rubric else question


def must_be_free(parameters: Mapping[str, Any]) -> None:
    """Raise `UsageError` for a parameter that the judge has to set itself."""
    if taken := [name for name in _OURS if name in parameters]:
        raise UsageError(
            f"judge_parameters holds {', '.join(taken)}, which the judge sets itself",
            hint="Leave it out; the model is named by judge_model.",
        )


def kept(reply: Reply) -> str:
    """What is stored of a reply, as `states.parsing_text` reads it."""
    if reply.error:
        return _stored({"error": reply.error, "body": reply.text})
    try:
        body = json.loads(reply.text)
        choice = _choice(body)
    except (ValueError, RecursionError):
        choice = None
    if choice is None:
        why = "its reply is no chat completion"
        return _stored({"error": why, "body": reply.text})
    message = choice["message"]
    # Servers differ in what they call it.
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    found = {
        "content": _text(message.get("content")),
        "reasoning": _text(reasoning),
        "finish_reason": _word(choice.get("finish_reason")),
        # The first token is then one of the reasoning.
        "top_logprobs": None if reasoning else _first_answer_token(choice),
        "model": _word(body.get("model")),
        "system_fingerprint": _word(body.get("system_fingerprint")),
    }
    return _stored({key: value for key, value in found.items() if value is not None})


def is_no_answer(reply: Reply) -> bool:
    """Whether a reply is no chat completion, whatever stands in it."""
    return "error" in json.loads(kept(reply))


def models(reply: Reply) -> list[str]:
    """The models that a server lists; none where it does not."""
    try:
        listed = json.loads(reply.text)["data"]
        return [one["id"] for one in listed if isinstance(one["id"], str)]
    except (ValueError, RecursionError, KeyError, TypeError):
        return []


def _stored(found: dict[str, Any]) -> str:
    return json.dumps(found, ensure_ascii=False)


def _choice(body: object) -> dict[str, Any] | None:
    """The first choice of a chat completion, if it has one of that shape."""
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(choices, list) or not choices:
        return None
    choice = choices[0]
    shaped = isinstance(choice, dict) and isinstance(choice.get("message"), dict)
    return choice if shaped else None


def _word(value: object) -> str | None:
    """What should be a word, if it is text: a server may put anything there."""
    return value if isinstance(value, str) else None


def _text(content: object) -> str | None:
    """Text, also where it comes in parts."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else None


def _first_answer_token(choice: dict[str, Any]) -> list[list[Any]] | None:
    """The likeliest tokens in the place of the first that is no blank.

    Which token was drawn there is not looked at: mlx_lm.server names another one.
    """
    logprobs = choice.get("logprobs")
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    for one in tokens if isinstance(tokens, list) else ():
        top = _top(one.get("top_logprobs")) if isinstance(one, dict) else None
        if top is None or max(top, key=lambda pair: pair[1])[0].strip(_BLANK):
            return top
    return None


def _top(listed: object) -> list[list[Any]] | None:
    if not isinstance(listed, list) or not listed:
        return None
    pairs = [
        [one.get("token"), one.get("logprob")]
        for one in listed[:_MOST]
        if isinstance(one, dict)
    ]
    return pairs if pairs and usable(pairs) else None
