"""What this process computes with: it decides whether two runs agree to the bit."""

from __future__ import annotations

import platform
from importlib.metadata import version

import mlx.core as mx

from onlinedpo.engine import blas

EXACT = ("device", "blas", "mlx", "mlx-lm")
"""Entries that must be equal for a resumed run to repeat the same bits."""


def on_cpu() -> bool:
    """Whether MLX computes on the CPU."""
    return bool(mx.default_device() == mx.Device(mx.cpu, 0))


def describe() -> dict[str, str]:
    """Device, BLAS and versions, for the journal."""
    return {
        "device": _device(),
        "blas": blas.describe() if on_cpu() else "-",
        "dtype": "float32" if on_cpu() else "as stored",
        "onlinedpo": version("onlinedpo"),
        "mlx": version("mlx"),
        "mlx-lm": version("mlx-lm"),
        "transformers": version("transformers"),
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
    }


def line(environment: dict[str, str], *, exact: bool) -> str:
    """The one quiet line that a run starts with; `exact`: the same bits come twice."""
    parts = [environment["device"], environment["dtype"]]
    if on_cpu():
        parts.append(environment["blas"])
    note = ""
    if on_cpu() and blas.is_slow():
        note = " (slow; a system OpenBLAS makes this many times faster)"
    parts[-1] += note
    parts.append("repeats to the bit" if exact else "does not repeat to the bit")
    return f"mlx {environment['mlx']} on {', '.join(parts)}"


def difference(before: dict[str, str], now: dict[str, str]) -> str:
    """How this environment differs from the one before, where bits depend on it."""
    changed = [
        f"{key} was {before[key]}, is {now[key]}"
        for key in EXACT
        if before.get(key) and before[key] != now[key]
    ]
    return "; ".join(changed)


def _device() -> str:
    if on_cpu():
        return f"CPU ({platform.machine()})"
    info = mx.device_info()
    return f"GPU ({info.get('device_name', info.get('architecture', 'unknown'))})"
