"""The base in few bits, made in memory, as `mlx_lm.convert -q` would write it."""

from __future__ import annotations

from typing import Any

import mlx.nn as nn

from onlinedpo.states.errors import UsageError

WAYS: dict[str, tuple[int, str, tuple[int, ...]]] = {
    "4bits": (4, "affine", (64, 32)),
    "6bits": (6, "affine", (64, 32)),
    "8bits": (8, "affine", (64, 32)),
    "mxfp4": (4, "mxfp4", (32,)),
}
"""Bits, mode, and the sizes of a group of weights that share a scale, best first."""


def group_size(width: int, way: str) -> int | None:
    """How many of `width` weights in a row share a scale; None where no size fits."""
    return next((size for size in WAYS[way][2] if width % size == 0), None)


def is_quantized(model: nn.Module) -> bool:
    """Whether any part of a model is quantized."""
    return any("scales" in module for module in model.modules())


def quantize(model: nn.Module, way: str, name: str) -> None:
    """Quantize every layer that can be; raises `UsageError` if none can.

    A layer whose width no group divides stays as it is, and a model's own choice (a
    router in more bits) is kept, as mlx-lm does.
    """
    if is_quantized(model):
        raise UsageError(
            f"the weights of '{name}' are quantized already",
            hint="Leave quantize out: an adapter is trained on them as they are.",
        )
    bits, mode, _ = WAYS[way]
    own = getattr(model, "quant_predicate", None)

    def fits(path: str, module: nn.Module) -> bool | dict[str, Any]:
        if not hasattr(module, "to_quantized"):
            return False
        size = group_size(module["weight"].shape[-1], way)
        if size is None:
            return False
        chosen = True if own is None else own(path, module)
        if not chosen:
            return False
        ours = {"group_size": size, "bits": bits, "mode": mode}
        if not isinstance(chosen, dict):
            return ours
        narrow = module["weight"].shape[-1] % chosen.get("group_size", size)
        return {**chosen, "group_size": size} if narrow else dict(chosen)

    nn.quantize(model, class_predicate=fits)
    if not is_quantized(model):
        raise UsageError(
            f"no layer of '{name}' has a width that {way} can quantize",
            hint="Leave quantize out.",
        )
