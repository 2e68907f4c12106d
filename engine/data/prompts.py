"""Prompts to train on, and prompts held out to measure on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from onlinedpo.engine.data import sources
from onlinedpo.engine.data.messages import prompt_of
from onlinedpo.states import seeds
from onlinedpo.states.config import Settings
from onlinedpo.states.records import Messages


@dataclass(frozen=True, slots=True)
class Prompts:
    """The prompts to train on and those held out to measure on."""

    train: list[Messages]
    held_out: list[Messages]

    def describe(self) -> dict[str, Any]:
        """Counts and digests, for the journal: another order or text is other data."""
        return {
            "train": len(self.train),
            "train_digest": _digest(self.train),
            "held_out": len(self.held_out),
            "held_out_digest": _digest(self.held_out),
        }


def load(settings: Settings) -> Prompts:
    """The prompts of `hf_dataset` or `data`.

    The source's own valid split is held out, `val_prompts` of it at most.  Where it has
    none, at most a tenth of all prompts are set aside by the seed.  Raises `UsageError`
    naming file and row.
    """
    source = sources.of(settings)
    train = list(sources.read(source.train, prompt_of))
    if source.valid:
        valid = sources.read(source.valid, prompt_of)
        return Prompts(train, list(islice(valid, settings.val_prompts)))
    count = min(settings.val_prompts, len(train) // 10)
    aside = set(seeds.order(settings.seed, -1, len(train))[:count] if count else ())
    return Prompts(
        [p for i, p in enumerate(train) if i not in aside],
        [p for i, p in enumerate(train) if i in aside],
    )


def _digest(prompts: Sequence[Messages]) -> str:
    """SHA-256 of the prompts as one JSON list, which is never held as a whole."""
    digest = hashlib.sha256(b"[")
    for number, prompt in enumerate(prompts):
        digest.update((", " if number else "").encode() + json.dumps(prompt).encode())
    digest.update(b"]")
    return digest.hexdigest()
