"""Settings of other trainers: each is a setting, translated, unused, or refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError
from onlinedpo.states.foreign.names_data import ALIASES, BLOCKS, NOTHING, UNUSED
from onlinedpo.states.foreign.read import HINTS, read
from onlinedpo.states.foreign.values import REWRITTEN, VALUES
from tests.states.documents import (
    MLX_LM_LORA_YAML,
    STUDIO_SPEC,
    STUDIO_YAML,
    TRL_YAML,
    YAMLS,
)


def given(values: Any) -> dict[str, Any]:
    """The settings that a file stands for."""
    whole = yaml.safe_load(values) if isinstance(values, str) else values
    return read(whole, "their.yaml").settings


@pytest.mark.parametrize("name", YAMLS)
def test_their_files_load_as_they_stand(name: str) -> None:
    """Every key is ours, or is told of; and what comes out is a run's settings."""
    values = yaml.safe_load(YAMLS[name].replace("\t", " ").replace("\\/", "/"))
    found = read(values, name)
    assert Settings(**found.settings)
    told = " ".join(note.key for note in found.notes)
    for key, value in values.items():
        inner = value if key in BLOCKS and isinstance(value, dict) else ()
        for path in [f"{key}.{part}" for part in inner] or [key]:
            null = value is None and path not in found.settings
            assert path in found.settings or path in told or null, path


def test_mlx_lm_loras_example_means_what_it_means_there() -> None:
    """Its names and values, in ours."""
    found = given(MLX_LM_LORA_YAML)
    assert found["fine_tune_type"] == "lora"
    assert found["quantize"] == "4bits"
    assert found["grad_accumulation_steps"] == 10
    assert found["val_prompts"] == 25 * 4
    assert found["judge"].startswith("mlx-community/")
    assert found["judge_system"] == "Prefer the answer that is shorter."
    assert found["lora_parameters"]["scale"] == 20.0
    assert found["lr_schedule"]["warmup"] == 100
    assert found["adapter_path"] == "adapters"
    assert found["hf_dataset"]["path"] == "billsum"
    assert "report_to" not in found


def test_studios_documentation_means_what_it_says() -> None:
    """Blocks are opened, alpha / rank is the scale, the cosine ends with the run."""
    found = given(STUDIO_YAML)
    assert found["data"] == "mlx-community/Human-Like-DPO"
    assert found["lora_parameters"] == {
        "rank": 16,
        "dropout": 0.05,
        "scale": 2.0,
        "keys": [f"self_attn.{name}_proj" for name in "qkvo"],
    }
    assert found["iters"] == 1000
    assert found["lr_schedule"] == {
        "name": "cosine_decay",
        "arguments": [2e-4, 980, 0.0],
        "warmup": 20,
    }
    assert found["grad_accumulation_steps"] == 8
    assert found["judge"] == "human"


def test_studios_own_file_means_what_its_form_shows() -> None:
    """A run_spec.json: quantized, a share of the steps as steps, null as not given."""
    found = given(STUDIO_SPEC)
    assert found["quantize"] == "4bits"
    assert found["lr_schedule"]["arguments"] == [1e-5, 800, 2e-6]
    assert (found["iters"], found["epochs"]) == (1000, None)
    assert Settings(**found).lora_parameters == {"rank": 8, "dropout": 0, "scale": 20}


def test_trls_names_are_known() -> None:
    """Those of OnlineDPOConfig and of its script, where they are unambiguous."""
    found = given(TRL_YAML)
    assert found["judge"] == "reward:org/reward"
    assert (found["max_completion_length"], found["max_seq_length"]) == (53, 512)
    assert (found["epochs"], found["beta"]) == (3, 0.1)
    assert found["report_to"] is None
    assert found["lora_parameters"] == {"rank": 16, "scale": 2.0}
    assert found["lr_schedule"]["warmup"] == 10


def test_every_key_of_mlx_lm_is_known() -> None:
    """With its default as its value, and as a flag."""
    from mlx_lm.lora import CONFIG_DEFAULTS, build_parser

    read(CONFIG_DEFAULTS, "theirs")
    for action in build_parser()._actions:
        if action.dest != "help":
            read({action.dest: CONFIG_DEFAULTS[action.dest]}, "theirs")


