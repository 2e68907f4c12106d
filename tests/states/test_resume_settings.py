"""A run goes on with the settings it began with."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import yaml

from onlinedpo.journal.codec import decode, encode
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import SettingsChanged, UsageError
from onlinedpo.states.given import from_mapping, resume
from onlinedpo.states.records import RunOpened
from tests.states import facts

# Another legal value for every setting.
OTHER: dict[str, Any] = {
    "model": "elsewhere/model",
    "data": "elsewhere.jsonl",
    "seed": 1,
    "iters": 200,
    "batch_size": 8,
    "grad_accumulation_steps": 2,
    "micro_batch_size": 2,
    "fine_tune_type": "dora",
    "num_layers": 4,
    "lora_parameters": {"rank": 9, "dropout": 0.0, "scale": 10.0},
    "grad_checkpoint": True,
    "learning_rate": 2e-5,
    "lr_schedule": {"name": "cosine_decay", "arguments": [1e-5, 100]},
    "optimizer": "sgd",
    "optimizer_config": {"adam": {"betas": [0.9, 0.99]}},
    "max_grad_norm": None,
    "beta": 0.2,
    "dpo_cpo_loss_type": "ipo",
    "delta": 5.0,
    "max_completion_length": 64,
    "max_seq_length": 512,
    "temperature": 1.0,
    "top_p": 0.9,
    "top_k": 20,
    "min_p": 0.1,
    "judge": "elsewhere/judge",
    "judge_system": "Prefer the shorter one.",
    "judge_orders": 1,
    "escalate_below": 0.8,
    "human_share": 0.1,
    "label_budget": 500,
    "max_waiting": 9,
    "max_staleness": 3,
    "when_stale": "requeue",
    "late_labels": "requeue",
    "overlap": 0.2,
    "resolve": "majority",
    "annotator": "anna",
    "steps_per_report": 1,
    "steps_per_eval": 50,
    "val_prompts": 8,
    "save_every": 5,
    "adapter_path": "out",
}
# What cannot change what is trained on already: model, data and judge are compared by
# content; whom to ask, and what becomes of the answers, concerns the pairs to come.
MAY_CHANGE = {
    "model",
    "data",
    "iters",
    "judge",
    "escalate_below",
    "human_share",
    "label_budget",
    "max_waiting",
    "max_staleness",
    "when_stale",
    "late_labels",
    "overlap",
    "resolve",
    "annotator",
    "steps_per_report",
    "steps_per_eval",
    "save_every",
    "adapter_path",
}


def journalled(**wanted: Any) -> dict[str, Any]:
    """Settings as they come out of the journal."""
    (opened,) = decode(encode([facts.run_opened(**wanted)]))
    assert isinstance(opened, RunOpened)
    return opened.settings


def test_every_setting_is_tried() -> None:
    """The table below leaves no setting out, and each value does differ."""
    assert list(OTHER) == [f.name for f in fields(Settings)]
    assert all(getattr(Settings(), name) != value for name, value in OTHER.items())


@pytest.mark.parametrize("name", sorted(MAY_CHANGE))
def test_what_cannot_change_the_result_may_change(name: str) -> None:
    """The run goes on with the new value, and with all others as they were."""
    begun = Settings(seed=3)
    went_on = resume(journalled(seed=3), {name: OTHER[name]})
    assert went_on.as_dict() == {**begun.as_dict(), name: OTHER[name]}


@pytest.mark.parametrize("name", sorted(set(OTHER) - MAY_CHANGE))
def test_what_could_change_the_result_is_refused_with_a_diff(name: str) -> None:
    """Both values are shown, whichever of the two came first."""
    ours, other = getattr(Settings(), name), OTHER[name]
    with pytest.raises(SettingsChanged) as refused:
        resume(journalled(), {"iters": 7, name: other})
    assert f"  {name}: {ours!r} -> {other!r}" in str(refused.value).splitlines()
    assert "iters" not in str(refused.value)
    assert refused.value.exit_code == 4
    with pytest.raises(SettingsChanged, match=f"  {name}: "):
        resume(journalled(**{name: other}), {name: ours})


def test_a_diff_names_all_that_changed() -> None:
    """The user need not try again for each."""
    with pytest.raises(SettingsChanged) as refused:
        resume(journalled(), OTHER)
    lines = str(refused.value).splitlines()[1:]
    assert {line.split(":")[0].strip() for line in lines} == set(OTHER) - MAY_CHANGE


def test_the_same_settings_are_no_change() -> None:
    """All of them given again, from YAML, where lists come back as lists."""
    text = yaml.safe_dump(Settings(**OTHER).as_dict())
    again = from_mapping(yaml.safe_load(text), "config.yaml")
    assert resume(journalled(**OTHER), again) == Settings(**OTHER)
    assert resume(journalled(**OTHER), {}) == Settings(**OTHER)


def test_lists_and_tuples_are_alike() -> None:
    """The journal gives tuples where YAML gives lists; nested ones too."""
    config = {"adam": {"betas": [0.9, 0.99], "more": [[1], {"a": [2]}]}}
    before = journalled(optimizer_config=config)
    assert before["optimizer_config"]["adam"]["betas"] == (0.9, 0.99)
    assert resume(before, {"optimizer_config": config}).optimizer_config == config
    other = {"adam": {"betas": [0.9, 0.99], "more": [[1], {"a": [3]}]}}
    with pytest.raises(SettingsChanged, match="optimizer_config"):
        resume(before, {"optimizer_config": other})


@pytest.mark.parametrize("spelled", ["1e-5", 1e-5, "0.00001"])
def test_the_same_number_spelled_otherwise_is_no_change(spelled: Any) -> None:
    """The settings file that began the run can be given again, 1e-5 and all."""
    assert resume(journalled(), {"learning_rate": spelled}) == Settings()
    assert resume(journalled(beta=1.0), {"beta": 1}) == Settings(beta=1.0)


def test_a_setting_that_a_run_does_not_know_yet_had_its_default() -> None:
    """A run of an earlier version goes on; a new key may be given as its default."""
    old = journalled()
    del old["min_p"]
    assert resume(old, {"min_p": 0.0}) == Settings()
    with pytest.raises(SettingsChanged, match=r"  min_p: 0.0 -> 0.1"):
        resume(old, {"min_p": 0.1})


def test_a_change_that_is_allowed_must_make_sense() -> None:
    """A resumed run checks its settings as a new one does."""
    with pytest.raises(UsageError, match=r"^iters is 0"):
        resume(journalled(), {"iters": 0})
