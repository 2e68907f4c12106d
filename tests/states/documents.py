"""Settings files of other trainers for online DPO, as their documentation has them.

The keys and values are theirs; the comments are left out.
"""

from __future__ import annotations

import json
from typing import Any

MLX_LM_LORA_YAML = """\
model: "mlx-community/Josiefied-Qwen3-0.6B-abliterated-v1-4bi"
load_in_4bits: true
train: true
train_type: lora
efficient_long_context: true
train_mode: online_dpo
optimizer: adamw
optimizer_config:
  adamw:
    betas: [0.9, 0.98]
    eps: 1e-6
    weight_decay: 0.05
    bias_correction: true
data: "mlx-community/WikiSQL"
fuse: true
judge: "mlx-community/Josiefied-Qwen3-0.6B-abliterated-v1-4bi"
judge_config:
  model: "human"
  system_prompt: "Prefer the answer that is shorter."
seed: 0
num_layers: 16
batch_size: 4
iters: 1000
gradient_accumulation_steps: 10
val_batches: 25
learning_rate: 1e-5
wand: "wandb-project"
steps_per_report: 10
steps_per_eval: 200
resume_adapter_file: null
adapter_path: "adapters"
save_every: 100
test: false
test_batches: 100
max_seq_length: 2048
grad_checkpoint: false
lora_parameters:
  keys: ["self_attn.q_proj", "self_attn.v_proj"]
  rank: 8
  scale: 20.0
  dropout: 0.0
lr_schedule:
  name: cosine_decay
  warmup: 100
  warmup_init: 1e-7
  arguments: [1e-5, 1000, 1e-7]
hf_dataset:
  path: "billsum"
  train_split: "train[:1000]"
  valid_split: "train[-100:]"
  prompt_feature: "text"
  completion_feature: "summary"
"""
"""examples/example_lora.yaml of mlx-lm-lora, all of it switched on, for online DPO."""

MLX_LM_LORA_README = """\
model: Goekdeniz-Guelmez/Josiefied-Qwen2.5-0.5B-Instruct-abliterated-v1
train: true
data: ./online_data
train_type: lora
train_mode: online_dpo
judge: mlx-community/Josiefied-Qwen2.5-7B-Instruct-abliterated-v2-4-bit
judge_config: {}
alpha: 1e-5
beta: 0.1
dpo_cpo_loss_type: sigmoid
batch_size: 2
learning_rate: 5e-6
iters: 500
lora_parameters:
  rank: 8
  dropout: 0.0
  scale: 10.0
"""
"""The README's YAML with its parameters of online DPO."""

MLX_LM_LORA_SKILL: dict[str, Any] = {
    "model": "org/policy-model",
    "data": "org/prompt-dataset",
    "train": True,
    "train_type": "lora",
    "train_mode": "online_dpo",
    "judge": "org/judge-model",
    "reference_model_path": "org/policy-model",
    "beta": 0.1,
    "dpo_cpo_loss_type": "sigmoid",
    "delta": 50.0,
    "temperature": 0.8,
    "max_completion_length": 512,
    "iters": 100,
}
"""What its MCP server is sent for online DPO."""

MLX_LM_LORA_FLAGS = """\
--model M --train --train-mode online_dpo --data D --judge J --alpha 1e-5
--train-type lora --load-in-4bits --num-layers 16 --max-seq-length 2048
--gradient-accumulation-steps 4 --batch-size 1 --beta 0.1 --judge-config {}
--lora-parameters {"rank":8,"dropout":0.0,"scale":10.0} --optimizer adam
--lr-schedule cosine --grad-checkpoint --steps-per-report 10 --steps-per-eval 200
--val-batches 25 --adapter-path ./adapters --save-every 100 --fuse --iters 1000
--epochs 3
--wandb project_name --recurrence-chunk-size 64 --dpo-cpo-loss-type sigmoid
--delta 50.0 --micro-batch-size 1 --temperature 0.8 --group-size 4 --epsilon 1e-4
"""
"""The README's flags of online DPO, all at once."""

STUDIO_YAML = """\
train_mode: online_dpo
model: mlx-community/Meta-Llama-3-8B-Instruct-4bit
dataset:
  - mlx-community/Human-Like-DPO
adapter:
  type: lora
  rank: 16
  alpha: 32
  dropout: 0.05
  target_modules: [q_proj, k_proj, v_proj, o_proj]
optim:
  learning_rate: 2.0e-4
  schedule: cosine
  warmup_steps: 20
  weight_decay: 0.0
  grad_accumulation_steps: 8
train:
  max_steps: 1000
  batch_size: 2
  max_seq_len: 2048
  save_every: 200
output:
  adapter_path: ~/Library/Application Support/MLXLoRAStudio/runs/<id>/adapter
judge: human
judge_system: "Reward conciseness and factual accuracy."
max_completion_length: 512
temperature: 0.8
beta: 0.1
dpo_cpo_loss_type: sigmoid
delta: 50.0
"""
"""The YAML of MLX-LoRA-Studio's README, with its settings of online DPO."""

