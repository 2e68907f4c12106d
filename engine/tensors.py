"""Named tensors as bytes: a digest that does not depend on how a file lays them out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten

Tensors = dict[str, mx.array]
"""Flat parameter name -> array."""


def flat(tree: Any) -> Tensors:
    """A tree of arrays as a flat dictionary, sorted by name."""
    pairs: Any = tree_flatten(tree)
    return dict(sorted(pairs))


def digest(tensors: Mapping[str, mx.array]) -> str:
    """SHA-256 over every tensor's name, dtype, shape and bytes, in order of names."""
    whole = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        whole.update(f"{name}\0{tensor.dtype}\0{tensor.shape}\0".encode())
        octets: Any = mx.contiguous(tensor).reshape(-1).view(mx.uint8)
        whole.update(memoryview(octets))
    return whole.hexdigest()


def scalar(value: mx.array) -> float:
    """A one-element array as a Python float."""
    number: Any = value.item()
    return float(number)


def floats(values: mx.array) -> list[float]:
    """A one-dimensional array as Python floats."""
    numbers: Any = values.tolist()
    return [float(number) for number in numbers]
