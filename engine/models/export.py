"""The adapter in mlx-lm's own format, for `mlx_lm.generate` and `mlx_lm.fuse`."""

from __future__ import annotations

import json
from pathlib import Path

from onlinedpo.journal import atomic, disk
from onlinedpo.journal.crashpoint import reached
from onlinedpo.journal.manifest import ADAPTER, name_of
from onlinedpo.journal.manifest import CONFIG as CONFIG
from onlinedpo.journal.plain_files import contents
from onlinedpo.journal.present import NO_FILE, is_there
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError


def export(checkpoints: Path, step: int, target: Path, settings: Settings) -> None:
    """Let `target` hold the adapter of a checkpoint.

    It is a cache of the checkpoint, made again at every start: so it is synced only
    after the last step, when no start is to come.
    """
    last = step == settings.iters
    if last or not is_there(target):
        disk.make_folder(target)
    atomic.link(
        checkpoints / name_of(step) / ADAPTER,
        target / ADAPTER,
        durable=last,
    )
    reached("adapters.rename")
    atomic.replace(target / CONFIG, config(step, settings), durable=last)


def must_be_free(adapter_path: str | None) -> None:
    """Raise `UsageError` where a new run would write over another program's adapter."""
    if adapter_path is None:
        return
    target = Path(adapter_path).expanduser()
    try:
        ours = json.loads(contents(target / CONFIG)).get("trained_by")
    except (*NO_FILE, ValueError, AttributeError, RecursionError):
        ours = None
    if is_there(target / ADAPTER) and ours != "onlinedpo":
        raise UsageError(
            f"adapter_path is {adapter_path}, which holds another program's adapter",
            hint="Move it away, or give another --adapter-path. To begin from it:"
            " --resume-adapter-file.",
        )


def config(step: int, settings: Settings) -> bytes:
    """What stands beside an adapter in mlx-lm's format."""
    values = {
        # What mlx-lm reads; a full fine-tune has no adapter shape.
        "fine_tune_type": settings.fine_tune_type,
        "num_layers": settings.num_layers,
        "lora_parameters": settings.lora_parameters
        if settings.fine_tune_type != "full"
        else None,
        "model": settings.model,
        # The base was rounded in memory: to have the very policy, round it alike.
        **({"quantize": settings.quantize} if settings.quantize else {}),
        **({"revision": settings.revision} if settings.revision else {}),
        # What it does not read, for people.
        "trained_by": "onlinedpo",
        "step": step,
        "beta": settings.beta,
        "dpo_cpo_loss_type": settings.dpo_cpo_loss_type,
        "learning_rate": settings.learning_rate,
        "seed": settings.seed,
    }
    return json.dumps(values, indent=2).encode() + b"\n"
