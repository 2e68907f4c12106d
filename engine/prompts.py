"""Prompts: from a file to token ids."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onlinedpo.states import seeds
from onlinedpo.states.errors import UsageError
from onlinedpo.states.records import Messages

_HINT = 'Each line is an object such as {"prompt": "How do I boil an egg?"}.'


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


def load(path: str, *, seed: int, held_out: int) -> Prompts:
    """Read prompts from a JSONL file, or from train.jsonl and valid.jsonl in a folder.

    Without a valid.jsonl, at most `held_out` prompts, and at most a tenth of all, are
    set aside by the seed.  Raises `UsageError` naming file and line.
    """
    source = Path(path)
    if source.is_dir():
        train = _read(source / "train.jsonl")
        valid = source / "valid.jsonl"
        if valid.exists():
            return Prompts(train, _read(valid)[:held_out])
    else:
        train = _read(source)
    aside = set(
        seeds.order(seed, -1, len(train))[: min(held_out, len(train) // 10)],
    )
    return Prompts(
        [p for i, p in enumerate(train) if i not in aside],
        [p for i, p in enumerate(train) if i in aside],
    )


def _read(path: Path) -> list[Messages]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(
            f"there is no prompt file {path}",
            hint="Give --data a JSONL file, or a folder with train.jsonl in it.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as UTF-8 text: {error}") from error
    rows = [
        _parse(line, f"{path}:{number}")
        # Not splitlines: text may hold separators of other kinds within a line.
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    ]
    if not rows:
        raise UsageError(f"{path} has no prompts in it", hint=_HINT)
    return rows


def _parse(line: str, where: str) -> Messages:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise UsageError(f"{where} is not JSON: {error.msg}", hint=_HINT) from None
    prompt = row.get("prompt") if isinstance(row, dict) else None
    if isinstance(prompt, str) and prompt.strip():
        return ({"role": "user", "content": prompt},)
    if isinstance(prompt, list) and prompt and all(map(_is_message, prompt)):
        return tuple({"role": m["role"], "content": m["content"]} for m in prompt)
    keys = ", ".join(row) if isinstance(row, dict) else type(row).__name__
    raise UsageError(f"{where} has no usable 'prompt' (it has: {keys})", hint=_HINT)


def _is_message(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("role"), str)
        and isinstance(value.get("content"), str)
    )


def _digest(prompts: list[Messages]) -> str:
    return hashlib.sha256(json.dumps(prompts).encode()).hexdigest()
