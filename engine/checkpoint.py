"""Checkpoints: a cache of the journal, so that a resumed run recomputes nothing.

A checkpoint is a folder that appears whole, by a rename.  Its manifest holds the digest
of every file, of the tensors, and the place in the journal it was made at.  It counts
only once the journal has a `Step` record with the same tensor digest: that append is
the commit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import mlx.core as mx

from onlinedpo.engine.tensors import Tensors, digest
from onlinedpo.journal import atomic, disk, disk_errors, manifest
from onlinedpo.journal.crashpoint import reached
from onlinedpo.journal.manifest import (
    ADAPTER,
    NAME,
    OPTIMIZER,
    Manifest,
    name_of,
)
from onlinedpo.journal.present import listed

KEEP = 2
"""Checkpoints that stay: the newest, and one to fall back on."""


@contextmanager
def _reading() -> Iterator[None]:
    """Say what a checkpoint that cannot be read means for the run.

    It may be sound: it is neither passed over nor set aside.
    """
    try:
        yield
    except OSError as error:
        what = f"a checkpoint could not be read: {disk_errors.reason(error)}"
        otherwise = " Or move its folder away: its steps are then applied again."
        raise disk_errors.failed(what, error, otherwise) from error


@_reading()
def find(folder: Path) -> tuple[list[Manifest], list[Path]]:
    """Checkpoints with a sound manifest, newest first, and folders without one.

    Raises `StorageError` where one cannot be read.
    """
    return manifest.find(folder)


@_reading()
def load(found: Manifest) -> tuple[Tensors, Tensors] | None:
    """(adapter, optimizer) tensors, in memory, or None if a byte is not right.

    Raises `StorageError` where that cannot be told.
    """
    if found.wrong_file():
        return None
    adapter, optimizer = (_load(found.path / name) for name in (ADAPTER, OPTIMIZER))
    return (adapter, optimizer) if state_of(adapter, optimizer) == found.state else None


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

    Raises `StorageError` if the disk does not take it; the step is then not taken.
    """
    with _telling(folder, step):
        final = folder / name_of(step)
        temporary = atomic.make_temporary(final)
        state = state_of(adapter, optimizer)
        files = write(temporary, adapter, optimizer)
        manifest.write(temporary, step, state, position, files)
        reached("checkpoint.manifest")
        # All is written before any of it is synced: the disk then does it in one go.
        disk.sync_files([temporary / name for name in (*files, NAME)])
        reached("checkpoint.sync")
        atomic.publish(temporary, final)
    return state


def write(folder: Path, adapter: Tensors, optimizer: Tensors) -> dict[str, str]:
    """Write the two files, not synced yet; returns the digest of each."""
    files = {}
    for name, tensors in ((ADAPTER, adapter), (OPTIMIZER, optimizer)):
        with disk.Output(folder / name) as file:
            mx.save_safetensors(cast(BinaryIO, file), tensors)
        files[name] = file.digest
        reached(f"checkpoint.{name}")
    return files


def prune(folder: Path, newest: int) -> None:
    """Remove all but the newest committed checkpoints."""
    for path in [*reversed(listed(folder, "step-*"))][KEEP:]:
        if path.name != name_of(newest):
            atomic.remove_folder(path)
            reached("checkpoint.prune")


@contextmanager
def _telling(folder: Path, step: int) -> Iterator[None]:
    """Say what a disk that fails within the block means for the run."""
    try:
        yield
    except OSError as error:
        raise disk_errors.failed(
            f"the checkpoint of step {step} could not be written to {folder}: {error}",
            error,
        ) from error


def _load(path: Path) -> Tensors:
    try:
        tensors: Any = mx.load(str(path))
        # MLX loads lazily: the file may be pruned later.
        mx.eval(tensors)
    except RuntimeError as error:
        # Its bytes were right a moment ago: nothing is wrong with what is in it.
        raise disk_errors.failed(f"{path} could not be read: {error}", error) from error
    return dict(tensors)
