"""Settings of the judge."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from onlinedpo.states.settings.field import setting

DEFAULT_RUBRIC = (
    "You are a careful judge of answers. Prefer the answer that is more correct, more"
    " helpful and clearer. Do not prefer an answer because it is longer, or because it"
    " is shown first."
)

PEOPLE = ("human", "file")
"""Judges that answer through the labels folder; in a run the two are the same."""


def kind_of(judge: str) -> str:
    """What a judge is, by its name: people, http, python, reward or else a model."""
    if judge in PEOPLE:
        return "people"
    if judge.startswith(("http://", "https://")):
        return "http"
    scheme, colon, _ = judge.partition(":")
    return scheme if colon and scheme in ("python", "reward") else "model"


@dataclass(frozen=True, kw_only=True)
class JudgingSettings:
    """Who judges, and how."""

    judge: str = setting(
        "Qwen/Qwen3-0.6B",
        "Who judges: a model, by local path or Hub id (the policy's own base is"
        " shared); reward:ID, a reward model; http://..., an OpenAI-compatible server;"
        " python:module:function; human: people, or file: another program, by files in"
        " RUN/labels.",
        resumable=True,
    )
    judge_panel: list[str] | None = setting(
        None,
        "More judges of these kinds: with the first they are a panel, and the majority"
        " decides; null: none.",
        resumable=True,
    )
    judge_revision: str | None = setting(
        None,
        "Commit, branch or tag of a judge from the Hub; null: the newest.",
        resumable=True,
    )
    judge_system: str = setting(DEFAULT_RUBRIC, "The rubric that the judge is given.")
    judge_format: str = setting(
        "text",
        "What a python judge is given: prompts and completions as text, or as messages,"
        " as TRL does with conversational data.",
        choices=("text", "messages"),
    )
    judge_orders: int = setting(
        2, "Ask in both orders (2) or in one drawn by the seed (1).", choices=(1, 2)
    )
    judge_mode: str = setting(
        "logprobs",
        "Read a model's verdict from the log-probabilities of its answer, or let it"
        " generate (reason) and read what it says.",
        choices=("logprobs", "generate"),
    )
    judge_max_tokens: int = setting(
        2048, "Tokens that a judge may generate for one answer.", low=1
    )
    judge_temperature: float = setting(
        0.0,
        "Temperature of a judge that generates or is behind a server; where it is 0,"
        " the judge is asked again at 0.7.",
        low=0.0,
    )
    judge_retries: int = setting(
        2,
        "Times that a judge that generates or is behind a server is asked again after"
        " an answer that cannot be read.",
        low=0,
    )
    judge_model: str | None = setting(
        None,
        "Name of the model that an http judge is asked for; null: the only one that"
        " its server lists.",
        resumable=True,
    )
    judge_key_env: str | None = setting(
        None,
        "Environment variable that holds the key of an http judge, if it wants one; it"
        " is sent to that server, and kept nowhere. null: OPENAI_API_KEY for OpenAI's"
        " own server, and none for others.",
        resumable=True,
    )
    judge_timeout: float = setting(
        120.0,
        "Seconds that an http judge may take for one answer.",
        low=0.1,
        resumable=True,
    )
    judge_attempts: int = setting(
        6,
        "Times that an http judge is called before the run ends because it cannot be"
        " reached.",
        low=1,
        resumable=True,
    )
    judge_concurrency: int = setting(
        8, "Calls to an http judge at a time.", low=1, resumable=True
    )
    judge_parameters: dict[str, Any] = setting(
        {},
        "More parameters for an http judge's requests, as its server takes them; null"
        " leaves one out. Not for keys: settings are kept.",
    )


ASKED = tuple(
    f.name
    for f in fields(JudgingSettings)
    if not f.metadata["resumable"] or f.name in ("judge", "judge_panel", "judge_model")
)
"""Who is asked, and what: a fork that learns from another judge takes these over."""
