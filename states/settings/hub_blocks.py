"""The setting `hf_dataset`: data sets of the Hub in blocks, as mlx-lm takes them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from onlinedpo.states.errors import UsageError

FEATURES = ("prompt", "chat", "system", "chosen", "rejected")

_TEXTS = (
    *("path", "name", "revision", "train_split", "valid_split"),
    *(f"{column}_feature" for column in FEATURES),
)
_OF_OTHER_TRAINERS = (
    *("test_split", "mask_prompt", "train_mode"),
    *("completion_feature", "text_feature", "answer_feature", "type_feature"),
    *("preference_score_feature",),
)
"""What mlx-lm and mlx-lm-lora have for other ways of training: without meaning here."""

_REFUSED = {
    "split": "Give train_split and valid_split.",
    "streaming": "Give a slice, such as train_split: train[:10000].",
    "token": "It would be written into the journal. Log in with: hf auth login",
}
"""Arguments of `datasets.load_dataset` that have no place in a block's `config`."""

_HINT = "hf_dataset: {path: ORG/NAME, train_split: 'train[:90%]', prompt_feature: ...}"


def blocks(value: Mapping[str, Any] | Sequence[Any]) -> list[dict[str, Any]]:
    """The blocks of `hf_dataset`, each with its `path` and `config`.

    `config` has the arguments of `datasets.load_dataset`, `name` among them.  Raises
    `UsageError` for an unknown key, with the nearest known one.
    """
    given = [value] if isinstance(value, Mapping) else list(value)
    if not given:
        raise UsageError("hf_dataset is an empty list", hint=_HINT)
    return [_block(block) for block in given]


def _block(given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise UsageError(f"hf_dataset has {given!r}, which is no mapping", hint=_HINT)
    known = (*_TEXTS, "config", *_OF_OTHER_TRAINERS)
    for key, value in given.items():
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"Did you mean '{near[0]}'?" if near else _HINT
            raise UsageError(f"unknown key '{key}' in hf_dataset", hint=hint)
        if key in _TEXTS and value is not None and not isinstance(value, str):
            raise UsageError(
                f"hf_dataset's {key} is {value!r}, which is not text", hint=_HINT
            )
    block = {key: given[key] for key in _TEXTS if given.get(key)}
    config = given.get("config") or {}
    if isinstance(config, str):
        config = {"name": config}
    if not isinstance(config, Mapping):
        raise UsageError(
            f"hf_dataset's config is {config!r}, which is no mapping", hint=_HINT
        )
    if refused := config.keys() & _REFUSED.keys():
        key = min(refused)
        raise UsageError(f"hf_dataset's config cannot have '{key}'", hint=_REFUSED[key])
    # Before it had `path`, mlx-lm called that `name`.
    path = block.pop("path", None) or block.pop("name", None)
    if not path:
        raise UsageError("hf_dataset has no path", hint=_HINT)
    own = {key: block.pop(key) for key in ("name", "revision") if key in block}
    return {"path": path, "config": {**config, **own}, **block}
