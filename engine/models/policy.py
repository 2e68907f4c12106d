"""The policy: one copy of the base model, its trainable part, and its reference.

The reference is the policy with its initial trainable parameters swapped back in.
That is exact for LoRA, DoRA and full fine-tuning alike, and takes no second model,
unless the settings name another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_unflatten
from mlx_lm.tuner.utils import linear_to_lora_layers
from mlx_lm.utils import load as mlx_load

from onlinedpo.engine.environment import on_cpu
from onlinedpo.engine.models import beginning, chat, rotary
from onlinedpo.engine.models.identity import ModelIdentity, config_of
from onlinedpo.engine.models.quantizing import is_quantized, quantize
from onlinedpo.engine.tensors import Tensors, digest, flat
from onlinedpo.states import seeds
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError
from onlinedpo.states.records import Messages


class Policy:
    """A loaded model with a trainable part."""

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Any,
        settings: Settings,
        *,
        against_base: bool = False,
        other: nn.Module | None = None,
    ) -> None:
        """Make part of `model` trainable, seeded; raises `UsageError`.

        The reference is the policy as it begins, or its base, or an `other` model.
        """
        self.model = model
        self.tokenizer = tokenizer
        self.other = other
        self._thinking = settings.enable_thinking
        _make_trainable(model, settings)
        model.eval()
        mx.eval(model.parameters())
        self._base = self.trainable()
        if settings.resume_adapter_file:
            file = beginning.adapter_file(settings.resume_adapter_file)
            self.update(beginning.read(file, settings, self._base))
        self.initial = self.trainable()
        self._reference = self._base if against_base else self.initial

    def encode(self, messages: Messages) -> list[int]:
        """Token ids that the policy is asked with."""
        return chat.encode(self.tokenizer, messages, thinking=self._thinking)

    def trainable(self) -> Tensors:
        """The trainable parameters, sorted by name."""
        return flat(self.model.trainable_parameters())

    def update(self, tensors: Mapping[str, mx.array]) -> None:
        """Put trainable parameters in place."""
        self.model.update(tree_unflatten(list(tensors.items())))

    def is_finite(self) -> bool:
        """Whether its trainable part is, and what it computes with it."""
        parts = [mx.isfinite(value).all() for value in self.trainable().values()]
        return bool(mx.stack(parts).all().item()) and computes(self.model)

    def has_moved(self) -> bool:
        """Whether any trainable parameter is another than it began with."""
        now = self.trainable()
        return not all(
            mx.array_equal(now[name], value).item()
            for name, value in self.initial.items()
        )

    def initial_digest(self) -> str:
        """Digest of the trainable parameters before the first step."""
        return digest(self.initial)

    @contextmanager
    def reference(self) -> Iterator[nn.Module]:
        """What the policy is held to, within the block: by default as it began."""
        if self.other is not None:
            yield self.other
            return
        with self._with(self._reference):
            yield self.model

    @contextmanager
    def base(self) -> Iterator[nn.Module]:
        """The model that the policy is made of, without any adapter."""
        with self._with(self._base):
            yield self.model

    @contextmanager
    def _with(self, tensors: Tensors) -> Iterator[None]:
        current = self.trainable()
        self.update(tensors)
        try:
            yield
        finally:
            self.update(current)


def load(identity: ModelIdentity) -> tuple[nn.Module, Any]:
    """A model and its tokenizer, wholly in memory; raises `UsageError`.

    It is quantized as its identity says.  On a CPU it computes in float32: half
    precision is far slower there.
    """
    options: dict[str, Any] = {"trust_remote_code": identity.trusted}
    if identity.chat_template:
        options["chat_template"] = identity.chat_template
    try:
        model, tokenizer = mlx_load(
            str(identity.path),
            tokenizer_config=options,
            lazy=True,
            trust_remote_code=identity.trusted,
        )[:2]
    except Exception as error:  # They read anybody's files, and raise anything.
        raise _not_loaded(identity, error) from error
    rotary.must_be_read(model, config_of(identity.path), identity.id)
    if identity.quantized:
        # Before the dtype changes, as mlx_lm.convert does: the bits are then the same.
        quantize(model, identity.quantized, identity.id)
    if on_cpu():
        # Integers, and with them packed weights and their mxfp4 scales, stay.
        model.set_dtype(mx.float32)
    # MLX loads lazily: nothing may depend on the file after this.
    mx.eval(model.parameters())
    if not computes(model):
        raise UsageError(
            f"the model '{identity.id}' computes NaN or infinity: its weights are"
            " damaged, or too large for their precision",
            hint="Get it again, or take it in another precision.",
        )
    chat.fall_back(tokenizer)
    return model, tokenizer


def computes(model: nn.Module) -> bool:
    """Whether what a model makes of a token can be turned into probabilities.

    NaN and infinity anywhere on the way spread over all of it.
    """
    logits: mx.array = model(mx.array([[0]]))
    return bool(mx.isfinite(mx.logsumexp(logits.astype(mx.float32))).item())


def _not_loaded(identity: ModelIdentity, error: Exception) -> UsageError:
    told = (str(error).strip().splitlines() or [type(error).__name__])[0]
    hint = "It must be a model that mlx-lm can load."
    if "trust_remote_code" in str(error):
        hint = "It wants to run code of its own: --trust-remote-code, if you trust it."
    name = identity.id
    return UsageError(f"the model '{name}' could not be loaded: {told}", hint=hint)


def _make_trainable(model: nn.Module, settings: Settings) -> None:
    try:
        model.freeze()
        _ = model.layers
    except AttributeError as error:
        raise UsageError(
            f"mlx-lm cannot train this model: {error}",
            hint="Choose a model of another family.",
        ) from error
    if settings.fine_tune_type == "full":
        if is_quantized(model):
            raise UsageError(
                "the weights of a quantized model cannot be trained in full",
                hint="Use --fine-tune-type lora or dora, or a model in half precision.",
            )
        for layer in model.layers[-max(settings.num_layers, 0) :]:
            layer.unfreeze()
        return
    _adapt(model, settings)
    if not tree_flatten(model.trainable_parameters()):
        raise UsageError(
            "no layer of the model matches lora_parameters['keys']",
            hint="Leave 'keys' out to adapt every linear layer.",
        )


def _adapt(model: nn.Module, settings: Settings) -> None:
    """Put adapters beside the layers that the settings name."""
    dora = settings.fine_tune_type == "dora"
    odd = {b for b in (getattr(m, "bits", 32) for m in model.modules()) if 32 % b}
    if dora and odd:
        # mlx-lm takes the width of such a layer for another.
        raise UsageError(
            f"mlx-lm cannot train dora on weights of {min(odd)} bits",
            hint="Use --fine-tune-type lora, or weights of 4 or 8 bits.",
        )
    mx.random.seed(seeds.derive(settings.seed, "adapter"))
    try:
        linear_to_lora_layers(
            model, settings.num_layers, settings.lora_parameters, use_dora=dora
        )
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise UsageError(
            f"mlx-lm cannot train {settings.fine_tune_type} on this model: {error}",
            hint="Name layers that it can with lora_parameters['keys'], or use lora."
            if dora
            else "Name layers that it can with lora_parameters['keys'].",
        ) from error
