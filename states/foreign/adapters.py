"""An adapter's shape, as other trainers write it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onlinedpo.states.checks import DEFAULT_ADAPTER, typed
from onlinedpo.states.errors import UsageError

SHAPE = {
    "rank": "rank",
    "lora_rank": "rank",
    "lora_r": "rank",
    "scale": "scale",
    "lora_scale": "scale",
    "dropout": "dropout",
    "lora_dropout": "dropout",
    "keys": "keys",
    "target_modules": "keys",
    "lora_target_modules": "keys",
    "alpha": "alpha",
    "lora_alpha": "alpha",
}
"""What a key says of an adapter."""

_MODULES = {
    **{f"{name}_proj": f"self_attn.{name}_proj" for name in "qkvo"},
    **{f"{name}_proj": f"mlp.{name}_proj" for name in ("gate", "up", "down")},
}
"""Names within a layer, as PEFT has them and as mlx-lm has them."""


def shape(given: Mapping[str, Any]) -> dict[str, Any]:
    """lora_parameters of an adapter's keys; raises `UsageError`.

    PEFT multiplies an adapter by alpha / rank (Hu et al. 2021, section 4.1), mlx-lm by
    scale: with an alpha and no scale, that is alpha / rank.
    """
    made: dict[str, Any] = {}
    for key, value in given.items():
        name = SHAPE.get(key, key)
        if value is None:
            continue
        if name in made:
            raise UsageError(
                f"an adapter's {name} is given twice, once as '{key}'",
                hint="Keep one of the two.",
            )
        made[name] = value
    if "alpha" in made:
        rank = typed("rank", made.get("rank", DEFAULT_ADAPTER["rank"]), int)
        scale = typed("alpha", made.pop("alpha"), float) / max(rank, 1)
        made.setdefault("scale", scale)
    if isinstance(made.get("keys"), list | tuple):
        made["keys"] = [_MODULES.get(str(name), name) for name in made["keys"]]
    elif made.get("keys") in ("all-linear", "all"):
        del made["keys"]
    return made
