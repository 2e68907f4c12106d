"""Two conversations that end differently, as a reward model has scored them."""

from __future__ import annotations


def written(before: str, after: str, one: str, other: str) -> str:
    """Two conversations that differ in their last answer, as a reward model has them.

    `before` and `after` are what its chat template writes around the answer.
    """
    return f"{before}{one}{after}\n{before}{other}{after}"


def shown(prompt: str, request: str, one: str, other: str) -> bool:
    """Whether a prompt is two such conversations with these answers to the request."""
    around = len(prompt) - len(one) - len(other) - 1
    end = around // 2 + len(one)
    first, second = prompt[:end], prompt[end + 1 :]
    if around < 0 or around % 2 or prompt[end : end + 1] != "\n":
        return False
    place = first.rfind(one)
    while place >= 0:
        before, after = first[:place], first[place + len(one) :]
        if second == f"{before}{other}{after}":
            # A template may strip it.
            return request.strip() in before
        place = first.rfind(one, 0, place + len(one) - 1) if place else -1
    return False
