"""Preference pairs that are there already: what was asked, and what is better."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from onlinedpo.engine.data import sources
from onlinedpo.engine.data.messages import prompt_of, said
from onlinedpo.engine.data.rows import Columns, Row
from onlinedpo.states.config import Settings
from onlinedpo.states.records import Messages


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """What was asked, and two completions: the chosen one is better."""

    messages: Messages
    chosen: str
    rejected: str


def load_pairs(settings: Settings) -> list[PreferencePair]:
    """The pairs of `offline_pairs`, in its order; of a folder, those to train on.

    A row has a prompt (see `engine.data.messages`), and `chosen` and `rejected` as text
    or messages; or the latter two hold whole conversations, the same but for the last
    turn (TRL's implicit prompt).  Raises `UsageError` naming file and row.
    """
    assert settings.offline_pairs is not None
    source = sources.named(settings.offline_pairs, Columns.of(settings))
    return list(sources.read(source.train, pair_of))


def valid_prompts(settings: Settings) -> list[Messages] | None:
    """The prompts of the valid split of `offline_pairs`; None where it has none."""
    assert settings.offline_pairs is not None
    source = sources.named(settings.offline_pairs, Columns.of(settings))
    if not source.valid:
        return None
    return list(islice(sources.read(source.valid, prompt_of), settings.val_prompts))


def pair_of(row: Row, columns: Columns) -> PreferencePair:
    """The pair that a row holds; raises `UsageError` naming the row."""
    before, chosen = said(row, columns, "chosen")
    other, rejected = said(row, columns, "rejected")
    messages = prompt_of(row, columns)
    spoken = tuple(turn for turn in messages if turn["role"] != "system")
    for name, turns in ((columns.chosen, before), (columns.rejected, other)):
        if turns and turns not in (messages, spoken):
            raise row.wrong(
                f" has a '{name}' that answers another conversation than its prompt",
                "It has to be the completion alone, or the prompt and the completion.",
            )
    return PreferencePair(messages, chosen, rejected)


def describe(pairs: Sequence[PreferencePair]) -> dict[str, Any]:
    """Count and digest to train on, for the journal, as `Prompts.describe` has them."""
    digest = hashlib.sha256()
    for pair in pairs:
        text = json.dumps((pair.messages, pair.chosen, pair.rejected))
        digest.update(text.encode() + b"\n")
    return {"train": len(pairs), "train_digest": digest.hexdigest()}
