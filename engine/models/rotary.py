"""How positions are encoded, in the form in which mlx-lm reads it.

transformers 5 writes `rope_parameters`, one mapping, in the place of `rope_theta` and
`rope_scaling`.  Some of mlx-lm's architectures do not read it, and take their defaults
in silence: the model is then another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mlx.nn as nn

from onlinedpo.states.errors import UsageError


def spelled_out(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a configuration says in `rope_parameters` alone, under the older names."""
    nested = config.get("rope_parameters")
    if not isinstance(nested, Mapping) or "rope_theta" not in nested:
        return {}
    found: dict[str, Any] = {"rope_theta": nested["rope_theta"]}
    if nested.get("rope_type", "default") != "default":
        found["rope_scaling"] = dict(nested)
    return {name: value for name, value in found.items() if config.get(name) is None}


def must_be_read(model: nn.Module, config: Mapping[str, Any], name: str) -> None:
    """Raise `UsageError` if a loaded model was built with other values than these."""
    arguments = getattr(model, "args", None)
    for key, wanted in spelled_out(config).items():
        # What has no such argument encodes positions in a way of its own.
        taken = getattr(arguments, key, wanted)
        if taken != wanted and not (key == "rope_scaling" and taken):
            raise UsageError(
                f"the model '{name}' would be computed with {key} {taken}, and its"
                f" config.json says {wanted}: in rope_parameters, which mlx-lm does not"
                " read for this architecture",
                hint=f'Write "{key}": {wanted} into its config.json as well.',
            )
