"""The settings of `run --demo`: ordinary ones, for the model that is included."""

from __future__ import annotations

from typing import Any

from onlinedpo.engine import demo


def settings() -> dict[str, Any]:
    """What `--demo` stands for; every flag still wins over it."""
    return {
        "model": str(demo.MODEL),
        "data": str(demo.PROMPTS),
        "judge": str(demo.MODEL),
        "judge_system": demo.RUBRIC,
        "iters": 60,
        "batch_size": 8,
        "learning_rate": 2e-4,
        "lora_parameters": {"rank": 8, "dropout": 0.0, "scale": 2.0},
        "max_completion_length": 48,
        "max_seq_length": 256,
        "temperature": 0.9,
        "steps_per_report": 5,
        "steps_per_eval": 20,
    }