STUDIO_SPEC: dict[str, Any] = {
    "adapter_path": "runs/one/adapters",
    "alpha": "0.00001",
    "batch_size": 1,
    "beta": 0.1,
    "data": "mlx-community/Human-Like-DPO",
    "delta": 50,
    "dpo_cpo_loss_type": "sigmoid",
    "efficient_long_context": False,
    "epochs": None,
    "epsilon": 0.0001,
    "fuse": True,
    "fuse_dequantize": True,
    "fuse_remove_adapters": True,
    "grad_checkpoint": True,
    "gradient_accumulation_steps": 1,
    "group_size": 4,
    "grpo_loss_type": "grpo",
    "iters": 1000,
    "judge": "Qwen/Qwen3-0.6B",
    "judge_system": "Prefer the shorter one.",
    "learning_rate": 1e-05,
    "load_in_4bits": True,
    "load_in_6bits": False,
    "load_in_8bits": False,
    "load_in_mxfp4": False,
    "lora_parameters": {"dropout": 0, "rank": 8, "scale": 20},
    "lr_schedule": {
        "arguments": [1e-05, {"iters_fraction": 0.8}, 2e-06],
        "name": "cosine_decay",
        "warmup": 40,
        "warmup_init": 1e-07,
    },
    "mask_prompt": False,
    "max_completion_length": 512,
    "max_seq_length": 2048,
    "min_p": 0,
    "model": "Qwen/Qwen3-0.6B",
    "model_family": "text",
    "num_layers": 16,
    "optimizer": "adamw",
    "prompt_feature": "prompt",
    "qat_bits": 8,
    "qat_enable": False,
    "qat_group_size": 64,
    "qat_interval": 1,
    "qat_mode": "affine",
    "qat_start_step": 1,
    "reward_scaling": 1,
    "save_every": 100,
    "seed": 0,
    "seq_step_size": 512,
    "steps_per_eval": 200,
    "steps_per_report": 10,
    "temperature": 0.8,
    "test": False,
    "test_batches": 100,
    "top_k": 20,
    "top_p": 0.95,
    "train": True,
    "train_mode": "online_dpo",
    "train_type": "lora",
    "val_batches": 25,
    "vlm_dequantize": True,
}
"""A run_spec.json as MLX-LoRA-Studio writes one for online DPO."""

MLX_LM_YAML = """\
model: "mlx_model"
train: true
fine_tune_type: lora
optimizer: adamw
data: "/path/to/training/data"
seed: 0
num_layers: 16
batch_size: 4
iters: 1000
val_batches: 25
learning_rate: 1e-5
steps_per_report: 10
steps_per_eval: 200
resume_adapter_file: null
adapter_path: "adapters"
save_every: 100
test: false
test_batches: 100
max_seq_length: 2048
grad_checkpoint: false
clear_cache_threshold: 0
grad_accumulation_steps: 1
mask_prompt: false
report_to: null
project_name: null
trust_remote_code: false
lora_parameters:
  keys: ["self_attn.q_proj", "self_attn.v_proj"]
  rank: 8
  scale: 20.0
  dropout: 0.0
"""
"""mlx_lm/examples/lora_config.yaml, and the keys that mlx_lm.lora has beside it."""

TRL_YAML = """\
model_name_or_path: org/policy
reward_model_path: org/reward
dataset_name: trl-lib/tldr
learning_rate: 5.0e-7
output_dir: tldr-online-dpo
per_device_train_batch_size: 8
gradient_accumulation_steps: 16
gradient_checkpointing: true
num_train_epochs: 3.0
max_new_tokens: 53
max_length: 512
warmup_steps: 10
missing_eos_penalty: 1.0
beta: [0.1]
loss_type: sigmoid
temperature: 0.9
logging_steps: 10
bf16: true
disable_dropout: true
report_to: none
use_peft: true
lora_r: 16
lora_alpha: 32
lora_target_modules: all-linear
"""
"""TRL's example of online DPO, as a file of its names."""

YAMLS = {
    "mlx-lm-lora.yaml": MLX_LM_LORA_YAML,
    "readme.yaml": MLX_LM_LORA_README,
    "mcp.json": json.dumps(MLX_LM_LORA_SKILL),
    "studio.yaml": STUDIO_YAML,
    "run_spec.json": json.dumps(STUDIO_SPEC, indent="\t").replace("/", "\\/"),
    "mlx-lm.yaml": MLX_LM_YAML,
    "trl.yaml": TRL_YAML,
}
"""Each as a file: its name and its text."""
