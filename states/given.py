"""Settings of several sources together: flags, a file, the journal of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from onlinedpo.states.checks import plain, typed
from onlinedpo.states.config import Settings, settings_hints
from onlinedpo.states.errors import (
    IllegalMove,
    JournalNewer,
    SettingsChanged,
    UsageError,
)
from onlinedpo.states.foreign.schedules import with_steps

INSTEAD = {
    "iters": "epochs",
    "data": "hf_dataset",
    "learning_rate": "lr_schedule",
    "beta": "beta_schedule",
}
"""Settings that another one replaces, where that one is given."""


def over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of two sources, of which the one above wins.

    Where it gives one of a pair of which the other replaces it, that other goes: a
    flag --learning-rate counts, whatever schedule the file has.  Of lora_parameters
    each part counts for itself.
    """
    merged = {**below, **above}
    for name, instead in INSTEAD.items():
        if above.get(name) and not above.get(instead) and below.get(instead):
            merged[instead] = None
    parts = below.get("lora_parameters"), above.get("lora_parameters")
    if isinstance(parts[0], Mapping) and isinstance(parts[1], Mapping):
        merged["lora_parameters"] = {**parts[0], **parts[1]}
    return merged


def in_force(journalled: Mapping[str, Any]) -> Settings:
    """Journalled settings; a run from before one existed had its default."""
    return Settings(**{**Settings().as_dict(), **journalled})


def must_be_known(journalled: Mapping[str, Any]) -> None:
    """Raise `IllegalMove` where a setting is not of its type, and `JournalNewer`.

    Whether they fit together is asked only where a run is to go on with them: what
    other versions allowed can still be read.
    """
    hints = settings_hints()
    for name, value in journalled.items():
        if name not in hints:
            raise JournalNewer(
                f"the setting {name!r} is not known to this version",
                hint="Use the version of onlinedpo that wrote the run, or a newer one.",
            )
        try:
            typed(name, value, hints[name])
        except UsageError as error:
            raise IllegalMove(f"settings: {error}") from error


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
    before = in_force(journalled).as_dict()
    hints = settings_hints()
    wanted = {name: typed(name, value, hints[name]) for name, value in wanted.items()}
    if wanted.get("lr_schedule"):
        wanted["lr_schedule"] = with_steps(wanted["lr_schedule"], before)
    after = over(before, wanted)
    resumable = {f.name for f in fields(Settings) if f.metadata["resumable"]}
    refused = [
        f"  {name}: {before[name]!r} -> {value!r}"
        for name, value in after.items()
        if name not in resumable and plain(value) != plain(before[name])
    ]
    if refused:
        raise SettingsChanged(
            "these settings would change a run that has begun:\n" + "\n".join(refused),
            hint="Leave them as they were, or start another run folder with them.",
        )
    return Settings(**after)


FIXED_BY_COPY = (
    *("model", "revision", "seed", "val_prompts", "max_seq_length"),
    *("data", "hf_dataset", "offline_pairs", "prompt_feature", "chat_feature"),
    *("system_feature", "chosen_feature", "rejected_feature"),
    *("quantize", "chat_template", "resume_adapter_file", "reference_model_path"),
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
    after = in_force(over(before.as_dict(), wanted))
    changed = changes(before, after)
    if refused := [name for name in FIXED_BY_COPY if name in changed]:
        raise UsageError(
            f"a fork cannot change {', '.join(refused)}: the pairs, adapter and"
            " optimizer that it begins with were made with it",
            hint="Leave it as it was, or start a new run with it.",
        )
    return changed
