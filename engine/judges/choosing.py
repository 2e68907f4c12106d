"""The judge that the settings name: of which kind, and of which parts it is made.

A judge is known by content before any model is loaded: for a fork or a look at a folder
that is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations
from typing import Any

import mlx.nn as nn

from onlinedpo.engine.judges import generating, reward
from onlinedpo.engine.judges.comparison import Judge
from onlinedpo.engine.judges.generating import GeneratingJudge
from onlinedpo.engine.judges.http import http_judge
from onlinedpo.engine.judges.model import ModelJudge, described
from onlinedpo.engine.judges.panel import Panel
from onlinedpo.engine.judges.python_function import python_judge
from onlinedpo.engine.models import chat, loading, policy
from onlinedpo.engine.models.identity import ModelIdentity, identify
from onlinedpo.engine.models.policy import Policy
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError
from onlinedpo.states.settings.judging import kind_of
from onlinedpo.states.verdicts import judges


@dataclass(frozen=True, slots=True)
class Candidate:
    """A judge that is known by content, and not loaded yet."""

    identity: dict[str, Any]
    """What the journal says of it."""
    load: Callable[[], Judge]


@dataclass(frozen=True, slots=True)
class Base:
    """The policy's base: a judge of the same model shares it, adapters off.

    `revisions` are those of judges by id that a run on the Hub's models began with.
    """

    identity: ModelIdentity
    policy: Policy
    said: Callable[[str], None] = lambda _: None
    revisions: Mapping[str, str] = field(default_factory=dict)


def judge_of(settings: Settings, base: Base) -> Judge | None:
    """The judge of a run, None where people judge all; raises `UsageError`.

    A model shares the policy's base if it is the same.
    """
    if settings.people_judge:
        return None
    return candidate(settings, base).load()


def candidate(settings: Settings, base: Base | None = None) -> Candidate:
    """The judge, or panel, that the settings name; raises `UsageError`."""
    found = [_candidate(settings, name, base) for name in settings.judges]
    for one, other in combinations(found, 2):
        if _is_one(one.identity, other.identity):
            ids = f"{one.identity['id']} and {other.identity['id']}"
            raise UsageError(
                f"the panel has one judge twice: {ids} are the same",
                hint="Leave one of them out of judge_panel.",
            )
    if len(found) == 1:
        return found[0]
    identity = judges.panel([one.identity for one in found])
    return Candidate(identity, lambda: Panel([one.load() for one in found]))


def _is_one(judge: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two judges are the same; two servers are not, whatever they call it."""
    elsewhere = judge["kind"] == "http" and judge["id"] != other["id"]
    return not elsewhere and not judges.differing(judge, other)


def _candidate(settings: Settings, name: str, base: Base | None) -> Candidate:
    match kind_of(name):
        case "http":
            # It is asked who it is.
            return _ready(http_judge(settings, name))
        case "python":
            judge = python_judge(settings, name)
            if base:
                base.said(judge.told())
            return _ready(judge)
        case "reward":
            return _reward(settings, name, base)
        case _:
            return _model(settings, name, base)


def _ready(judge: Judge) -> Candidate:
    """One that needs nothing to be loaded."""
    return Candidate(judge.identity, lambda: judge)


def _reward(settings: Settings, name: str, base: Base | None) -> Candidate:
    model = name.partition(":")[2]
    if not model:
        raise UsageError(
            f"the judge '{name}' names no model",
            hint="Give it as reward:ID, with a local path or a Hub id.",
        )
    identity = _identify(settings, name, model, base)
    return Candidate(
        reward.described(name, identity.as_dict()),
        lambda: reward.reward_judge(name, identity, at_once(settings)),
    )


def _model(settings: Settings, name: str, base: Base | None) -> Candidate:
    """A model as judge: the policy's base, or one of its own."""
    identity = _identity(settings, name, base)

    def load() -> Judge:
        if base and identity.is_of(base.identity):
            model, tokenizer = base.policy.model, base.policy.tokenizer
            as_judge = base.policy.base
            return _model_judge(settings, identity, model, tokenizer, as_judge)
        model, tokenizer = policy.load(identity)
        model.eval()
        if base and chat.is_plain(tokenizer):
            base.said(
                f"the tokenizer of the judge '{name}' has no chat template: it is asked"
                " in plain text"
            )
        return _model_judge(settings, identity, model, tokenizer)

    reasons = settings.judge_mode == "generate"
    says = generating.described if reasons else described
    return Candidate(says(identity.as_dict(), settings.judge_system), load)


def _identity(settings: Settings, name: str, base: Base | None) -> ModelIdentity:
    """Which model judges; one that shares the base is used as the base is."""
    wanted = _wanted_revision(settings, name)
    if name == settings.model and wanted in (None, settings.revision):
        return base.identity if base else loading.base_of(settings)
    found = _identify(settings, name, name, base)
    if base and found.is_of(base.identity):
        return replace(base.identity, id=name, revision=found.revision)
    return found


def _identify(
    settings: Settings, name: str, model: str, base: Base | None
) -> ModelIdentity:
    """The files of a judge's model: one of the Hub's, as the run began with it."""
    known = base.revisions.get(name) if base else None
    revision = _wanted_revision(settings, name) or known or None
    return identify(model, revision, trusted=settings.trust_remote_code)


def _wanted_revision(settings: Settings, name: str) -> str | None:
    """The revision that is asked for: it is the first judge's."""
    return settings.judge_revision if name == settings.judge else None


def _model_judge(
    settings: Settings,
    identity: ModelIdentity,
    model: nn.Module,
    tokenizer: Any,
    as_judge: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> Judge:
    judge: Callable[..., Judge] = ModelJudge
    if settings.judge_mode == "generate":
        judge = partial(
            GeneratingJudge,
            max_tokens=settings.judge_max_tokens,
            temperature=settings.judge_temperature,
            retries=settings.judge_retries,
        )
    return judge(
        model,
        tokenizer,
        identity=identity.as_dict(),
        rubric=settings.judge_system,
        orders=settings.judge_orders,
        seed=settings.seed,
        at_once=at_once(settings),
        as_judge=as_judge,
    )


def at_once(settings: Settings) -> int:
    """Rows that go through a judge's model together: as many as training has."""
    return 2 * (settings.micro_batch_size or settings.batch_size)
