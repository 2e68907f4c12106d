"""Settings: every wrong value is named before a run begins."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any, get_type_hints

import pytest
import yaml

from onlinedpo.journal.codec import decode, encode
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError
from onlinedpo.states.given import ALIASES, from_mapping
from onlinedpo.states.records import RunOpened
from tests.states import facts

NAMES = [f.name for f in fields(Settings)]

LORA = {"rank": 8, "dropout": 0.0, "scale": 10.0}

# For each setting that has a range: what just lies outside it, and its very edges.
OUTSIDE: dict[str, list[Any]] = {
    "seed": [-1],
    "iters": [0, -5],
    "batch_size": [0],
    "grad_accumulation_steps": [0],
    "micro_batch_size": [0],
    "fine_tune_type": ["LoRA", "qlora", ""],
    "num_layers": [-2],
    "learning_rate": [-1e-9, math.nan, "nan"],
    "optimizer": ["lion"],
    "max_grad_norm": [0.0, -1.0, math.nan],
    "beta": [0.0, -0.1, math.nan],
    "dpo_cpo_loss_type": ["kto"],
    "delta": [-1.0],
    "max_completion_length": [0],
    "max_seq_length": [1],
    "temperature": [-0.1],
    "top_p": [-0.1, 1.1, math.nan],
    "top_k": [-1],
    "min_p": [-0.1, 1.1],
    "judge_orders": [0, 3],
    "escalate_below": [0.49, 1.01, -1, math.nan],
    "human_share": [-0.01, 1.01, math.nan],
    "label_budget": [-1],
    "max_waiting": [0],
    "max_staleness": [-1],
    "when_stale": ["keep it", "Drop", ""],
    "late_labels": ["rewind", ""],
    "overlap": [-0.1, 1.1, math.nan],
    "resolve": ["last", "third", ""],
    "steps_per_report": [0],
    "steps_per_eval": [0],
    "val_prompts": [-1],
    "save_every": [0],
}
EDGES: dict[str, list[Any]] = {
    "seed": [0, 2**32],
    "iters": [1],
    "micro_batch_size": [1, None],
    "num_layers": [-1, 4],
    "learning_rate": [0, 1],
    "max_grad_norm": [None, 1e-6],
    "temperature": [0],
    "top_p": [0, 1],
    "top_k": [0],
    "min_p": [0, 1],
    "judge_orders": [1, 2],
    "escalate_below": [None, 0.5, 1],
    "human_share": [0, 1],
    "label_budget": [None, 0],
    "max_waiting": [None, 1],
    "max_staleness": [None, 0],
    "when_stale": ["drop", "requeue", "keep"],
    "late_labels": ["record", "requeue"],
    "overlap": [0, 1],
    "resolve": ["first", "majority", "adjudicate"],
    "annotator": [None, "anna"],
    "val_prompts": [0],
    "save_every": [None, 1],
    "adapter_path": [None, "here"],
    "lr_schedule": [None, {"name": "cosine_decay", "arguments": [1e-5, 10]}],
    "lora_parameters": [{**LORA, "keys": ["self_attn.q_proj"]}],
}
WRONG_TYPE: dict[Any, list[Any]] = {
    int: ["4", 4.0, True, [4], {}],
    float: ["much", True, [0.1], {}],
    str: [5, True, ["a"], {}],
    bool: [1, 0, "yes", None],
    dict: ["rank: 8", [8], 8, True],
    list: ["one", [8], 8, True, {}],
}


def kinds(name: str) -> set[Any]:
    """What a setting may be, without its parameters."""
    hint = get_type_hints(Settings)[name]
    options = [hint] if isinstance(hint, type) else [*getattr(hint, "__args__", ())]
    if getattr(hint, "__origin__", None) is dict:
        return {dict}
    return {getattr(option, "__origin__", option) for option in options}


def cases(table: dict[str, list[Any]]) -> list[tuple[str, Any]]:
    """One case for each name and value."""
    return [(name, value) for name, values in table.items() for value in values]


def wrong_types() -> list[tuple[str, Any]]:
    """For every setting, values of each type that it cannot have."""
    found = []
    for name in NAMES:
        allowed = kinds(name)
        (kind,) = allowed - {type(None)}
        wrong = WRONG_TYPE[kind]
        missing = [] if type(None) in allowed or kind is bool else [None]
        found += [(name, value) for value in (*wrong, *missing)]
    return found


@pytest.mark.parametrize(("name", "value"), wrong_types())
def test_a_value_of_another_type_is_refused_by_name(name: str, value: Any) -> None:
    """A flag is no number, text is no number, and null is only for what has it."""
    with pytest.raises(UsageError, match=rf"^{name} is .*, which is not ") as refused:
        Settings(**{name: value})
    assert name in refused.value.hint


@pytest.mark.parametrize(("name", "value"), cases(OUTSIDE))
def test_a_value_out_of_range_is_refused_by_name(name: str, value: Any) -> None:
    """The hint says what can be chosen."""
    with pytest.raises(UsageError, match=rf"^{name} is ") as refused:
        Settings(**{name: value})
    assert refused.value.hint
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(("name", "value"), cases(EDGES))
def test_a_value_at_the_edge_of_its_range_is_taken(name: str, value: Any) -> None:
    """Limits include their ends, and whole numbers do for fractions."""
    assert getattr(Settings(**{name: value}), name) == value


def test_every_number_has_a_range() -> None:
    """No number can be given that makes no sense: each has a limit or choices."""
    numbers = {name for name in NAMES if kinds(name) & {int, float}}
    assert numbers <= set(OUTSIDE)


@pytest.mark.parametrize("name", ["learning_rate", "beta", "delta", "temperature"])
def test_an_infinite_number_is_refused_by_name(name: str) -> None:
    """YAML can spell it, training cannot use it."""
    with pytest.raises(UsageError, match=rf"^{name} is "):
        Settings(**{name: yaml.safe_load(".inf")})


def test_numbers_as_yaml_reads_them_are_numbers() -> None:
    """YAML 1.1 takes 1e-5 for text; it is a learning rate all the same."""
    values = yaml.safe_load("learning_rate: 1e-5\nbeta: 1\ntemperature: 0.5")
    assert values["learning_rate"] == "1e-5"
    settings = Settings(**values)
    assert (settings.learning_rate, settings.beta) == (1e-5, 1.0)
    assert isinstance(settings.beta, float)


@pytest.mark.parametrize("missing", sorted(LORA))
def test_an_adapter_needs_its_whole_shape(missing: str) -> None:
    """As in mlx-lm: rank, dropout and scale; full fine-tuning has no adapter."""
    shape = {key: value for key, value in LORA.items() if key != missing}
    for kind in ("lora", "dora"):
        with pytest.raises(UsageError, match=f"lora_parameters lacks {missing}"):
            Settings(lora_parameters=shape, fine_tune_type=kind)
    assert Settings(lora_parameters=shape, fine_tune_type="full")


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("betta", "beta"),
        ("learning-rate", "learning_rate"),
        ("batchsize", "batch_size"),
        ("loss_typ", "loss_type"),
        ("gradient_accumulation", "gradient_accumulation_steps"),
        ("Judge", "judge"),
    ],
)
def test_an_unknown_key_is_an_error_with_the_nearest_known(
    key: str, nearest: str
) -> None:
    """A typing error in a settings file never passes in silence."""
    with pytest.raises(UsageError, match=f"'{key}' in here.yaml") as refused:
        from_mapping({"seed": 1, key: 1}, "here.yaml")
    assert refused.value.hint == f"Did you mean '{nearest}'?"


@pytest.mark.parametrize("key", ["zzzzzz", 5, None, True])
def test_a_key_like_no_other_is_an_error_too(key: Any) -> None:
    """YAML keys need not even be text."""
    with pytest.raises(UsageError, match="unknown setting") as refused:
        from_mapping({key: 1}, "here.yaml")
    assert refused.value.hint


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_an_alias_is_its_setting(alias: str, name: str) -> None:
    """Names of other trainers are understood, but not both at once."""
    assert name in NAMES and alias not in NAMES
    assert from_mapping({alias: "x"}, "f") == from_mapping({name: "x"}, "f")
    for both in ({alias: 1, name: 1}, {name: 1, alias: 1}):
        with pytest.raises(UsageError, match=f"'{name}' is given twice"):
            from_mapping(both, "f")


def test_settings_come_back_from_yaml_and_from_the_journal() -> None:
    """Written down and read again they are the same settings."""
    settings = Settings(**{name: values[-1] for name, values in EDGES.items()})
    written = yaml.safe_load(yaml.safe_dump(settings.as_dict(), sort_keys=False))
    assert Settings(**from_mapping(written, "f")) == settings
    (opened,) = decode(encode([facts.run_opened(**settings.as_dict())]))
    assert isinstance(opened, RunOpened)
    assert Settings(**opened.settings) == settings


@pytest.mark.parametrize("seed", [2**63, 2**64 - 1, 2**64, 10**30])
def test_what_is_taken_as_a_seed_can_be_journalled(seed: int) -> None:
    """A seed is either refused by name, or the journal gives it back."""
    try:
        Settings(seed=seed)
    except UsageError as error:
        assert str(error).startswith("seed is ")
    else:
        opened = facts.run_opened(seed=seed)
        assert decode(encode([opened])) == [opened]


def test_defaults_are_not_shared() -> None:
    """A mapping that is changed in one run's settings is its own."""
    Settings().lora_parameters["rank"] = 99
    Settings().as_dict()["lora_parameters"]["rank"] = 98
    assert Settings().lora_parameters["rank"] == 8


