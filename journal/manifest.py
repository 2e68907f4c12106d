"""What a checkpoint says of itself, and whether that is so: read without MLX.

A checkpoint is a folder with the adapter, the optimizer, and a manifest that holds the
digest of each file, of all tensors, and the place in the journal it was made at.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onlinedpo.journal import disk

ADAPTER, OPTIMIZER = "adapters.safetensors", "optimizer.safetensors"
NAME = "manifest.json"
CONFIG = "adapter_config.json"
"""What stands beside a published adapter."""

_PREFIXES = {ADAPTER: "adapter", OPTIMIZER: "optimizer"}

_DTYPES = {
    "BOOL": "bool_",
    "U8": "uint8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "C64": "complex64",
}
"""MLX's names for the types of safetensors: the digest is taken on these."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest that is sound in itself; its files are not read yet."""

    path: Path
    step: int
    state: str
    frame: int
    chain: bytes
    files: Mapping[str, str]

    def wrong_file(self) -> str:
        """The name of a file that is not as it was written; empty if all are."""
        for name, expected in self.files.items():
            try:
                if disk.file_digest(self.path / name) != expected:
                    return name
            except OSError:
                return name
        return ""

    def state_of_files(self) -> str:
        """The digest of the tensors in the files, as `engine.tensors` takes it.

        Raises ValueError where a file is not in the safetensors format, and OSError.
        """
        named: dict[str, tuple[str, tuple[int, ...], Path, int, int]] = {}
        for name, prefix in _PREFIXES.items():
            for key, where in _tensors(self.path / name).items():
                named[f"{prefix}/{key}"] = where
        whole = hashlib.sha256()
        for key in sorted(named):
            dtype, shape, path, begin, end = named[key]
            whole.update(f"{key}\0mlx.core.{dtype}\0{shape}\0".encode())
            if begin < end:
                with (
                    path.open("rb") as file,
                    mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
                ):
                    whole.update(memoryview(data)[begin:end])
        return whole.hexdigest()


def name_of(step: int) -> str:
    """The folder's name; names sort as steps do."""
    return f"step-{step:06d}"


def find(folder: Path) -> tuple[list[Manifest], list[Path]]:
    """Checkpoints with a sound manifest, newest first, and folders without one."""
    sound, damaged = [], []
    for path in sorted(folder.glob("step-*"), reverse=True):
        manifest = read(path)
        if manifest is None:
            damaged.append(path)
        else:
            sound.append(manifest)
    return sound, damaged


def sealed(manifest: Mapping[str, Any]) -> bytes:
    """A manifest as JSON, with a digest of itself."""
    seal = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    whole = {**manifest, "sha256": seal}
    return json.dumps(whole, indent=1, sort_keys=True).encode() + b"\n"


def read(path: Path) -> Manifest | None:
    """The manifest of a checkpoint's folder; None if it is not as it was written."""
    try:
        data = (path / NAME).read_bytes()
        manifest = json.loads(data)
        del manifest["sha256"]
        if sealed(manifest) != data or name_of(manifest["step"]) != path.name:
            return None
        return Manifest(
            path=path,
            step=manifest["step"],
            state=manifest["state"],
            frame=manifest["journal"]["frame"],
            chain=bytes.fromhex(manifest["journal"]["chain"]),
            files=manifest["files"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _tensors(path: Path) -> dict[str, tuple[str, tuple[int, ...], Path, int, int]]:
    """(dtype, shape, file, first byte, end) of each tensor in a safetensors file."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(min(length, 64 << 20))
    try:
        rows = json.loads(header)
        rows.pop("__metadata__", None)
        return {
            name: (
                _DTYPES[row["dtype"]],
                tuple(row["shape"]),
                path,
                8 + length + row["data_offsets"][0],
                8 + length + row["data_offsets"][1],
            )
            for name, row in rows.items()
        }
    except (AttributeError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not in the safetensors format") from error
