"""Random models of other families than the toys', with the toys' tokenizer."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten

from tests.toys import toy_model

SHAPE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "intermediate_size": 64,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "rms_norm_eps": 1e-6,
    "vocab_size": 260,
    "max_position_embeddings": 4096,
    "rope_theta": 10000.0,
    "eos_token_id": [2],
}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "norm_topk_prob": True}
_MAMBA = {
    "mamba_n_heads": 4,
    "mamba_d_head": 16,
    "mamba_d_state": 16,
    "mamba_d_conv": 4,
    "mamba_n_groups": 1,
    "mamba_proj_bias": False,
    "mamba_conv_bias": True,
    "attention_bias": False,
}
_DELTA = {
    "linear_num_value_heads": 2,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "linear_conv_kernel_dim": 4,
    "full_attention_interval": 2,
    "partial_rotary_factor": 0.5,
    "decoder_sparse_step": 1,
    "moe_intermediate_size": 32,
    "shared_expert_intermediate_size": 32,
    **_EXPERTS,
}

FAMILIES: dict[str, dict[str, Any]] = {
    # Soft caps, and windows that slide.
    "gemma2": {
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 2.0,
        "query_pre_attn_scalar": 16,
    },
    "gemma3_text": {
        "sliding_window": 8,
        "sliding_window_pattern": 2,
        "query_pre_attn_scalar": 16,
        "rope_local_base_freq": 10000.0,
    },
    # Scaled logits.
    "granite": {
        "attention_multiplier": 0.25,
        "embedding_multiplier": 2.0,
        "residual_multiplier": 0.5,
        "logits_scaling": 3.0,
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
    },
    "llama": {"tie_word_embeddings": False},
    # Experts.
    "qwen3_moe": {
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
        "moe_intermediate_size": 32,
        "tie_word_embeddings": False,
        **_EXPERTS,
    },
    "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "olmoe": {"tie_word_embeddings": False, **_EXPERTS},
    "gpt_oss": {
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "sliding_window": 8,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "deepseek_v3": {
        "moe_intermediate_size": 32,
        "n_shared_experts": 1,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "kv_lora_rank": 16,
        "q_lora_rank": 16,
        "qk_rope_head_dim": 8,
        "v_head_dim": 16,
        "qk_nope_head_dim": 8,
        "first_k_dense_replace": 1,
    },
    # States that are carried on, alone or with attention.
    "mamba2": {
        "num_heads": 4,
        "state_size": 16,
        "expand": 2,
        "conv_kernel": 4,
        "n_groups": 1,
        "use_bias": False,
        "use_conv_bias": True,
        "layer_norm_epsilon": 1e-5,
        "time_step_limit": [0.0, 10.0],
        "time_step_rank": 4,
        "ssm_state_size": 16,
        "tie_word_embeddings": True,
    },
    "qwen3_next": {"mlp_only_layers": [], **_DELTA},
    "lfm2": {
        "norm_eps": 1e-6,
        "conv_bias": False,
        "conv_L_cache": 3,
        "block_dim": 32,
        "block_multiple_of": 16,
        "block_ffn_dim_multiplier": 1.0,
        "block_auto_adjust_ff_dim": False,
        "block_ff_dim": 64,
        "full_attn_idxs": [1],
    },
    "granitemoehybrid": {
        "embedding_multiplier": 2.0,
        "attention_multiplier": 0.25,
        "logits_scaling": 2.0,
        "residual_multiplier": 0.5,
        "layer_types": ["mamba", "attention"],
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "shared_intermediate_size": 32,
        **_MAMBA,
    },
    "falcon_h1": {**_MAMBA, "mamba_d_ssm": 64, "mlp_bias": False},
    "jamba": {
        "attn_layer_offset": 1,
        "attn_layer_period": 2,
        "expert_layer_offset": 1,
        "expert_layer_period": 2,
        "mamba_d_conv": 4,
        "mamba_d_state": 16,
        "mamba_expand": 2,
        "num_experts": 4,
        "num_experts_per_tok": 2,
    },
    "rwkv7": {
        "norm_eps": 1e-5,
        "a_low_rank_dim": 8,
        "v_low_rank_dim": 8,
        "gate_low_rank_dim": 8,
        "decay_low_rank_dim": 8,
    },
    "nemotron_h": {
        **_MAMBA,
        "mamba_num_heads": 4,
        "mamba_head_dim": 16,
        "ssm_state_size": 16,
        "conv_kernel": 4,
        "n_groups": 1,
        "mlp_bias": False,
        "layer_norm_epsilon": 1e-5,
        "use_bias": False,
        "use_conv_bias": True,
        "num_hidden_layers": 3,
        "hybrid_override_pattern": ["M", "*", "-"],
    },
}

UNTRAINABLE: dict[str, dict[str, Any]] = {
    # mlx-lm's class is no whole module.
    "recurrent_gemma": {
        "attention_bias": False,
        "conv1d_width": 4,
        "logits_soft_cap": 30.0,
        "attention_window_size": 8,
        "block_types": ["recurrent", "attention"],
    },
    # A cache that several prompts cannot share.
    "llama4": {
        "text_config": {
            **SHAPE,
            "num_hidden_layers": 4,
            "attention_bias": False,
            "attention_chunk_size": 8,
            "interleave_moe_layer_step": 2,
            "intermediate_size_mlp": 64,
            "model_type": "llama4_text",
            "num_experts_per_tok": 1,
            "num_local_experts": 2,
            "rope_scaling": None,
            "use_qk_norm": True,
        }
    },
}


def model_of(family: str, folder: Path, **changed: Any) -> Path:
    """A random model of a family, with the toys' tokenizer."""
    toy_model(folder)
    told = {**FAMILIES, **UNTRAINABLE}[family]
    config = {**SHAPE, **told, **changed, "model_type": family}
    module = importlib.import_module(f"mlx_lm.models.{family}")
    mx.random.seed(1)
    model = module.Model(module.ModelArgs.from_dict(config))
    named: Any = tree_flatten(model.parameters())
    # What begins at zero would have no gradient, or none that is finite.
    weights = {
        name: value if value.any() else 0.1 * mx.random.normal(value.shape)
        for name, value in named
    }
    (folder / "config.json").write_text(json.dumps(config))
    mx.save_safetensors(
        str(folder / "model.safetensors"), weights, metadata={"format": "mlx"}
    )
    return folder