def test_a_step_takes_all_accumulated_batches() -> None:
    """Pairs per step are batch_size times grad_accumulation_steps."""
    assert Settings(batch_size=3, grad_accumulation_steps=5).pairs_per_step == 15


@pytest.mark.parametrize(
    ("wanted", "asks"),
    [
        ({}, False),
        ({"judge": "human"}, True),
        ({"judge": "file"}, True),
        ({"escalate_below": 0.5}, True),
        ({"human_share": 0.01}, True),
        ({"overlap": 1.0, "resolve": "majority"}, False),
    ],
)
def test_people_are_asked_only_if_a_setting_says_so(
    wanted: dict[str, Any], asks: bool
) -> None:
    """As judges, where a model is in doubt, or about a random share."""
    settings = Settings(**wanted)
    assert settings.asks_people is asks
    assert settings.people_judge is ("judge" in wanted)


def test_how_many_pairs_may_wait_for_people() -> None:
    """As many as are said; else those of eight steps, or of one if people judge all."""
    step: dict[str, Any] = {"batch_size": 3, "grad_accumulation_steps": 2}
    assert Settings(**step).may_wait == 48
    assert Settings(**step, judge="human").may_wait == 6
    for judge in ("human", "some/model"):
        assert Settings(**step, judge=judge, max_waiting=5).may_wait == 5
