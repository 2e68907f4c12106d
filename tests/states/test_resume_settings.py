"""A run goes on with the settings it began with."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from onlinedpo.journal.codec import decode, encode
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import SettingsChanged, UsageError
from onlinedpo.states.foreign.read import read
from onlinedpo.states.given import resume
from onlinedpo.states.records import RunOpened
from tests.states import facts
from tests.tables.settings import NAMES, OTHER, TOGETHER

# What cannot change what is trained on already: models, data and judges are compared
# by content; whom to ask, and what becomes of the answers, concerns the pairs to come;
# how a server is reached is not what it says.
MAY_CHANGE = {
    *("model", "revision", "trust_remote_code", "chat_template"),
    *("resume_adapter_file", "reference_model_path"),
    *("data", "hf_dataset", "offline_pairs", "prompt_feature", "chat_feature"),
    *("system_feature", "chosen_feature", "rejected_feature"),
    *("iters", "epochs"),
    *("judge", "judge_panel", "judge_revision", "judge_model", "judge_key_env"),
    *("judge_timeout", "judge_attempts", "judge_concurrency"),
    *("escalate_below", "human_share", "label_budget", "max_waiting"),
    *("max_staleness", "when_stale", "late_labels", "overlap", "resolve"),
    "annotator",
    *("steps_per_report", "steps_per_eval", "save_every", "adapter_path"),
    *("report_to", "project_name", "memory_limit_gb"),
}


def journalled(**wanted: Any) -> dict[str, Any]:
    """Settings as they come out of the journal."""
    (opened,) = decode(encode([facts.run_opened(**wanted)]))
    assert isinstance(opened, RunOpened)
    return opened.settings


def test_every_setting_is_tried() -> None:
    """The table below leaves no setting out, and each value does differ."""
    assert set(OTHER) == set(NAMES)
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
    text = yaml.safe_dump(Settings(**TOGETHER).as_dict())
    again = read(yaml.safe_load(text), "config.yaml").settings
    assert resume(journalled(**TOGETHER), again) == Settings(**TOGETHER)
    assert resume(journalled(**TOGETHER), {}) == Settings(**TOGETHER)


@pytest.mark.parametrize(
    ("name", "value", "instead", "other"),
    [
        ("iters", 300, "epochs", 3),
        ("data", "mine.jsonl", "hf_dataset", {"path": "org/data"}),
    ],
)
def test_what_is_given_now_counts_over_what_would_have_replaced_it(
    name: str, value: Any, instead: str, other: Any
) -> None:
    """--iters 300 makes a run longer that began with epochs."""
    went_on = resume(journalled(**{instead: other}), {name: value})
    assert (getattr(went_on, name), getattr(went_on, instead)) == (value, None)


def test_a_schedule_is_not_replaced_in_a_run_that_has_begun() -> None:
    """Neither that of the learning rate nor that of beta."""
    for name, instead in (("learning_rate", "lr_schedule"), ("beta", "beta_schedule")):
        begun = journalled(**{instead: OTHER[instead]})
        with pytest.raises(SettingsChanged, match=f"  {instead}: "):
            resume(begun, {name: OTHER[name]})


def test_a_part_of_an_adapters_shape_is_no_change_of_the_rest() -> None:
    """Of lora_parameters each part counts for itself."""
    begun = journalled(lora_parameters={"rank": 9, "dropout": 0.1, "scale": 2.0})
    assert resume(begun, {"lora_parameters": {"rank": 9}}).lora_parameters == {
        **{"rank": 9, "dropout": 0.1, "scale": 2.0}
    }
    with pytest.raises(SettingsChanged, match="lora_parameters"):
        resume(begun, {"lora_parameters": {"rank": 8}})


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
