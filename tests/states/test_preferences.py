"""The rows that other trainers load."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from onlinedpo.states.export import preferences
from onlinedpo.states.export.outcomes import Outcome
from onlinedpo.states.export.preferences import OneTurnOnly, Style, mlx_lm_lora, row
from onlinedpo.states.records import Messages, Sampled
from onlinedpo.states.visible import json_line
from tests.states import facts

TURNS: Messages = (
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "One?"},
    {"role": "assistant", "content": "Yes."},
    {"role": "user", "content": "Two?"},
)
SECOND = Outcome(
    ticket=7,
    pair="000007-00000000",
    chosen="second",
    source="human",
    annotators=("anna", "ben"),
    confidence=1.0,
    first=0.25,
    step=3,
    margin=-0.5,
)
TIE = replace(SECOND, chosen=None, reason="tie", step=None, margin=None)


def pair(messages: Messages = TURNS[1:2], first: str = "a", second: str = "b") -> Any:
    """A pair of these texts, the second cut short."""
    sampled = facts.sampled(7, step=2)
    return replace(
        sampled,
        messages=messages,
        first=replace(sampled.first, text=first),
        second=replace(sampled.second, text=second),
    )


def test_plain_rows_are_three_texts_and_ours() -> None:
    """TRL's explicit prompt; ours say where the row is from."""
    assert row("ab", pair(), SECOND, "plain") == {
        "prompt": "One?",
        "chosen": "b",
        "rejected": "a",
        "odpo_run": "ab",
        "odpo_pair": "000007-00000000",
        "odpo_sampled_step": 2,
        "odpo_truncated": True,
        "odpo_source": "human",
        "odpo_annotators": "anna, ben",
        "odpo_step": 3,
        "odpo_margin": -0.5,
        "odpo_confidence": 1.0,
        "odpo_judge_probability": 0.75,
    }


def test_conversational_rows_hold_the_messages_as_they_were() -> None:
    """All turns of the prompt, and one of each completion."""
    found = row("ab", pair(TURNS), SECOND, "conversational")

    assert found["prompt"] == [*TURNS]
    assert found["chosen"] == [{"role": "assistant", "content": "b"}]
    assert found["rejected"] == [{"role": "assistant", "content": "a"}]


def test_a_plain_prompt_of_many_turns_is_read_as_people_read_it() -> None:
    """Each turn with its role."""
    found = row("ab", pair(TURNS), SECOND, "plain")

    assert found[
        "prompt"
    ] == "system: Be brief.\n\nuser: One?\n\nassistant: Yes.\n\n" + ("user: Two?")


@pytest.mark.parametrize("style", preferences.STYLES)
def test_undecided_rows_are_in_the_order_of_sampling_with_the_reason(
    style: Style,
) -> None:
    """Nothing in them is called chosen."""
    found = row("ab", pair(), TIE, style)
    texts = ["a", "b"]
    said = [[{"role": "assistant", "content": text}] for text in texts]

    assert [found["first"], found["second"]] == (texts if style == "plain" else said)
    assert (found["reason"], found["odpo_annotators"]) == ("tie", "anna, ben")
    assert found["odpo_judge_probability_first"] == 0.25
    assert not {"chosen", "rejected", "odpo_step"} & {*found}


@pytest.mark.parametrize(
    ("outcome", "names", "columns"),
    [
        (SECOND, preferences.PAIR, preferences.PAIR_COLUMNS),
        (TIE, preferences.UNDECIDED, preferences.UNDECIDED_COLUMNS),
    ],
    ids=["labelled", "undecided"],
)
def test_rows_have_the_columns_that_are_declared_and_their_types(
    outcome: Outcome, names: tuple[str, ...], columns: dict[str, type]
) -> None:
    """So that a table of them can be given its types beforehand."""
    found = row("ab", pair(), outcome, "plain")

    assert [*found] == [*names, *columns]
    assert all(isinstance(found[name], columns[name]) for name in columns)


def test_a_number_that_is_none_is_missing() -> None:
    """JSON has no NaN."""
    odd = replace(SECOND, margin=float("nan"), first=None, confidence=None)
    found = row("ab", pair(), odd, "plain")

    assert found["odpo_margin"] is None
    assert found["odpo_judge_probability"] is None
    assert found["odpo_confidence"] is None


@pytest.mark.parametrize("style", preferences.STYLES)
def test_any_text_can_be_stored_and_only_lone_surrogates_change(style: Style) -> None:
    """Quotes, control characters and all kinds of line ends come through."""
    text = 'a\0b\r\n"\u2028\x85\x1b[2J\U0001f600 '
    odd = replace(SECOND, annotators=("a\udc80",))
    asked: Messages = ({"role": "user", "content": f"{text}\ud800"},)
    found = row("ab", pair(asked, text, f"{text}\udfff"), odd, style)
    line = json_line(found)

    assert len(line.splitlines()) == 1
    assert json.loads(line.encode()) == found
    assert found["odpo_annotators"] == "a\ufffd"
    texts = [found["prompt"], found["chosen"], found["rejected"]]
    if style == "conversational":
        texts = [message["content"] for (message,) in texts]
    assert texts == [f"{text}\ufffd", f"{text}\ufffd", text]


def test_mlx_lm_lora_has_the_system_turn_apart() -> None:
    """Its dataset makes a user's turn of the prompt, after a system turn if given."""
    alone = mlx_lm_lora("ab", pair(), SECOND)
    both = mlx_lm_lora("ab", pair(TURNS[:2]), SECOND)

    assert "system" not in alone
    assert (both["system"], both["prompt"]) == ("Be brief.", "One?")
    assert (alone["prompt"], alone["chosen"], alone["rejected"]) == ("One?", "b", "a")


@pytest.mark.parametrize("messages", [TURNS, TURNS[:1], TURNS[1:3], TURNS[2:3]])
def test_mlx_lm_lora_refuses_what_it_would_read_as_something_else(
    messages: Messages,
) -> None:
    """More turns than it can hold, or a turn of somebody else."""
    with pytest.raises(OneTurnOnly, match="it has the turns"):
        mlx_lm_lora("ab", pair(messages), SECOND)


def test_pairs_come_once_in_the_order_of_the_journal() -> None:
    """Those on their way are left out, and so are turns that do not count."""
    pairs = [facts.sampled(n) for n in range(4)]
    moved = replace(SECOND, ticket=3)
    outcomes = {
        0: moved,
        1: replace(SECOND, ticket=1, chosen=None),
        2: replace(TIE, ticket=2),
        3: moved,
    }
    found = [*preferences.labelled([facts.step(1), *pairs], outcomes)]

    assert [sampled for sampled, _ in found] == [pairs[2], pairs[3]]
    assert all(isinstance(sampled, Sampled) for sampled, _ in found)
    assert found[1][1] is moved
