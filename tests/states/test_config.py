"""Settings: every wrong value is named before a run begins."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import fields
from typing import Any, get_type_hints

import pytest
import yaml

from onlinedpo.journal.codec import decode, encode
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError
from onlinedpo.states.foreign.read import read
from onlinedpo.states.records import RunOpened
from tests.states import facts
from tests.tables.settings import NAMES, TOGETHER

LIMITS = {f.name: f.metadata for f in fields(Settings)}

LORA = {"rank": 8, "dropout": 0.0, "scale": 10.0}

# Beside what the limits say: values of settings that only look like a choice of theirs.
OUTSIDE: dict[str, list[Any]] = {
    "fine_tune_type": ["LoRA", "qlora", ""],
    "optimizer": ["qhadam", "Adam"],
    "dpo_cpo_loss_type": ["kto"],
    "judge_orders": [0, 3],
    "when_stale": ["keep it", "Drop", ""],
    "late_labels": ["rewind", ""],
    "resolve": ["last", "third", ""],
}
# Beside what the limits say: values that have to be taken.
EDGES: dict[str, list[Any]] = {
    "seed": [0, 2**32],
    "micro_batch_size": [None],
    "num_layers": [-1, 4],
    "learning_rate": [0, 1],
    "max_grad_norm": [None],
    "top_k": [0],
    "judge_orders": [1, 2],
    "escalate_below": [None, 0.5, 1],
    "human_share": [0, 1],
    "label_budget": [None, 0],
    "max_waiting": [None],
    "max_staleness": [None, 0],
    "annotator": [None, "anna"],
    "save_every": [None],
    "adapter_path": [None, "here"],
    "lr_schedule": [None, {"name": "cosine_decay", "arguments": [1e-5, 10]}],
    "lora_parameters": [{**LORA, "keys": ["self_attn.q_proj"]}],
}
WRONG_TYPE: dict[Any, list[Any]] = {
    int: ["4", 4.5, True, [4], {}],
    float: ["much", True, [0.1], {}],
    str: [5, True, ["a"], {}],
    bool: [1, 0, "yes", None],
    dict: ["rank: 8", [8], 8, True],
    list: ["one", [8], 8, True, {}, [["a"]]],
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
        kind = next(k for k in WRONG_TYPE if k in allowed)
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


def beyond(name: str) -> list[Any]:
    """What lies just outside the limits of a setting."""
    limits, found = LIMITS[name], list(OUTSIDE.get(name, []))
    step = 1 if int in kinds(name) else 1e-9
    for end, way in (("low", -step), ("high", step)):
        if limits[end] is not None:
            found.append(limits[end] + way)
    if float in kinds(name):
        found += [math.nan, "nan", math.inf, -math.inf]
    return found + ["something else"] * bool(limits["choices"] and str in kinds(name))


def within(name: str) -> list[Any]:
    """The very edges of a setting's limits, and each of its choices."""
    limits = LIMITS[name]
    ends = [limits[end] for end in ("low", "high") if limits[end] is not None]
    return [*EDGES.get(name, []), *ends, *limits["choices"]]


@pytest.mark.parametrize("name", [n for n in NAMES if beyond(n)])
def test_a_value_out_of_range_is_refused_by_name(name: str) -> None:
    """The hint says what can be chosen."""
    for value in beyond(name):
        with pytest.raises(UsageError, match=rf"^{name} is ") as refused:
            Settings(**{name: value})
        assert refused.value.hint
        assert refused.value.exit_code == 2


# Where an edge makes no sense beside the defaults, what it goes with.
BESIDE: dict[tuple[str, Any], dict[str, Any]] = {
    ("pairs_per_round", 1): {"batch_size": 1},
    ("ties", "soft"): {"soft_labels": True},
    ("label_smoothing", 0.5): {"dpo_cpo_loss_type": "sigmoid"},
}


@pytest.mark.parametrize("name", [n for n in NAMES if within(n)])
def test_a_value_at_the_edge_of_its_range_is_taken(name: str) -> None:
    """Limits include their ends, and whole numbers do for fractions."""
    for value in within(name):
        beside = {} if isinstance(value, dict) else BESIDE.get((name, value), {})
        assert getattr(Settings(**{name: value, **beside}), name) == value


def test_every_number_has_a_range() -> None:
    """No number can be given that makes no sense: each has a limit or choices."""
    for name in NAMES:
        if kinds(name) & {int, float}:
            limits = LIMITS[name]
            assert limits["choices"] or limits["low"] is not None, name


def test_every_setting_has_a_help_that_says_something() -> None:
    """A sentence for each, with its null, if it has one."""
    for name in NAMES:
        told = LIMITS[name]["help"]
        assert told[0].isupper() and told.endswith("."), name
        assert len(told) > 8, name
        if type(None) in kinds(name):
            assert "null" in told or getattr(Settings(), name) is not None, name


