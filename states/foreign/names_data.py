"""Keys of other trainers: those that are settings here, and those without meaning."""

from __future__ import annotations

ALIASES = {
    # mlx-lm-lora and MLX-LoRA-Studio
    "train_type": "fine_tune_type",
    "loss_type": "dpo_cpo_loss_type",
    "dpo_loss_type": "dpo_cpo_loss_type",
    "gradient_accumulation_steps": "grad_accumulation_steps",
    "steps_per_save": "save_every",
    "messages_feature": "chat_feature",
    "max_seq_len": "max_seq_length",
    # mlx-lm, before it had fine_tune_type
    "lora_layers": "num_layers",
    # TRL and transformers
    "model_name_or_path": "model",
    "model_revision": "revision",
    "dataset_name": "data",
    "max_new_tokens": "max_completion_length",
    "max_length": "max_seq_length",
    "num_train_epochs": "epochs",
    "per_device_train_batch_size": "batch_size",
    "gradient_checkpointing": "grad_checkpoint",
    "logging_steps": "steps_per_report",
    "eval_steps": "steps_per_eval",
    "save_steps": "save_every",
}
"""Another name for a setting, its value as it stands."""

BLOCKS: dict[str, dict[str, str]] = {
    "adapter": {
        "type": "fine_tune_type",
        "alpha": "lora_alpha",
    },
    "optim": {
        "name": "optimizer",
        "type": "optimizer",
        "schedule": "lr_scheduler_type",
    },
    "train": {},
    "output": {"path": "adapter_path"},
}
"""Mappings of MLX-LoRA-Studio's documentation, and what a key means within each."""

_GRPO = "belongs to GRPO and its kin"
_DSLA = "belongs to DSLA"
_FTPO = "belongs to FTPO"
_FUSE = "mlx_lm.fuse does this with the adapter, after the run"
_TEST = "the win rate on held-out prompts is taken instead (val_prompts)"
_LONG = "a way to save memory that this program does not have"
_COLUMN = "prompts are all that is read"
_QAT = "belongs to SFT, DPO and ORPO; online DPO had none of it there either"
_VISION = "text models are trained"
_TORCH = "belongs to PyTorch"
_FOLDER = "the run folder is given on the command line"
_HUB = "nothing is uploaded"

UNUSED = {
    "train": "a run always trains",
    "do_train": "a run always trains",
    "do_eval": "see val_prompts and steps_per_eval",
    "config": "the file is given with --config",
    "test": _TEST,
    "test_batches": _TEST,
    "fuse": _FUSE,
    "fuse_dequantize": _FUSE,
    "fuse_remove_adapters": _FUSE,
    "lm_studio_name": _FUSE,
    "mask_prompt": "only completions are trained on, always",
    "alpha": "belongs to XPO; lora_alpha is an adapter's",
    "wand": "mlx-lm-lora does not read it either; its key is wandb",
    "efficient_long_context": _LONG,
    "recurrence_chunk_size": _LONG,
    "seq_step_size": _LONG,
    "clear_cache_threshold": "mlx-lm does not use it either",
    "completion_feature": _COLUMN,
    "text_feature": _COLUMN,
    "answer_feature": _COLUMN,
    "type_feature": _COLUMN,
    "preference_score_feature": _COLUMN,
    "use_chat_template": "the chat template is always used, where there is one",
    "use_prompt": _COLUMN,
    **dict.fromkeys(
        (
            *("group_size", "epsilon", "epsilon_high", "grpo_loss_type"),
            *("importance_sampling_level", "reward_scaling", "reward_weights"),
            *("klpo_route", "klpo_kl_estimator", "klpo_mc_samples"),
            *("klpo_top_k", "klpo_tail_floor", "list_reward_functions"),
        ),
        _GRPO,
    ),
    **dict.fromkeys(
        ("reward_functions", "reward_functions_file"),
        f"{_GRPO}; a function judges as judge: python:module:function",
    ),
    **dict.fromkeys(
        (
            *("dsla_loss", "latent_weight", "latent_margin", "latent_gamma"),
            *("latent_variant", "latent_pooling", "latent_layer"),
        ),
        _DSLA,
    ),
    **dict.fromkeys(
        ("lambda_mse_target", "tau_mse_target", "lambda_mse", "clip_epsilon_logits"),
        _FTPO,
    ),
    "sft_loss_type": "belongs to SFT",
    **dict.fromkeys(
        (
            *("qat_enable", "qat_bits", "qat_group_size", "qat_mode"),
            *("qat_start_step", "qat_interval"),
        ),
        _QAT,
    ),
    **dict.fromkeys(("vlm_model", "vlm_output_path", "vlm_dequantize"), _VISION),
    # TRL and transformers
    **dict.fromkeys(("output_dir", "overwrite_output_dir", "run_name"), _FOLDER),
    **dict.fromkeys(
        (
            *("bf16", "fp16", "tf32", "dtype", "torch_dtype", "attn_implementation"),
            *("remove_unused_columns", "dataset_num_proc", "dataloader_num_workers"),
            *("ddp_timeout", "deepspeed", "fsdp", "use_peft", "use_vllm", "vllm_mode"),
            *("vllm_gpu_memory_utilization", "vllm_enable_sleep_mode"),
            *("vllm_model_impl", "vllm_structured_outputs_regex", "vllm_server_port"),
            *("vllm_server_base_url", "vllm_server_host", "vllm_server_timeout"),
            *("vllm_group_port", "vllm_tensor_parallel_size"),
            "ds3_gather_for_generation",
            *("model_init_kwargs", "cache_implementation", "use_cache"),
            *("per_device_eval_batch_size", "eval_strategy", "save_strategy"),
            *("logging_strategy", "logging_first_step", "save_total_limit"),
        ),
        _TORCH,
    ),
    "disable_dropout": "dropout is lora_parameters' own",
    **dict.fromkeys(("push_to_hub", "hub_model_id", "hub_strategy"), _HUB),
}
"""Keys that decide nothing here, and why."""

NOTHING = {
    "train_mode": "it is what this program does",
    "model_family": "it is what this program trains",
    **dict.fromkeys(
        (
            *("load_in_4bits", "load_in_6bits", "load_in_8bits", "load_in_mxfp4"),
            *("load_in_4bit", "load_in_8bit", "quantize_bits"),
        ),
        "the base stays as it is on disk",
    ),
    "val_batches": "val_prompts says how many held-out prompts are judged",
    "max_steps": "epochs decide",
    "wandb": "nothing is reported",
    "judge_config": "it says nothing that is not said elsewhere",
    "lr_scheduler_type": "the learning rate is constant anyway",
    **dict.fromkeys(("warmup_steps", "warmup_ratio"), "the schedule has it, or none"),
    "weight_decay": "there is none anyway",
    "repetition_penalty": "there is none anyway",
    "generation_kwargs": "there are none anyway",
}
"""Why a key with this value changes nothing."""

TRAIN_MODES = {
    "dpo": "To train on pairs that are there already, give their file as"
    " offline_pairs, and leave train_mode out.",
    "sft": "Train with mlx_lm.lora first, then begin from its adapter:"
    " resume_adapter_file.",
    "xpo": "Online DPO without XPO's bonus is train_mode: online_dpo.",
}
"""Algorithms that are another program's, and what to do here."""
