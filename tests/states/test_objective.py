"""Preference options: how sure a label is, and which of them go together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from onlinedpo.states import objective
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError
from onlinedpo.states.ledger import LabelledPair
from onlinedpo.states.reasons import Reason
from onlinedpo.states.settings import together
from tests.states import facts

SURE = LabelledPair(facts.sampled(0), replace(facts.label(0), confidence=0.8))
TIE = LabelledPair(facts.sampled(0), facts.people_say(0, None, Reason.TIE))


@pytest.mark.parametrize(
    ("wanted", "chance"),
    [
        ({}, 1.0),
        ({"label_smoothing": 0.1}, 0.9),
        # Robust DPO counts the wrong labels itself.
        ({"label_smoothing": 0.1, "dpo_cpo_loss_type": "robust"}, 1.0),
        ({"soft_labels": True}, 0.8),
        ({"soft_labels": True, "dpo_cpo_loss_type": "simpo"}, 0.8),
    ],
)
def test_how_sure_a_label_is(wanted: dict[str, Any], chance: float) -> None:
    """Wholly, but for what is smoothed away or what its judge says."""
    assert objective.chance(SURE, Settings(**wanted)) == chance


def test_a_soft_tie_is_a_label_of_one_half() -> None:
    """Whoever called it a tie, and however sure of that."""
    assert objective.chance(TIE, Settings(soft_labels=True, ties="soft")) == 0.5


LOSSES = (
    *("sigmoid", "hinge", "ipo", "ipo_sum", "dpop"),
    *("sigmoid_norm", "simpo", "robust"),
)

GOES_WITH: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"label_smoothing": 0.1}, ("sigmoid", "sigmoid_norm", "simpo", "robust")),
    ({"soft_labels": True}, ("sigmoid", "sigmoid_norm", "simpo")),
    ({"len_reg_alpha": 0.1}, ("sigmoid",)),
    ({"ties": "rao-kupper"}, ("sigmoid", "sigmoid_norm")),
    ({"ties": "soft", "soft_labels": True}, ("sigmoid", "sigmoid_norm")),
]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("option", "losses"), GOES_WITH)
def test_an_option_goes_with_the_losses_where_it_means_something(
    option: dict[str, Any], losses: tuple[str, ...], loss: str
) -> None:
    """With any other it is refused, and it is said with which it goes."""
    wanted = {**option, "dpo_cpo_loss_type": loss}
    if loss in losses:
        Settings(**wanted)
        return
    with pytest.raises(UsageError, match=f"no meaning with .* {loss}") as refused:
        Settings(**wanted)
    assert ", ".join(losses) in refused.value.hint or "soft_labels" in option


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"soft_labels": True, "label_smoothing": 0.1}, "exclude each other"),
        ({"ties": "rao-kupper", "label_smoothing": 0.1}, "exclude each other"),
        ({"ties": "rao-kupper", "soft_labels": True}, "exclude each other"),
        ({"ties": "soft"}, "soft_labels is off"),
        ({"dpo_cpo_loss_type": "robust", "label_smoothing": 0.5}, "nothing to learn"),
        ({"label_smoothing": 0.6}, "label_smoothing is 0.6"),
        ({"rao_kupper_nu": 1.0}, "rao_kupper_nu is 1.0"),
        ({"missing_eos_penalty": -1.0}, "missing_eos_penalty is -1.0"),
        ({"truncated": "mask"}, "truncated is 'mask'"),
        ({"len_reg_alpha": -0.1}, "len_reg_alpha is -0.1"),
    ],
)
def test_what_makes_no_sense_is_refused(wanted: dict[str, Any], says: str) -> None:
    """When the settings are read, and by name."""
    with pytest.raises(UsageError, match=says):
        Settings(**wanted)


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"judge": "human"}, "people give no scores"),
        ({"judge_mode": "generate"}, "generate gives no probabilities"),
        ({"judge": "python:a:b", "judge_mode": "generate"}, ""),
        ({}, ""),
    ],
)
def test_a_penalty_needs_a_score(wanted: dict[str, Any], says: str) -> None:
    """A new run whose judge is known to have none does not begin with one."""
    objective.must_have_scores(Settings(**wanted))
    penalised = Settings(missing_eos_penalty=1.0, **wanted)
    if not says:
        objective.must_have_scores(penalised)
        return
    with pytest.raises(UsageError, match=says):
        objective.must_have_scores(penalised)


def test_the_model_of_a_server_is_not_taken_for_the_judge() -> None:
    """Named without a server it would do nothing, and another model would judge."""
    with pytest.raises(UsageError, match="it names the model of an http judge") as told:
        together.may_begin_with(Settings(judge_model="org/judge"))

    assert "named by judge" in told.value.hint
    at_home = "http://localhost:8080"
    together.may_begin_with(Settings(judge=at_home, judge_model="org/judge"))
    together.may_begin_with(
        Settings(judge="m", judge_panel=[at_home], judge_model="org/judge")
    )
