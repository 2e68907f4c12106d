"""Settings as they are given: by flags, a file, or the journal of a run."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_type_hints

from onlinedpo.states.checks import plain, typed
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import SettingsChanged, UsageError

ALIASES = {
    "loss_type": "dpo_cpo_loss_type",
    "train_type": "fine_tune_type",
    "gradient_accumulation_steps": "grad_accumulation_steps",
}


def from_mapping(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Known settings out of a YAML mapping or the flags, aliases translated.

    Raises `UsageError` for an unknown key, with the nearest known one.
    """
    known = {f.name for f in fields(Settings)}
    settings: dict[str, Any] = {}
    for key, value in values.items():
        name = ALIASES.get(key, key)
        if name not in known:
            near = difflib.get_close_matches(str(key), [*known, *ALIASES], n=1)
            hint = f"Did you mean '{near[0]}'?" if near else "See onlinedpo run --help."
            raise UsageError(f"unknown setting '{key}' in {where}", hint=hint)
        if name in settings:
            raise UsageError(
                f"'{name}' is given twice in {where}, once as '{key}'",
                hint="Keep one of the two.",
            )
        settings[name] = value
    return settings


def in_force(journalled: Mapping[str, Any]) -> Settings:
    """Journalled settings; a run from before one existed had its default."""
    return Settings(**{**Settings().as_dict(), **journalled})


def changes(before: Settings, after: Settings) -> dict[str, Any]:
    """The settings of `after` that differ from those of `before`."""
    return {
        name: value
        for name, value in after.as_dict().items()
        if plain(value) != plain(getattr(before, name))
    }


def resume(journalled: Mapping[str, Any], wanted: Mapping[str, Any]) -> Settings:
    """The settings to go on with: the journalled ones, with allowed changes.

    Raises `SettingsChanged` with a diff where a change could alter the result.
    """
    # A run from before a setting existed had its default.
    journalled = {**Settings().as_dict(), **journalled}
    resumable = {f.name for f in fields(Settings) if f.metadata["resumable"]}
    hints = get_type_hints(Settings)
    wanted = {name: typed(name, value, hints[name]) for name, value in wanted.items()}
    refused = [
        f"  {name}: {journalled[name]!r} -> {value!r}"
        for name, value in wanted.items()
        if name not in resumable and plain(value) != plain(journalled[name])
    ]
    if refused:
        raise SettingsChanged(
            "these settings would change a run that has begun:\n" + "\n".join(refused),
            hint="Leave them as they were, or start another run folder with them.",
        )
    return Settings(**{**journalled, **wanted})


FIXED_BY_COPY = (
    *("model", "data", "seed", "val_prompts", "max_seq_length"),
    *("fine_tune_type", "num_layers", "lora_parameters"),
    *("optimizer", "optimizer_config"),
)
"""Settings of which a fork's copied facts and its adapter and optimizer are made."""


def fork(journalled: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a fork changes from here on.

    Raises `UsageError` for one that made what is copied, and for a value that does not
    fit.
    """
    before = in_force(journalled)
    after = in_force({**before.as_dict(), **wanted})
    changed = changes(before, after)
    if refused := [name for name in FIXED_BY_COPY if name in changed]:
        raise UsageError(
            f"a fork cannot change {', '.join(refused)}: the pairs, adapter and"
            " optimizer that it begins with were made with it",
            hint="Leave it as it was, or start a new run with it.",
        )
    return changed
