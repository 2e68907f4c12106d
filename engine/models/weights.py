"""What a model's weight files hold, read from their headers: no tensor is loaded."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onlinedpo.states.errors import UsageError

PATTERN = "model*.safetensors"
"""The weight files that mlx-lm loads."""

_LONGEST = 100_000_000
"""Bytes of a header, as the format's own reader has it."""

_CONVERT = "Convert it first: mlx_lm.convert --hf-path {} --mlx-path NEW."
_AGAIN = "Download or convert the model again."


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor in a file: dtype as the file writes it (BF16), shape, size in bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


def tensors(folder: Path) -> list[Tensor]:
    """All tensors of a model; raises `UsageError` for files that are not whole."""
    files = sorted(folder.glob(PATTERN))
    if not files:
        raise _no_weights(folder)
    _must_be_complete(folder, {file.name for file in files})
    return [tensor for file in files for tensor in header(file)]


def header(file: Path) -> list[Tensor]:
    """The tensors of one safetensors file; raises `UsageError` if it is cut off.

    The format: the header's length in 8 bytes (little-endian), the header as JSON, and
    the tensors' bytes at the offsets that it gives.
    """
    try:
        with file.open("rb") as opened:
            (length,) = struct.unpack("<Q", opened.read(8))
            # The length of a file that is none is any number.
            if length > file.stat().st_size:
                raise ValueError("its header is cut off")
            if length > _LONGEST:
                raise ValueError(f"its header has {length} bytes, which none has")
            described: dict[str, Any] = json.loads(opened.read(length))
        described.pop("__metadata__", None)
        found = [_tensor(name, told) for name, told in described.items()]
        ends = max((t["data_offsets"][1] for t in described.values()), default=0)
        if 8 + length + ends > file.stat().st_size:
            missing = 8 + length + ends - file.stat().st_size
            raise ValueError(f"its last {missing} bytes are missing")
    except (
        *(struct.error, ArithmeticError, AttributeError, LookupError),
        *(RecursionError, TypeError, ValueError),
    ) as error:
        why = error if type(error) is ValueError else "it is no safetensors file"
        raise UsageError(f"{file} cannot be read: {why}", hint=_AGAIN) from None
    return found


def _tensor(name: str, told: dict[str, Any]) -> Tensor:
    begin, end = told["data_offsets"]
    if not all(
        type(size) is int and size >= 0 for size in (*told["shape"], begin, end)
    ):
        raise TypeError("a shape and a place are whole numbers")
    return Tensor(name, str(told["dtype"]), tuple(told["shape"]), end - begin)


def _must_be_complete(folder: Path, files: set[str]) -> None:
    index = folder / "model.safetensors.index.json"
    # An index may be left over from before the model was saved in one file.
    if not index.is_file() or "model.safetensors" in files:
        return
    try:
        told = json.loads(index.read_text(encoding="utf-8"))
        wanted = set(told["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UsageError(f"{index} cannot be read", hint=_AGAIN) from None
    if missing := sorted(wanted - files):
        raise UsageError(
            f"{folder} lacks {len(missing)} of the model's {len(wanted)} weight files:"
            f" {', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''}",
            hint=_AGAIN,
        )


def _no_weights(folder: Path) -> UsageError:
    def has(*patterns: str) -> bool:
        return any(next(folder.glob(pattern), None) for pattern in patterns)

    what = f"no weights ({PATTERN})"
    hint = "Give a folder that holds an MLX model, or the id of one on the Hub."
    if has("*.bin", "*.pt", "*.pth"):
        what, hint = "PyTorch weights only", _CONVERT.format(folder)
    elif has("*.gguf"):
        what = "GGUF weights only"
        hint = "Give the model that the GGUF file was made from."
    return UsageError(f"the model in {folder} has {what}", hint=hint)