def test_each_key_has_one_meaning() -> None:
    """A key is a setting, or an alias, or translated, or unused."""
    tables: list[set[str]] = [set(HINTS), set(ALIASES), set(VALUES), set(UNUSED)]
    assert sum(map(len, tables)) == len(set().union(*tables))
    assert set(ALIASES.values()) | set(REWRITTEN) <= set(HINTS)
    assert set(NOTHING) <= set(VALUES)
    assert all(why and not why.endswith(".") for why in UNUSED.values())


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_an_alias_is_its_setting(alias: str, name: str) -> None:
    """But not both at once."""
    value = getattr(Settings(), name) or 3
    found = read({alias: value}, "f")
    assert found.settings == read({name: value}, "f").settings
    assert [note.key for note in found.notes] == [alias]
    for both in ({alias: 1, name: 1}, {name: 1, alias: 1}):
        with pytest.raises(UsageError, match=f"'{name}' is given twice") as refused:
            read(both, "f")
        assert alias in str(refused.value)


TRANSLATED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"load_in_4bits": True, "load_in_8bits": False}, {"quantize": "4bits"}),
    ({"load_in_mxfp4": True}, {"quantize": "mxfp4"}),
    ({"load_in_8bit": True}, {"quantize": "8bits"}),
    ({"load_in_4bits": False}, {}),
    ({"val_batches": 3}, {"val_prompts": 12}),
    ({"val_batches": 3, "batch_size": 1}, {"batch_size": 1, "val_prompts": 3}),
    ({"val_batches": 0}, {"val_prompts": 0}),
    ({"val_batches": -1}, {}),
    ({"wandb": "mine"}, {"report_to": "wandb", "project_name": "mine"}),
    ({"wandb": None}, {}),
    ({"wandb": ""}, {}),
    ({"wandb": True}, {"report_to": "wandb"}),
    ({"judge_config": {"system_prompt": "Be kind."}}, {"judge_system": "Be kind."}),
    ({"judge_config": {"model": "human"}}, {"judge": "human"}),
    ({"judge_config": {"model": ""}}, {}),
    ({"judge": "a/b", "judge_config": {"model": "human"}}, {"judge": "a/b"}),
    ({"judge_system": ""}, {}),
    ({"rank": 4, "scale": 2}, {"lora_parameters": {"rank": 4, "scale": 2}}),
    (
        {"lora_parameters": {"rank": 4, "alpha": 8}},
        {"lora_parameters": {"rank": 4, "scale": 2.0}},
    ),
    ({"lora_alpha": 16}, {"lora_parameters": {"scale": 2.0}}),
    ({"lora_parameters": None, "beta": None, "optimizer_config": None}, {}),
    (
        {"lora_parameters": {"rank": 4, "alpha": 8, "scale": 10.0}},
        {"lora_parameters": {"rank": 4, "scale": 10.0}},
    ),
    (
        {"lr_scheduler_type": "cosine", "num_train_epochs": 3, "warmup_ratio": 0.1},
        {
            "epochs": 3,
            "lr_schedule": {
                "name": "cosine_decay",
                "arguments": [1e-5, {"iters_fraction": 1.0}, 0.0],
                "warmup": {"iters_fraction": 0.1},
            },
        },
    ),
    (
        {"lr_scheduler_type": "linear", "max_steps": 200, "warmup_ratio": 0.1},
        {
            "iters": 200,
            "lr_schedule": {
                "name": "linear_schedule",
                "arguments": [1e-5, 0.0, 180],
                "warmup": 20,
            },
        },
    ),
    ({"wandb": {"project": "p"}}, {"report_to": "wandb", "project_name": "p"}),
    ({"quantize_bits": 8}, {"quantize": "8bits"}),
    ({"steps_per_eval": -1, "val_batches": 3}, {"val_prompts": 0}),
    (
        {"lora_parameters": {"rank": 4}, "dropout": 0.1},
        {"lora_parameters": {"rank": 4, "dropout": 0.1}},
    ),
    (
        {"target_modules": ["gate_proj", "self_attn.q_proj"]},
        {"lora_parameters": {"keys": ["mlp.gate_proj", "self_attn.q_proj"]}},
    ),
    ({"train_type": "DORA"}, {"fine_tune_type": "dora"}),
    ({"optimizer": "AdaDelta"}, {"optimizer": "adadelta"}),
    ({"optim": "adamw_torch_fused"}, {"optimizer": "adamw"}),
    (
        {"optimizer": "adamw", "weight_decay": 0.0},
        {
            "optimizer": "adamw",
            "optimizer_config": {"adamw": {"weight_decay": 0.0}},
        },
    ),
    (
        {"weight_decay": 0.1},
        {
            "optimizer": "adamw",
            "optimizer_config": {"adamw": {"weight_decay": 0.1}},
        },
    ),
    (
        {"lr_schedule": "cosine", "iters": 50, "learning_rate": 1.0},
        {
            "lr_schedule": {"name": "cosine_decay", "arguments": [1.0, 50, 0.0]},
            "iters": 50,
            "learning_rate": 1.0,
        },
    ),
    (
        {"lr_schedule": "warmup_cosine:5:100:1e-6", "learning_rate": 1.0},
        {
            "lr_schedule": {
                "name": "cosine_decay",
                "arguments": [1.0, 100, 1e-6],
                "warmup": 5,
            },
            "learning_rate": 1.0,
        },
    ),
    (
        {"optimizer_config": {"adam": {"eps": "1e-6", "betas": [0.9, "1E-1"]}}},
        {"optimizer_config": {"adam": {"eps": 1e-6, "betas": [0.9, 0.1]}}},
    ),
    ({"lr_schedule": "constant"}, {"lr_schedule": None}),
    ({"lr_schedule": {}}, {"lr_schedule": None}),
    ({"beta": [0.3]}, {"beta": 0.3}),
    ({"max_steps": -1}, {}),
    ({"dataset": "org/data"}, {"data": "org/data"}),
    ({"iters": None, "epochs": 2}, {"epochs": 2}),
    ({"train": True, "iters": 5, "epochs": 2}, {"iters": 5}),
    ({"iters": 5, "epochs": 2}, {"iters": 5, "epochs": 2}),
    ({"reference_model_path": None}, {"reference_model_path": None}),
    ({"prompt_feature": "auto"}, {}),
    ({"repetition_penalty": 1.0}, {}),
    ({"train_mode": "online-dpo"}, {}),
    ({"report_to": ["wandb", "swanlab"]}, {"report_to": "wandb,swanlab"}),
]


