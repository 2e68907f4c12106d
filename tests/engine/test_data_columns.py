"""Which columns of a row become a prompt, and how."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.engine.data.prompts import load
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError
from onlinedpo.states.records import Messages
from tests.engine.test_data_sources import lines, table

Turns = list[dict[str, str]]


def said(*turns: str) -> Turns:
    """Messages out of "user: Hello" and the like."""
    parted = (turn.split(": ", 1) for turn in turns)
    return [{"role": role, "content": text} for role, text in parted]


def prompt(folder: Path, row: dict[str, Any], **wanted: Any) -> Messages:
    """The prompt that one row becomes."""
    file = lines(folder / "rows.jsonl", [row])
    return load(Settings(data=str(file), **wanted)).train[0]


TALK = said("user: Hi", "assistant: Hello", "user: And now?", "assistant: Then")
ASKED = said("user: Hi", "assistant: Hello", "user: And now?")
BRIEF = said("system: Be brief.")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"prompt": "Hi"}, said("user: Hi")),
        ({"prompt": ASKED}, ASKED),
        ({"prompt": BRIEF + ASKED}, BRIEF + ASKED),
        ({"messages": TALK}, ASKED),
        ({"messages": ASKED}, ASKED),
        ({"messages": BRIEF + TALK}, BRIEF + ASKED),
        ({"messages": json.dumps(TALK)}, ASKED),
        ({"prompt": "Hi", "messages": TALK}, said("user: Hi")),
        ({"prompt": None, "messages": TALK}, ASKED),
        ({"prompt": "Hi", "system": "Be brief."}, BRIEF + said("user: Hi")),
        ({"messages": TALK, "system": "Be brief."}, BRIEF + ASKED),
        ({"prompt": "Hi", "system": None}, said("user: Hi")),
        ({"prompt": "Hi", "system": " "}, said("user: Hi")),
        ({"prompt": BRIEF + ASKED, "system": "Be long."}, BRIEF + ASKED),
        ({"prompt": "Hi", "chosen": "a", "rejected": "b"}, said("user: Hi")),
        ({"chosen": TALK, "rejected": [*ASKED, *said("assistant: Or")]}, ASKED),
    ],
)
def test_a_row_becomes_a_prompt(
    row: dict[str, Any], expected: Turns, tmp_path: Path
) -> None:
    """Text, messages, a conversation up to its last user turn, TRL's shapes."""
    assert list(prompt(tmp_path, row)) == expected


def test_sharegpts_conversations_are_read(tmp_path: Path) -> None:
    """Their turns are of `from` and `value`."""
    turns = [
        {"from": "system", "value": "Be brief."},
        {"from": "human", "value": "Hi"},
        {"from": "gpt", "value": "Hello"},
        {"from": "human", "value": "And now?"},
        {"from": "gpt", "value": "Then"},
    ]

    assert list(prompt(tmp_path, {"conversations": turns})) == BRIEF + ASKED
    renamed = prompt(tmp_path, {"talk": turns}, chat_feature="talk")
    assert list(renamed) == BRIEF + ASKED


def test_columns_can_have_other_names(tmp_path: Path) -> None:
    """The one that was named counts, whatever else is there."""
    row = {"prompt": "p", "messages": TALK, "q": "Hi", "talk": ASKED, "s": "Be brief."}

    by_prompt = prompt(tmp_path, row, prompt_feature="q", system_feature="s")
    by_chat = prompt(tmp_path, row, chat_feature="talk")

    assert list(by_prompt) == BRIEF + said("user: Hi")
    assert list(by_chat) == ASKED
    with pytest.raises(UsageError, match=r"jsonl:1 has no column 'ask' .*it has: p"):
        prompt(tmp_path, row, prompt_feature="ask")
    with pytest.raises(UsageError, match=r"jsonl:1 has no column 'sys'"):
        prompt(tmp_path, row, system_feature="sys")


def test_a_message_is_a_role_and_a_text(tmp_path: Path) -> None:
    """Other keys are passed over, with what a table puts into those it lacks."""
    turn = {"role": "user", "content": "Hi", "name": "Ann", "tool_calls": None}
    file = table(tmp_path / "rows.parquet", [{"prompt": [turn]}])

    assert load(Settings(data=str(file))).train == [tuple(said("user: Hi"))]


@pytest.mark.parametrize(
    "row",
    [
        # Online DPO: what the page of mlx-lm-lora has, and what its loader takes.
        {"prompt": [{"role": "user", "content": "Question"}]},
        {"prompt": "Question"},
        # Its other preference data.
        {"prompt": "Question", "chosen": "Good", "rejected": "Bad"},
        {"prompt": "Question", "answer": "42", "type": "math"},
        # mlx-lm's chat and completion data.
        {"prompt": "Question", "completion": "Answer"},
        {"messages": said("user: Question", "assistant: Answer")},
        # TRL's prompt-only data and its implicit prompts.
        {"prompt": said("user: Question"), "chosen": said("assistant: Good")},
        {
            "chosen": said("user: Question", "assistant: Good"),
            "rejected": said("user: Question", "assistant: Bad"),
        },
    ],
)
def test_rows_of_other_trainers_load_as_they_stand(
    row: dict[str, Any], tmp_path: Path
) -> None:
    """They all ask the same."""
    assert list(prompt(tmp_path, row)) == said("user: Question")


def test_one_file_may_hold_rows_of_several_shapes(tmp_path: Path) -> None:
    """Each row says for itself what it is."""
    file = lines(tmp_path / "rows.jsonl", [{"prompt": "Hi"}, {"messages": TALK}])

    found = load(Settings(data=str(file)))

    assert [list(p) for p in found.train] == [said("user: Hi"), ASKED]
