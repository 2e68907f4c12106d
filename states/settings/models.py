"""Settings of the policy, its reference, and what of the policy is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from onlinedpo.states.settings.field import setting


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """The policy and its reference."""

    model: str = setting("", "Policy: a local path or a Hub id.", resumable=True)
    revision: str | None = setting(
        None,
        "Commit, branch or tag of a policy from the Hub; null: the newest.",
        resumable=True,
    )
    trust_remote_code: bool = setting(
        False, "Let models and tokenizers run code of their own.", resumable=True
    )
    quantize: str | None = setting(
        None,
        "Quantize the base in memory, as mlx_lm.convert would, and train an adapter on"
        " it (QLoRA); null: as it is on disk.",
        choices=("4bits", "6bits", "8bits", "mxfp4"),
    )
    resume_adapter_file: str | None = setting(
        None,
        "Begin from this adapter (adapters.safetensors, or its folder), which is then"
        " the reference; null: from a fresh one.",
        resumable=True,
    )
    reference_model_path: str | None = setting(
        None,
        "Another model of the same vocabulary as reference, in memory beside the"
        " policy; the policy's own base takes no second copy; null: the policy as it"
        " began.",
        resumable=True,
    )
    chat_template: str | None = setting(
        None,
        "Chat template (Jinja text, or a file with it); null: the tokenizer's own, or"
        " plain text where it has none.",
        resumable=True,
    )
    enable_thinking: bool = setting(
        False,
        "Let a model whose template can think do so before it answers; the thoughts are"
        " trained on, and not shown to judges.",
    )

    fine_tune_type: str = setting(
        "lora", "What is trained.", choices=("lora", "dora", "full")
    )
    num_layers: int = setting(
        -1, "Layers to train, counted from the last; -1: all.", low=-1
    )
    lora_parameters: dict[str, Any] = setting(
        {"rank": 8, "dropout": 0.0, "scale": 10.0},
        "Adapter shape: rank, dropout, scale, and optionally keys.",
    )
    grad_checkpoint: bool = setting(
        False, "Recompute activations in the backward pass to save memory."
    )
