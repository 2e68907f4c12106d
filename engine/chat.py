"""Messages as a model reads them: its chat template, applied once."""

from __future__ import annotations

from typing import Any

from onlinedpo.states.errors import UsageError
from onlinedpo.states.records import Messages


def encode(tokenizer: Any, messages: Messages) -> list[int]:
    """Token ids that the policy is asked with: the chat template, applied once.

    The template writes the BOS if the model wants one; nothing adds another.
    """
    rendered = tokenizer.apply_chat_template(
        list(messages), add_generation_prompt=True, tokenize=True, enable_thinking=False
    )
    return [int(token) for token in rendered]


def must_have_a_template(tokenizer: Any, model: str) -> None:
    """Raise `UsageError` if a model's tokenizer has no chat template."""
    try:
        encode(tokenizer, ({"role": "user", "content": "?"},))
    except ValueError as error:
        raise UsageError(
            f"the tokenizer of '{model}' has no chat template",
            hint="Use a model that was tuned to chat (an 'instruct' one).",
        ) from error
