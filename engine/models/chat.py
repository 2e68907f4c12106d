"""Messages as a model reads them: its chat template, applied once.

A tokenizer without a template gets a plain one: the contents, each followed by an empty
line.  What a model thinks before it answers is trained on, and not judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from onlinedpo.states.errors import UsageError
from onlinedpo.states.records import Messages

_PLAIN = "{% for m in messages %}{{ m['content'] }}\n\n{% endfor %}"
_QUESTION: Messages = ({"role": "user", "content": "Why?"},)


def encode(tokenizer: Any, messages: Messages, *, thinking: bool = False) -> list[int]:
    """Token ids that the policy is asked with: the chat template, applied once.

    The template writes the BOS if the model wants one; nothing adds another.  Raises
    `UsageError` if the template refuses the messages.
    """
    try:
        rendered = tokenizer.apply_chat_template(
            list(messages),
            add_generation_prompt=True,
            tokenize=True,
            enable_thinking=thinking,
        )
    except (TemplateError, TypeError, ValueError, KeyError) as error:
        roles = ", ".join(message["role"] for message in messages)
        raise UsageError(
            f"the chat template cannot write a conversation of {roles}: {error}",
            hint="Give a conversation that it takes (some know no system role), or"
            " another template with --chat-template.",
        ) from error
    return [int(token) for token in rendered]


def fall_back(tokenizer: Any) -> None:
    """Give a tokenizer that has no chat template the plain one.

    It writes a BOS if the tokenizer itself would put one before a text.
    """
    if not tokenizer.has_chat_template:
        bos, encoded = tokenizer.bos_token_id, tokenizer.encode("a")
        begins = bos is not None and encoded[:1] == [bos]
        tokenizer.chat_template = ("{{ bos_token }}" if begins else "") + _PLAIN


def is_plain(tokenizer: Any) -> bool:
    """Whether it had no chat template and got the plain one."""
    template = tokenizer.chat_template
    return isinstance(template, str) and template.endswith(_PLAIN)


def must_render(
    tokenizer: Any,
    model: str,
    conversations: Iterable[Messages] = (),
    *,
    thinking: bool = False,
) -> None:
    """Raise `UsageError` if a model's chat template cannot write what it is asked.

    One of the conversations is tried for each order of roles among them.
    """
    kinds = {tuple(m["role"] for m in messages): messages for messages in conversations}
    for messages in kinds.values() or [_QUESTION]:
        try:
            tokens = encode(tokenizer, messages, thinking=thinking)
        except UsageError as error:
            raise UsageError(f"'{model}': {error}", hint=error.hint) from error
        if not tokens:
            raise UsageError(
                f"the chat template of '{model}' writes nothing",
                hint="Give another one with --chat-template.",
            )


def template_of(wanted: str | None) -> str | None:
    """The template that a setting gives: Jinja text, or a file with it.

    Raises `UsageError` if it is a file that cannot be read.
    """
    if wanted is None or "{{" in wanted or "{%" in wanted:
        return wanted
    try:
        return Path(wanted).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(
            f"chat_template is '{wanted}', which cannot be read: {why}",
            hint="Give Jinja text (with {{ }} or {% %} in it), or a file with it.",
        ) from error


def without_thinking(tokenizer: Any, prompt: Sequence[int], text: str) -> str:
    """A completion's text without what the model thought before it answered.

    A block that never ended takes all that follows.  The prompt may have opened one.
    """
    begin, end = tokenizer.think_start, tokenizer.think_end
    if begin is None:
        return text
    if tokenizer.decode(list(prompt[-8:])).rstrip().endswith(begin):
        text = begin + text
    block = f"{re.escape(begin)}.*?(?:{re.escape(end)}\\s*|\\Z)"
    return re.sub(block, "", text, flags=re.DOTALL)
