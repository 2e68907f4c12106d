"""Which runs lie below a folder, and how much room each takes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from onlinedpo.journal.reader import SUFFIX

PARTS = frozenset(
    (
        *("journal", "checkpoints", "adapters", "labels", "quarantine", "rejudged"),
        *("tensorboard", "wandb", "swanlog"),
    )
)
"""What lies in a run and is looked at as a part of it: no run of its own is in it."""


def find(folder: Path, unreadable: Callable[[OSError], None]) -> Iterator[Path]:
    """Every run at or below a folder, each once; hidden folders are passed over.

    A link is followed to a run that lies elsewhere, and not to other folders. Of each
    folder that cannot be read `unreadable` is told.
    """
    seen: set[Path] = set()
    links: list[Path] = []
    left = [folder]
    while left:
        looked_at = left.pop()
        run = is_run(looked_at)
        if run:
            seen.add(looked_at.resolve())
            yield looked_at
        for entry in _entries(looked_at, unreadable):
            if entry.name.startswith(".") or (run and entry.name in PARTS):
                continue
            if entry.is_symlink():
                links.append(Path(entry.path))
            elif entry.is_dir(follow_symlinks=False):
                left.append(Path(entry.path))
    for link in links:
        if is_run(link) and link.resolve() not in seen:
            seen.add(link.resolve())
            yield link


def is_run(folder: Path) -> bool:
    """Whether a run has begun here, though its journal may be lost."""
    return any(name.name.endswith(SUFFIX) for name in _entries(folder / "journal")) or (
        any(name.name.startswith("step-") for name in _entries(folder / "checkpoints"))
        and (folder / "config.yaml").exists()
    )


def size(run: Path) -> int:
    """Bytes that a run takes on the disk; a file under two names counts once."""
    total, seen = 0, set[tuple[int, int]]()
    left = [run]
    while left:
        for entry in _entries(left.pop()):
            if entry.is_dir(follow_symlinks=False):
                left.append(Path(entry.path))
                continue
            try:
                found = entry.stat(follow_symlinks=False)
            except OSError:
                # Renamed or removed since: the run is at work.
                continue
            if (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                total += found.st_blocks * 512
    return total


def written(run: Path) -> float | None:
    """When the journal was last written, in seconds; None where that cannot be told."""
    times = []
    for entry in _entries(run / "journal"):
        if entry.name.endswith(SUFFIX):
            try:
                times.append(entry.stat().st_mtime)
            except OSError:
                continue
    return max(times, default=None)


def _nothing(error: OSError) -> None:
    pass


def _entries(
    folder: Path, unreadable: Callable[[OSError], None] = _nothing
) -> list[os.DirEntry[str]]:
    """What lies in a folder, by name; nothing where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        unreadable(error)
        return []
