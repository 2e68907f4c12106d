"""From settings to a policy: its base, what it begins from, and its reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import mlx.nn as nn

from onlinedpo.engine.models import beginning, chat, policy
from onlinedpo.engine.models.identity import ModelIdentity, identify
from onlinedpo.engine.models.policy import Policy
from onlinedpo.engine.sampler import must_be_batched
from onlinedpo.journal import disk
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError


@dataclass(frozen=True, slots=True)
class Models:
    """The base of a policy and its reference, known by content and not loaded yet."""

    base: ModelIdentity
    reference: ModelIdentity | None
    """Another model that the policy is held to; None: the policy as it began."""
    adapter: str
    """Digest of the adapter that the policy begins from; empty where there is none."""

    @property
    def apart(self) -> ModelIdentity | None:
        """The reference, where it takes a model of its own."""
        if self.reference is None or self.reference.is_of(self.base):
            return None
        return self.reference

    def as_dict(self) -> dict[str, str]:
        """What the journal keeps of them."""
        facts = self.base.as_dict()
        if self.adapter:
            facts["adapter"] = self.adapter
        if self.reference:
            facts["reference"] = self.reference.weights
            facts["reference_id"] = self.reference.id
            facts["reference_revision"] = self.reference.revision
        return facts


def find(settings: Settings, began: Mapping[str, str] | None = None) -> Models:
    """The models that the settings name, downloaded if need be; raises `UsageError`.

    `began` is what the journal keeps of those that a run began with: of a model on the
    Hub it goes on with the revision that it began with, unless another is named.
    """
    began = began or {}
    same = began.get("id") == settings.model
    base = base_of(settings, began.get("revision") if same else None)
    reference = None
    if settings.reference_model_path:
        same = began.get("reference_id") == settings.reference_model_path
        reference = identify(
            settings.reference_model_path,
            (began.get("reference_revision") if same else None) or None,
            trusted=settings.trust_remote_code,
        )
    adapter = ""
    if settings.resume_adapter_file:
        file = beginning.adapter_file(settings.resume_adapter_file)
        adapter = disk.file_digest(file)
    return Models(base, reference, adapter)


def base_of(settings: Settings, began: str | None = None) -> ModelIdentity:
    """The policy's base, in the revision that is set, or else in the one it `began`."""
    return identify(
        settings.model,
        settings.revision or began or None,
        quantized=settings.quantize,
        chat_template=chat.template_of(settings.chat_template),
        trusted=settings.trust_remote_code,
    )


def load(
    models: Models, settings: Settings, said: Callable[[str], None] = lambda _: None
) -> Policy:
    """The policy, in memory; what the user should know is `said`.

    Raises `UsageError`.
    """
    model, tokenizer = policy.load(models.base)
    must_be_batched(model)
    if chat.is_plain(tokenizer):
        said(
            f"the tokenizer of '{models.base.id}' has no chat template: prompts are"
            " plain text, each message followed by an empty line"
        )
    layers = len(getattr(model, "layers", ()))
    if settings.num_layers > layers:
        said(f"num_layers is {settings.num_layers}: all {layers} layers are trained")
    chat.must_render(tokenizer, models.base.id, thinking=settings.enable_thinking)
    other: nn.Module | None = None
    if models.apart:
        other, theirs = policy.load(models.apart)
        other.freeze()
        other.eval()
        if theirs.get_vocab() != tokenizer.get_vocab():
            raise UsageError(
                f"the reference '{models.apart.id}' has another vocabulary than"
                f" '{models.base.id}' ({len(theirs)} tokens, not {len(tokenizer)})",
                hint="Give a reference_model_path of the same family, or none.",
            )
    return Policy(
        model,
        tokenizer,
        settings,
        against_base=models.reference is not None,
        other=other,
    )
