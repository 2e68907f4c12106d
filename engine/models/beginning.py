"""The adapter that a policy begins from: an earlier training's, in mlx-lm's format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx

from onlinedpo.engine.models import weights
from onlinedpo.engine.tensors import Tensors
from onlinedpo.journal.manifest import ADAPTER, CONFIG
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError


def adapter_file(wanted: str) -> Path:
    """The file that a setting names, itself or by its folder; raises `UsageError`."""
    path = Path(wanted).expanduser()
    file = path / ADAPTER if path.is_dir() else path
    if not file.is_file():
        hint = f"Give an adapter in mlx-lm's format: {ADAPTER}, or its folder."
        if (path / "adapter_model.safetensors").exists():
            hint = "It is PEFT's: convert it to mlx-lm's format first."
        raise UsageError(f"there is no adapter {file}", hint=hint)
    return file


def read(file: Path, settings: Settings, trained: Tensors) -> Tensors:
    """An adapter's tensors, as `trained` parameters are; raises `UsageError`.

    It must have the shape that the settings give, so that what mlx-lm is told of the
    run's adapter holds for it too.
    """
    config = _config(file)
    _must_agree(file, config, settings)
    told = {tensor.name: tensor.shape for tensor in weights.header(file)}
    wanted = {name: tuple(tensor.shape) for name, tensor in trained.items()}
    if told != wanted:
        raise UsageError(
            f"the adapter {file} does not fit: {_difference(told, wanted)}",
            hint=_hint(config, settings),
        )
    try:
        loaded: Any = mx.load(str(file))
        found = {name: loaded[name].astype(trained[name].dtype) for name in trained}
        mx.eval(found)
    except (RuntimeError, ValueError) as error:
        raise UsageError(
            f"the adapter {file} cannot be loaded: {error}",
            hint="Give an adapter as mlx-lm writes it.",
        ) from None
    return found


def _config(file: Path) -> dict[str, Any]:
    """What stands beside an adapter; nothing where there is no such file."""
    beside = file.with_name(CONFIG)
    if not beside.exists():
        return {}
    try:
        config = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, RecursionError, ValueError) as error:
        raise UsageError(f"{beside} cannot be read: {error}") from None
    return config if isinstance(config, dict) else {}


def _must_agree(file: Path, config: Mapping[str, Any], settings: Settings) -> None:
    kind = config.get("fine_tune_type", settings.fine_tune_type)
    if kind != settings.fine_tune_type:
        raise UsageError(
            f"the adapter {file} is of fine_tune_type {kind}, and the run of"
            f" {settings.fine_tune_type}",
            hint=_hint(config, settings),
        )
    if kind == "full":
        return
    told = config.get("lora_parameters")
    shape = told if isinstance(told, dict) else {}
    for name in ("rank", "scale"):
        if name in shape and shape[name] != settings.lora_parameters[name]:
            raise UsageError(
                f"the adapter {file} has {name} {shape[name]}, and lora_parameters has"
                f" {settings.lora_parameters[name]}",
                hint=_hint(config, settings),
            )


def _difference(told: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    for name in sorted(told.keys() & wanted.keys()):
        if told[name] != wanted[name]:
            return f"{name} is {told[name]} there, and {wanted[name]} here"
    if missing := sorted(wanted.keys() - told.keys()):
        return f"it lacks {len(missing)} tensors of {len(wanted)}, such as {missing[0]}"
    more = sorted(told.keys() - wanted.keys())
    return f"it has {len(more)} tensors that are not trained here, such as {more[0]}"


def _hint(config: Mapping[str, Any], settings: Settings) -> str:
    """The settings that fit, where they are known."""
    known = [
        f"{name}: {json.dumps(config[name])}"
        for name in ("fine_tune_type", "num_layers", "lora_parameters")
        if config.get(name) is not None
    ]
    if not known:
        return "Give fine_tune_type, num_layers and lora_parameters as in its making."
    return f"It was made with {', '.join(known)}: give the same."
