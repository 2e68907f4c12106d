"""What a checkpoint says of itself, and whether that is so: read without MLX.

A checkpoint is a folder with the adapter, the optimizer, and a manifest that holds the
digest of each file, of all tensors, and the place in the journal it was made at.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onlinedpo.journal import disk
from onlinedpo.journal.disk_errors import naming
from onlinedpo.journal.plain_files import contents, open_plain
from onlinedpo.journal.present import NO_FILE, listed

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

_Tensor = tuple[str, tuple[int, ...], Path, int, int]
"""(dtype, shape, file, first byte, end)."""


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
        """The name of a file that is not as it was written; empty if all are.

        Raises OSError where one cannot be read: that says nothing of what is in it.
        """
        for name, expected in self.files.items():
            try:
                if disk.file_digest(self.path / name) != expected:
                    return name
            except NO_FILE:
                return name
        return ""

    def state_of_files(self) -> str:
        """The digest of the tensors in the files, as `engine.tensors` takes it.

        Raises ValueError where a file is not in the safetensors format, and OSError.
        """
        named: dict[str, _Tensor] = {}
        for name, prefix in _PREFIXES.items():
            for key, where in _tensors(self.path / name).items():
                named[f"{prefix}/{key}"] = where
        whole = hashlib.sha256()
        for key in sorted(named):
            dtype, shape, path, begin, end = named[key]
            whole.update(f"{key}\0mlx.core.{dtype}\0{shape}\0".encode())
            if begin < end:
                with (
                    naming(path),
                    open_plain(path, follow=True) as file,
                    mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
                ):
                    whole.update(memoryview(data)[begin:end])
        return whole.hexdigest()


def name_of(step: int) -> str:
    """The folder's name; names sort as steps do."""
    return f"step-{step:06d}"


def find(
    folder: Path, unreadable: Callable[[OSError], None] | None = None
) -> tuple[list[Manifest], list[Path]]:
    """Checkpoints with a sound manifest, newest first, and folders without one.

    One that cannot be read is neither: `unreadable` is told of it, or OSError raised.
    """
    sound, damaged = [], []
    for path in reversed(listed(folder, "step-*")):
        try:
            manifest = read(path)
        except OSError as error:
            if unreadable is None:
                raise
            unreadable(error)
            continue
        if manifest is None:
            damaged.append(path)
        else:
            sound.append(manifest)
    return sound, damaged


def write(
    folder: Path,
    step: int,
    state: str,
    position: tuple[int, bytes],
    files: Mapping[str, str],
) -> None:
    """Put the manifest beside a checkpoint's files, not synced.

    `position` is the frame it was made at and the chain there, `files` have the digest
    of each.
    """
    frame, chain = position
    content = {
        "step": step,
        "state": state,
        "journal": {"frame": frame, "chain": chain.hex()},
        "files": dict(files),
    }
    disk.write_new(folder / NAME, sealed(content))


def sealed(manifest: Mapping[str, Any]) -> bytes:
    """A manifest as JSON, with a digest of itself."""
    seal = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    whole = {**manifest, "sha256": seal}
    return json.dumps(whole, indent=1, sort_keys=True).encode() + b"\n"


def read(path: Path) -> Manifest | None:
    """The manifest of a checkpoint's folder; None if it is not as it was written.

    Raises OSError where it cannot be read.
    """
    try:
        data = contents(path / NAME)
        manifest = json.loads(data)
        del manifest["sha256"]
        if sealed(manifest) != data or name_of(manifest["step"]) != path.name:
            return None
        frame, chain = (manifest["journal"][name] for name in ("frame", "chain"))
        step, state, files = (manifest[name] for name in ("step", "state", "files"))
        # Whoever can write a folder can seal one: no other file is ever read.
        fits = (type(step), type(state), type(frame)) == (int, str, int)
        if not fits or set(files) != set(_PREFIXES):
            return None
        return Manifest(
            path=path,
            step=step,
            state=state,
            frame=frame,
            chain=bytes.fromhex(chain),
            files=dict(files),
        )
    except (*NO_FILE, ValueError, KeyError, TypeError, RecursionError):
        return None


def _tensors(path: Path) -> dict[str, _Tensor]:
    """The tensors in a safetensors file, by name; raises ValueError and OSError."""
    with naming(path), open_plain(path, follow=True) as file:
        length = int.from_bytes(file.read(8), "little")
        size = file.seek(0, 2)
        file.seek(8)
        # What it claims gets no room before it is there.
        header = file.read(min(length, size, 64 << 20))
    try:
        rows = json.loads(header)
        rows.pop("__metadata__", None)
        return {
            name: _tensor(row, path, 8 + length, size) for name, row in rows.items()
        }
    except (
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
        RecursionError,
    ) as error:
        raise ValueError(f"{path} is not in the safetensors format") from error


def _tensor(row: Mapping[str, Any], path: Path, start: int, size: int) -> _Tensor:
    """One tensor, whose bytes lie within the file of `size`, counted from `start`."""
    begin, end = row["data_offsets"]
    whole = (type(begin), type(end)) == (int, int)
    if not whole or not 0 <= begin <= end <= size - start:
        raise ValueError("its bytes are not there")
    return _DTYPES[row["dtype"]], tuple(row["shape"]), path, start + begin, start + end
