"""Keys of other trainers that become a setting with another value, or a refusal.

Each function takes the value and what else the file gives, and returns the settings
that it stands for: none, where it says what holds anyway.  Raises `UsageError` where it
asks for what this program does not do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from onlinedpo.states.checks import typed
from onlinedpo.states.errors import UsageError
from onlinedpo.states.foreign import adapters, schedules
from onlinedpo.states.foreign.names_data import TRAIN_MODES

Given = Mapping[str, Any]
Rule = Callable[[Any, Given], dict[str, Any]]


def _train_mode(value: Any, settings: Given) -> dict[str, Any]:
    mode = str(value).strip().lower().replace("-", "_")
    if mode == "online_dpo" or (mode == "dpo" and settings.get("offline_pairs")):
        return {}
    raise UsageError(
        f"train_mode is {value!r}, and this program trains by online DPO",
        hint=TRAIN_MODES.get(mode, "Leave train_mode out, or make it online_dpo."),
    )


def _quantized(to: str) -> Rule:
    return lambda value, settings: (
        {"quantize": to} if typed(f"load_in_{to}", value, bool) else {}
    )


def _quantize_bits(value: Any, settings: Given) -> dict[str, Any]:
    bits = typed("quantize_bits", value, int)
    return {"quantize": f"{bits}bits"} if bits else {}


def _val_batches(value: Any, settings: Given) -> dict[str, Any]:
    batches = typed("val_batches", value, int)
    if batches < 0:
        return {}
    size = typed("batch_size", settings.get("batch_size", 4), int)
    return {"val_prompts": batches * size}


def _wandb(value: Any, settings: Given) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"report_to": "wandb"} if value else {}
    if isinstance(value, Mapping):
        value = value.get("project") or value.get("name") or ""
    project = typed("wandb", value, str)
    return {"report_to": "wandb", "project_name": project} if project else {}


_JUDGE = {
    "system_prompt": "judge_system",
    "model": "judge",
    "temperature": "judge_temperature",
    "max_tokens": "judge_max_tokens",
}


_PLACES = ("{prompt}", "{response0}", "{response1}")


def _judge_config(value: Any, settings: Given) -> dict[str, Any]:
    config = typed("judge_config", value, dict[str, Any])
    if unknown := [key for key in config if key not in _JUDGE]:
        raise UsageError(
            f"unknown setting 'judge_config.{unknown[0]}'",
            hint=f"judge_config has {', '.join(_JUDGE)}.",
        )
    if "judge" in settings:  # mlx-lm-lora reads that alone.
        config.pop("model", None)
    rubric = str(config.get("system_prompt"))
    if found := [name for name in _PLACES if name in rubric]:
        raise UsageError(
            f"judge_config's system_prompt has {found[0]} in it: it is the whole of"
            " what mlx-lm-lora asks, and here it would be the rubric alone",
            hint="Write what makes an answer better, and no places for the answers.",
        )
    return {_JUDGE[key]: v for key, v in config.items() if v not in (None, "")}


def _adapter(key: str) -> Rule:
    return lambda value, settings: {"lora_parameters": {key: value}}


def _scheduler(value: Any, settings: Given) -> dict[str, Any]:
    name = typed("lr_scheduler_type", value, str)
    schedule = schedules.named(name, _warming(settings), settings)
    return {"lr_schedule": schedule} if schedule else {}


def _warmup(value: Any, settings: Given) -> dict[str, Any]:
    steps = _warming(settings)
    if not steps or "lr_scheduler_type" in settings:
        return {}
    return {"lr_schedule": schedules.named("constant", steps, settings)}


def _warming(settings: Given) -> Any:
    """The steps of a warm-up, or the share of the run that they are."""
    if steps := typed("warmup_steps", settings.get("warmup_steps") or 0, int):
        return steps
    ratio = typed("warmup_ratio", settings.get("warmup_ratio") or 0.0, float)
    return schedules.share(ratio, settings) if ratio else 0


def _weight_decay(value: Any, settings: Given) -> dict[str, Any]:
    decay = typed("weight_decay", value, float)
    name = settings.get("optimizer", "adamw")
    if not decay and ("optimizer" not in settings or name not in _DECAYING):
        return {}
    if name not in _DECAYING:
        raise UsageError(
            f"weight_decay is {decay}, and {name} has none",
            hint=f"Choose an optimizer that has: {', '.join(_DECAYING)}.",
        )
    config = {"optimizer_config": {name: {"weight_decay": decay}}}
    return config if "optimizer" in settings else {"optimizer": name, **config}


_DECAYING = ("adamw", "sgd", "lion", "adafactor", "muon")


def _optim(value: Any, settings: Given) -> dict[str, Any]:
    name = typed("optim", value, str).lower()
    return {"optimizer": "adamw" if name.startswith("adamw") else name.split("_")[0]}


def _dataset(value: Any, settings: Given) -> dict[str, Any]:
    several = value if isinstance(value, list | tuple) else [value]
    if len(several) != 1:
        raise UsageError(
            f"dataset names {len(several)} data sets",
            hint="Give one, as data: a file, a folder or a Hub id.",
        )
    return {"data": several[0]}


def _max_steps(value: Any, settings: Given) -> dict[str, Any]:
    steps = typed("max_steps", value, int)
    return {"iters": steps} if steps > 0 else {}


def _reward_model(value: Any, settings: Given) -> dict[str, Any]:
    return {"judge": f"reward:{typed('reward_model_path', value, str)}"}


def _only(key: str, neutral: Any, why: str) -> Rule:
    def rule(value: Any, settings: Given) -> dict[str, Any]:
        if value not in (neutral, ""):
            raise UsageError(f"{key} is {value!r}, and {why}", hint=f"Leave {key} out.")
        return {}

    return rule


# In the order in which they are read: a later one sees what the earlier ones gave.
VALUES: dict[str, Rule] = {
    "train_mode": _train_mode,
    "model_family": _only("model_family", "text", "only text models are trained"),
    "load_in_4bits": _quantized("4bits"),
    "load_in_4bit": _quantized("4bits"),
    "load_in_6bits": _quantized("6bits"),
    "load_in_8bits": _quantized("8bits"),
    "load_in_8bit": _quantized("8bits"),
    "load_in_mxfp4": _quantized("mxfp4"),
    "quantize_bits": _quantize_bits,
    "dataset": _dataset,
    "max_steps": _max_steps,
    "val_batches": _val_batches,
    "judge_config": _judge_config,
    "reward_model_path": _reward_model,
    "repetition_penalty": _only("repetition_penalty", 1.0, "there is none here"),
    "generation_kwargs": _only("generation_kwargs", {}, "there are none here"),
    **{
        key: _adapter(key)
        for key in adapters.SHAPE
        if key not in ("keys", "alpha")  # XPO's, where it stands alone
    },
    "optim": _optim,
    "weight_decay": _weight_decay,
    "lr_scheduler_type": _scheduler,
    "warmup_steps": _warmup,
    "warmup_ratio": lambda value, settings: (
        {} if settings.get("warmup_steps") else _warmup(value, settings)
    ),
    "wandb": _wandb,
}


def _beta(value: Any, settings: Given) -> Any:
    if not isinstance(value, list | tuple):
        return value
    if len(value) != 1:
        raise UsageError(
            f"beta is {value!r}: a value for each epoch",
            hint="Give one number, or a schedule over the steps: beta_schedule.",
        )
    return value[0]


def _lora_parameters(value: Any, settings: Given) -> Any:
    return adapters.shape(value) if isinstance(value, Mapping) else value


def _lr_schedule(value: Any, settings: Given) -> Any:
    if isinstance(value, str):
        return schedules.named(value, 0, settings)
    if not isinstance(value, Mapping):
        return value
    return schedules.with_steps(value, settings) if value else None


def _report_to(value: Any, settings: Given) -> Any:
    if isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
        value = ",".join(value)
    return None if value == "none" else value


REWRITTEN: dict[str, Callable[[Any, Given], Any]] = {
    "beta": _beta,
    "lora_parameters": _lora_parameters,
    "lr_schedule": _lr_schedule,
    "report_to": _report_to,
}
"""Settings that others write in another form too: what it is in ours."""
