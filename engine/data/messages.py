"""From a row to messages: a prompt, or a conversation up to its last user turn."""

from __future__ import annotations

import json
from typing import Any, Literal

from onlinedpo.engine.data.rows import SHAREGPT, Columns, Row, no_column
from onlinedpo.states.records import Messages

_CHAT = 'A message is an object such as {"role": "user", "content": "How are you?"}.'
_SPEAKERS = {
    **dict.fromkeys(("human", "user"), "user"),
    **dict.fromkeys(("gpt", "assistant", "chatgpt", "model", "bot"), "assistant"),
    "system": "system",
}
"""Who speaks in ShareGPT's turns, as a role."""


def prompt_of(row: Row, columns: Columns) -> Messages:
    """What a row asks the policy.

    The prompt column has text, which a user says, or messages, which are taken as they
    are.  Where there is none, the conversation is taken up to its last user turn, and
    of a preference pair without a prompt what both conversations begin with.  A column
    that was named is the one that counts.  The system column goes before, unless the
    conversation has a system turn of its own.  Raises `UsageError` naming the row.
    """
    names = [n for n in ("prompt", "chat") if columns.is_named(n)] or ["prompt", "chat"]
    if "prompt" in names and row.get(columns.prompt) is not None:
        asked = _prompt(row, columns.prompt)
    elif "chat" in names and row.get(columns.chat) is not None:
        asked = _up_to_last_user(row, columns.chat)
    elif len(names) == 2 and row.get(SHAREGPT) is not None:
        asked = _up_to_last_user(row, SHAREGPT)
    elif len(names) == 2 and isinstance(row.get(columns.chosen), list | dict):
        asked = _before_both(row, columns)
    elif (name := getattr(columns, names[0])) in row.columns:
        raise row.wrong(f" has nothing in its column '{name}'")
    else:
        setting = "prompt_feature" if names[0] == "prompt" else "chat_feature"
        raise no_column(row, name, setting)
    return _system(row, columns, asked) + asked


def said(
    row: Row, columns: Columns, which: Literal["chosen", "rejected"]
) -> tuple[Messages, str]:
    """(the turns before, the completion) of one side of a preference pair.

    It is text, an assistant's message, or a conversation that ends in one.  Raises
    `UsageError` naming the row.
    """
    name = getattr(columns, which)
    value = row.get(name)
    if isinstance(value, str):
        return (), _text(row, name, value)
    if isinstance(value, dict):
        value = value.get("messages", [value])
    if value is None:
        raise no_column(row, name, f"{which}_feature")
    turns = _turns(row, name, value)
    if turns[-1]["role"] != "assistant":
        raise row.wrong(
            f" has a '{name}' that ends with a turn of '{turns[-1]['role']}'",
            "It has to end with the assistant's completion.",
        )
    return turns[:-1], turns[-1]["content"]


def _before_both(row: Row, columns: Columns) -> Messages:
    """TRL's implicit prompt: what both conversations begin with."""
    chosen, _ = said(row, columns, "chosen")
    rejected, _ = said(row, columns, "rejected")
    if chosen != rejected:
        raise row.wrong(
            f" has '{columns.chosen}' and '{columns.rejected}' that answer different"
            " conversations",
            "Both have to be the same conversation but for the last turn.",
        )
    if not chosen:
        raise no_column(row, columns.prompt, "prompt_feature")
    return _asking(row, columns.chosen, chosen)


def _prompt(row: Row, name: str) -> Messages:
    value = row.get(name)
    if isinstance(value, list):
        return _asking(row, name, _turns(row, name, value))
    if not isinstance(value, str):
        kind = type(value).__name__
        raise row.wrong(f" has a '{name}' that is neither text nor messages ({kind})")
    if not value.strip():
        raise row.wrong(f" has an empty '{name}'")
    return ({"role": "user", "content": _text(row, name, value)},)


def _asking(row: Row, name: str, turns: Messages) -> Messages:
    """Turns that can be answered: a user speaks, and the assistant has not yet."""
    if turns[-1]["role"] == "assistant":
        raise row.wrong(
            f" has a '{name}' that ends with the assistant's turn",
            "A prompt ends with the user's turn. A whole conversation belongs into the"
            " column 'messages': it is used up to its last user turn.",
        )
    if not any(turn["role"] == "user" for turn in turns):
        raise row.wrong(f" has a '{name}' without a user's turn", _CHAT)
    return turns


def _up_to_last_user(row: Row, name: str) -> Messages:
    value = row.get(name)
    if isinstance(value, str):
        # A table of text, such as CSV, can hold messages only as JSON.
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise row.wrong(f" has a '{name}' that is text, and no messages") from None
    turns = _turns(row, name, value)
    asked = [i for i, turn in enumerate(turns) if turn["role"] == "user"]
    if not asked:
        raise row.wrong(f" has '{name}' without a user's turn", _CHAT)
    return turns[: asked[-1] + 1]


def _system(row: Row, columns: Columns, asked: Messages) -> Messages:
    name = columns.system
    value = row.get(name)
    if name not in row.columns and columns.is_named("system"):
        raise no_column(row, name, "system_feature")
    if value is not None and not isinstance(value, str):
        raise row.wrong(f" has a '{name}' that is no text ({type(value).__name__})")
    own = any(turn["role"] == "system" for turn in asked)
    if own or not value or not value.strip():
        return ()
    return ({"role": "system", "content": _text(row, name, value)},)


def _turns(row: Row, name: str, value: Any) -> Messages:
    """Messages with a role and a content each; other keys of them are passed over."""
    if not isinstance(value, list):
        raise row.wrong(f" has a '{name}' that is no list of messages", _CHAT)
    if not value:
        raise row.wrong(f" has a '{name}' without any message", _CHAT)
    return tuple(
        _turn(row, f"message {number} of '{name}'", turn)
        for number, turn in enumerate(value, start=1)
    )


def _turn(row: Row, which: str, turn: Any) -> dict[str, str]:
    if not isinstance(turn, dict):
        raise row.wrong(f": {which} is no object", _CHAT)
    if "role" not in turn and "from" in turn:
        role, text = _SPEAKERS.get(str(turn["from"]).lower()), turn.get("value")
        if role is None:
            raise row.wrong(
                f": {which} is from {str(turn['from'])[:80]!r}",
                "Known are human, gpt, system.",
            )
    else:
        role, text = turn.get("role"), turn.get("content")
    if not isinstance(role, str) or not role:
        raise row.wrong(f": {which} has no role", _CHAT)
    role = _text(row, f"the role of {which}", role)
    if turn.get("tool_calls"):
        raise row.wrong(
            f": {which} calls a tool, which is not text",
            "Leave such conversations out, or cut them before the call.",
        )
    if not isinstance(text, str):
        raise row.wrong(f": {which} has {_no_text(text)}", _CHAT)
    if role == "user" and not text.strip():
        raise row.wrong(f": {which} is empty", _CHAT)
    return {"role": role, "content": _text(row, which, text)}


def _no_text(content: Any) -> str:
    if isinstance(content, list):
        kinds = sorted(
            {str(part.get("type")) for part in content if isinstance(part, dict)}
        )
        return f"content in parts ({', '.join(kinds)}), which is not text"
    return "no content" if content is None else "content that is not text"


def _text(row: Row, which: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = ord(text[error.start])
        raise row.wrong(
            f": {which} has half a character (\\u{half:04x})",
            "A surrogate without the other half is no text: remove it.",
        ) from None
    return text