@pytest.mark.parametrize("name", ["learning_rate", "beta", "delta", "temperature"])
def test_an_infinite_number_is_refused_by_name(name: str) -> None:
    """YAML can spell it, training cannot use it."""
    with pytest.raises(UsageError, match=rf"^{name} is "):
        Settings(**{name: yaml.safe_load(".inf")})


def test_numbers_as_yaml_reads_them_are_numbers() -> None:
    """YAML 1.1 takes 1e-5 for text; it is a learning rate all the same."""
    values: dict[str, Any] = {"learning_rate": "1e-5", "beta": 1, "temperature": 0.5}
    settings = Settings(**values)
    assert (settings.learning_rate, settings.beta) == (1e-5, 1.0)
    assert isinstance(settings.beta, float)


def test_a_whole_number_may_be_written_as_a_fraction() -> None:
    """1e3 is a fraction to YAML, and some programs write 100.0 for 100."""
    settings = Settings(iters=100.0, top_k=1e3)  # type: ignore[arg-type]
    assert (settings.iters, settings.top_k) == (100, 1000)
    assert type(settings.iters) is int
    with pytest.raises(UsageError, match=r"iters is 100\.5, which is not a whole"):
        Settings(iters=100.5)  # type: ignore[arg-type]


def test_a_number_in_quotes_is_told_to_be_one() -> None:
    """The hint names the quotes."""
    with pytest.raises(UsageError) as refused:
        Settings(iters="100")  # type: ignore[arg-type]
    assert "without quotes" in refused.value.hint


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lr_schedule", {"name": "cosine_decay", "arguments": [math.nan, 10]}),
        ("judge_parameters", {"stop": {1: 2}}),
        ("judge_parameters", {"seed": 2**64}),
        ("judge_parameters", {"since": dt.date(2024, 1, 1)}),
        ("judge_system", "half a letter: \ud800"),
        ("model", "a\0b"),
    ],
)
def test_what_cannot_be_written_down_is_refused(name: str, value: Any) -> None:
    """The journal and config.yaml give back what they are given, or it is refused."""
    with pytest.raises(UsageError, match=f"^{name}"):
        Settings(**{name: value})


def test_an_empty_text_is_null_where_null_is_known() -> None:
    """As MLX-LoRA-Studio writes what is not given."""
    assert Settings(reference_model_path="").reference_model_path is None


@pytest.mark.parametrize("missing", sorted(LORA))
def test_what_an_adapter_lacks_is_the_default(missing: str) -> None:
    """A settings file may say rank alone."""
    shape = {**LORA, "rank": 3, "scale": 7.0, "dropout": 0.1}
    del shape[missing]
    assert Settings(lora_parameters=shape).lora_parameters == {**LORA, **shape}


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ({"rnak": 8}, "Did you mean 'rank'"),
        ({"rank": 0}, "at least 1"),
        ({"dropout": 1.0}, "at most 0.99"),
        ({"keys": "self_attn.q_proj"}, "a list of texts"),
    ],
)
def test_a_wrong_adapter_is_refused_by_name(shape: Any, told: str) -> None:
    """Unknown parts with the nearest known."""
    with pytest.raises(UsageError, match="lora_parameters") as refused:
        Settings(lora_parameters=shape)
    assert told in refused.value.hint


def test_arguments_of_an_optimizer_stand_under_its_name() -> None:
    """Without it they would decide nothing."""
    with pytest.raises(UsageError, match=r"weight_decay is 0\.1, which is no"):
        Settings(optimizer_config={"weight_decay": 0.1})


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("betta", "beta"),
        ("learning-rate", "learning_rate"),
        ("batchsize", "batch_size"),
        ("loss_typ", "loss_type"),
        ("gradient_accumulation", "gradient_accumulation_steps"),
        ("train_moed", "train_mode"),
        ("load_in_4bis", "load_in_4bits"),
        ("Judge", "judge"),
    ],
)
def test_an_unknown_key_is_an_error_with_the_nearest_known(
    key: str, nearest: str
) -> None:
    """A typing error in a settings file never passes in silence."""
    with pytest.raises(UsageError, match=f"'{key}' in here.yaml") as refused:
        read({"seed": 1, key: 1}, "here.yaml")
    assert refused.value.hint == f"Did you mean '{nearest}'?"


@pytest.mark.parametrize("key", ["zzzzzz", 5, None, True])
def test_a_key_like_no_other_is_an_error_too(key: Any) -> None:
    """YAML keys need not even be text."""
    with pytest.raises(UsageError, match="unknown setting") as refused:
        read({key: 1}, "here.yaml")
    assert refused.value.hint


def test_settings_come_back_from_yaml_and_from_the_journal() -> None:
    """Written down and read again they are the same settings."""
    settings = Settings(**TOGETHER)
    written = yaml.safe_load(yaml.safe_dump(settings.as_dict(), sort_keys=False))
    assert Settings(**read(written, "f").settings) == settings
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
