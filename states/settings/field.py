"""A setting: default, help, range, and whether a resumed run may change it."""

from __future__ import annotations

from dataclasses import field
from typing import Any


def setting(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[Any, ...] = (),
    resumable: bool = False,
) -> Any:
    """A field with what flags, help texts and checks are derived from.

    `resumable` is for what cannot change the result, or is held to the journal in
    another way: a model by its digest.
    """
    limits = {"low": low, "high": high, "choices": choices, "resumable": resumable}
    if isinstance(default, dict):
        return field(
            default_factory=lambda: dict(default), metadata={"help": help, **limits}
        )
    return field(default=default, metadata={"help": help, **limits})
