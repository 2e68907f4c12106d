"""Checkpoints: a cache of the journal, so that a resumed run recomputes nothing.

A checkpoint is a folder that appears whole, by a rename.  Its manifest holds the digest
of every file, of the tensors, and the place in the journal it was made at.  It counts
only once the journal has a `Step` record with the same tensor digest: that append is
the commit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx

from onlinedpo.engine.tensors import Tensors, digest
from onlinedpo.journal import disk
from onlinedpo.journal.crashpoint import reached
from onlinedpo.states.errors import OnlineDPOError

KEEP = 2
"""Checkpoints that stay: the newest, and one to fall back on."""

_ADAPTER, _OPTIMIZER = "adapters.safetensors", "optimizer.safetensors"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint whose manifest is sound; its tensors are not read yet."""

    path: Path
    step: int
    state: str
    frame: int
    chain: bytes
    files: Mapping[str, str]

    def load(self) -> tuple[Tensors, Tensors] | None:
        """(adapter, optimizer) tensors, in memory, or None if a byte is not right."""
        for name, expected in self.files.items():
            try:
                if disk.file_digest(self.path / name) != expected:
                    return None
            except OSError:
                return None
        adapter, optimizer = (
            _load(self.path / name) for name in (_ADAPTER, _OPTIMIZER)
        )
        # MLX loads lazily: the file may be pruned later.
        mx.eval(adapter, optimizer)
        return (
            (adapter, optimizer) if state_of(adapter, optimizer) == self.state else None
        )


def state_of(adapter: Tensors, optimizer: Tensors) -> str:
    """The digest by which the journal knows a step's outcome."""
    named = {f"adapter/{k}": v for k, v in adapter.items()}
    named |= {f"optimizer/{k}": v for k, v in optimizer.items()}
    return digest(named)


def save(
    folder: Path,
    step: int,
    adapter: Tensors,
    optimizer: Tensors,
    position: tuple[int, bytes],
) -> str:
    """Write the checkpoint of a step, whole and synced; returns the state's digest.

    Raises `OnlineDPOError` if the disk does not take it; the step is then not taken.
    """
    with _telling(folder, step):
        final = folder / name_of(step)
        temporary = folder / f"{disk.TEMPORARY}{final.name}"
        temporary.mkdir(parents=True)
        state = state_of(adapter, optimizer)
        files = {}
        for name, tensors in ((_ADAPTER, adapter), (_OPTIMIZER, optimizer)):
            path = temporary / name
            mx.save_safetensors(str(path), tensors)
            files[name] = disk.file_digest(path)
            reached(f"checkpoint.{name}")
        frame, chain = position
        manifest = {
            "step": step,
            "state": state,
            "journal": {"frame": frame, "chain": chain.hex()},
            "files": files,
        }
        (temporary / "manifest.json").write_bytes(_sealed(manifest))
        reached("checkpoint.manifest")
        # All is written before any of it is synced: the disk then does it in one go.
        disk.sync_files([temporary / name for name in (*files, "manifest.json")])
        reached("checkpoint.sync")
        disk.publish(temporary, final)
    return state


def find(folder: Path) -> tuple[list[Checkpoint], list[Path]]:
    """Checkpoints with a sound manifest, newest first, and folders without one."""
    sound, damaged = [], []
    for path in sorted(folder.glob("step-*"), reverse=True):
        checkpoint = _read_manifest(path)
        if checkpoint is None:
            damaged.append(path)
        else:
            sound.append(checkpoint)
    return sound, damaged


def prune(folder: Path, newest: int) -> None:
    """Remove all but the newest committed checkpoints."""
    for path in sorted(folder.glob("step-*"), reverse=True)[KEEP:]:
        if path.name != name_of(newest):
            disk.remove_folder(path)
            reached("checkpoint.prune")


@contextmanager
def _telling(folder: Path, step: int) -> Iterator[None]:
    """Say what a disk that fails within the block means for the run."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise OnlineDPOError(
            f"the checkpoint of step {step} could not be written to {folder}: {error}",
            hint="Free space or repair the disk, then start the run again: it goes on"
            " before this step.",
        ) from error


def name_of(step: int) -> str:
    """The folder's name; names sort as steps do."""
    return f"step-{step:06d}"


def _sealed(manifest: dict[str, Any]) -> bytes:
    """The manifest as JSON, with a digest of itself."""
    seal = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    sealed = {**manifest, "sha256": seal}
    return json.dumps(sealed, indent=1, sort_keys=True).encode() + b"\n"


def _read_manifest(path: Path) -> Checkpoint | None:
    try:
        data = (path / "manifest.json").read_bytes()
        manifest = json.loads(data)
        del manifest["sha256"]
        if _sealed(manifest) != data or name_of(manifest["step"]) != path.name:
            return None
        return Checkpoint(
            path=path,
            step=manifest["step"],
            state=manifest["state"],
            frame=manifest["journal"]["frame"],
            chain=bytes.fromhex(manifest["journal"]["chain"]),
            files=manifest["files"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _load(path: Path) -> Tensors:
    tensors: Any = mx.load(str(path))
    return dict(tensors)
