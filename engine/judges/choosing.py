"""The model behind the judge: one of its own, or the policy's base, adapters off."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import mlx.nn as nn

from onlinedpo.engine import policy
from onlinedpo.engine.identity import ModelIdentity, identify
from onlinedpo.engine.judges.model import ModelJudge
from onlinedpo.engine.policy import Policy
from onlinedpo.states.config import Settings


def judge_of(
    settings: Settings, base: ModelIdentity, trained: Policy
) -> ModelJudge | None:
    """The judge of a run, None where people judge all; raises `UsageError`.

    It shares the policy's base if it is the same model.
    """
    if settings.people_judge:
        return None
    same_name = settings.judge == settings.model
    identity = base if same_name else identify(settings.judge)
    if identity.weights == base.weights and identity.tokenizer == base.tokenizer:
        model, tokenizer = trained.model, trained.tokenizer
        return _judge(settings, identity, model, tokenizer, trained.reference)
    return judge_alone(settings, identity)


def judge_alone(settings: Settings, identity: ModelIdentity) -> ModelJudge:
    """A judge with a model of its own; raises `UsageError`."""
    model, tokenizer = policy.load(identity)
    model.eval()
    return _judge(settings, identity, model, tokenizer)


def _judge(
    settings: Settings,
    identity: ModelIdentity,
    model: nn.Module,
    tokenizer: Any,
    as_judge: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> ModelJudge:
    return ModelJudge(
        model,
        tokenizer,
        identity=identity.as_dict(),
        rubric=settings.judge_system,
        orders=settings.judge_orders,
        seed=settings.seed,
        at_once=2 * (settings.micro_batch_size or settings.batch_size),
        as_judge=as_judge,
    )
