"""What the policy wrote: completions, and the pair that two of them make."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from onlinedpo.states.answers import Side

Finish = Literal["stop", "length"]


_PARTS = frozenset({"role", "content"})


def _are_said(messages: tuple[Any, ...]) -> bool:
    for message in messages:
        if type(message) is not dict or message.keys() != _PARTS:
            return False
        if not (type(message["role"]) is type(message["content"]) is str):
            return False
    return True


def of_each_side(*kinds: type) -> Callable[[tuple[Any, ...]], bool]:
    """Whether there is one value for each completion of a pair, or none at all."""

    def fits(values: tuple[Any, ...]) -> bool:
        return not values or (
            len(values) == 2 and type(values[0]) in kinds and type(values[1]) in kinds
        )

    return fits


Messages = Annotated[tuple[dict[str, str], ...], _are_said]


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What the policy wrote: token ids as sampled, the EOS included if it came.

    `text` is what judges and people are shown: without what a model thought before it
    answered, and without the EOS.
    """

    tokens: tuple[int, ...]
    text: str
    finish: Finish


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """Two completions of one prompt, drawn from the policy after `step` steps.

    Where the `source` is a file, they were taken from it then, and not drawn.
    `repeats` is the ticket whose prompt, or whose pair, gets another turn with this.
    Where more than two were drawn, `others` are the rest, and `drawn` says which of all
    draws, from 0, the first and the second are.
    """

    ticket: int
    epoch: int
    prompt: int
    messages: Messages
    prompt_tokens: tuple[int, ...]
    first: Completion
    second: Completion
    step: int
    time: float
    repeats: int | None = None
    others: tuple[Completion, ...] = ()
    drawn: Annotated[tuple[int, ...], of_each_side(int)] = ()
    source: Literal["policy", "file"] = "policy"

    @property
    def pair(self) -> str:
        """The pair's name: its ticket and a digest of its tokens."""
        digest = hashlib.blake2b(digest_size=4)
        for ids in (self.prompt_tokens, self.first.tokens, self.second.tokens):
            digest.update(repr(ids).encode())
        return f"{self.ticket:06d}-{digest.hexdigest()}"

    def is_again(self, other: Sampled) -> bool:
        """Whether it is the very pair of another turn, and not just of its prompt."""
        return (self.first, self.second) == (other.first, other.second)

    def side(self, side: Side) -> Completion:
        """The completion on one side."""
        return self.first if side == "first" else self.second

    @property
    def truncated(self) -> bool:
        """Whether either completion hit `max_completion_length`."""
        return "length" in (self.first.finish, self.second.finish)
