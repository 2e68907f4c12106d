"""TRL's own reward functions and judges, by name, as judges here."""

from __future__ import annotations

import json

import pytest

from tests.engine.scorers import compare, judge_of, verdicts_of

pytestmark = pytest.mark.interop

THOUGHT = "<think>\nIt depends.\n</think>\nYes."


def test_a_reward_function_of_trl_judges() -> None:
    """It takes messages, and scores by format: what was thought about wins."""
    judge = judge_of("python:trl.rewards:think_format_reward", judge_format="messages")

    ((one,), (other,)) = verdicts_of(
        judge, compare(0, THOUGHT, "Yes."), compare(1, "No.", "Yes.")
    )
    assert (one.winner, json.loads(one.raw)) == ("first", [1.0, 0.0])
    assert other.winner == "tie"