@pytest.mark.parametrize(("theirs", "ours"), TRANSLATED, ids=json.dumps)
def test_a_key_of_theirs_is_read_as_ours(
    theirs: dict[str, Any], ours: dict[str, Any]
) -> None:
    """With its value as ours has it."""
    assert given(theirs) == ours


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"train_mode": "sft"}, "train_mode is 'sft'", "resume_adapter_file"),
    ({"train_mode": "dpo"}, "train_mode is 'dpo'", "offline_pairs"),
    ({"train_mode": "grpo"}, "train_mode is 'grpo'", "online_dpo"),
    ({"train_mode": "xpo"}, "train_mode is 'xpo'", "online_dpo"),
    ({"model_family": "vision_language"}, "model_family", "Leave"),
    ({"load_in_4bits": True, "load_in_8bits": True}, "'quantize' is given twice", ""),
    ({"load_in_4bits": "yes"}, "load_in_4bits is 'yes'", "true or false"),
    ({"val_batches": "all"}, "val_batches is 'all'", "a whole number"),
    ({"judge_config": {"prompts": 1}}, "judge_config.prompts", "system_prompt"),
    (
        {"judge_config": {"system_prompt": "Compare {response0} with {response1}"}},
        "{response0}",
        "no places",
    ),
    ({"rank": 4, "lora_parameters": {"rank": 8}}, "rank is given twice", "Keep"),
    ({"rank": 4, "lora_r": 8}, "rank is given twice", "Keep"),
    ({"lr_schedule": "sawtooth"}, "'sawtooth'", "cosine_decay"),
    ({"lr_schedule": "cosine:ten"}, "'ten'", "cosine_decay"),
    ({"beta": [0.3, 0.1]}, "a value for each epoch", "beta_schedule"),
    ({"dataset": ["a", "b"]}, "2 data sets", "Give one"),
    ({"weight_decay": 0.1, "optimizer": "adam"}, "adam has none", "adamw"),
    ({"repetition_penalty": 1.1}, "repetition_penalty is 1.1", "Leave"),
    ({"adapter": {"rnak": 4}}, "'adapter.rnak'", "Did you mean"),
    ({"adapter": "mine"}, "'adapter' in", "below it"),
    ({"train_type": "lora", "fine_tune_type": "lora"}, "given twice", "Keep"),
]


@pytest.mark.parametrize(("theirs", "told", "hint"), REFUSED, ids=str)
def test_what_contradicts_this_program_is_refused_with_a_remedy(
    theirs: dict[str, Any], told: str, hint: str
) -> None:
    """By the key that the file has."""
    with pytest.raises(UsageError) as refused:
        given(theirs)
    assert told in str(refused.value)
    assert hint in refused.value.hint


def test_dpo_is_taken_where_its_pairs_are_given() -> None:
    """train_mode: dpo with offline_pairs asks for what this program does."""
    assert given({"train_mode": "dpo", "offline_pairs": "p.jsonl"}) == {
        "offline_pairs": "p.jsonl"
    }
