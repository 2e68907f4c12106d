"""Files and folders that appear, change and go as a whole, whatever stops us.

What is half-made bears a temporary name, which the next start clears away.
"""

from __future__ import annotations

import contextlib
import re
import uuid
from pathlib import Path

from onlinedpo.journal import disk, names
from onlinedpo.journal.crashpoint import reached
from onlinedpo.journal.disk_errors import naming
from onlinedpo.journal.present import is_taken, is_there, listed

TEMPORARY = ".tmp-"
_OURS = re.compile(re.escape(TEMPORARY) + ".+-[0-9a-f]{8}", re.S)


def make_temporary(folder: Path) -> Path:
    """A new folder beside `folder`, to be filled and then published under that name.

    What an earlier crash left of it is removed.
    """
    temporary = folder.with_name(TEMPORARY + folder.name)
    disk.remove_tree(temporary)
    if not is_there(folder.parent):
        disk.make_folder(folder.parent)
    disk.new_folder(temporary)
    return temporary


def replace(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Give a file new contents so that a reader sees the old or the new ones, whole."""
    temporary = _temporary(path)
    try:
        with naming(path):
            (disk.write_synced if durable else disk.write_new)(temporary, data)
        reached(f"{path.name}.write")
        disk.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            disk.remove(temporary)
        raise
    reached(f"{path.name}.rename")
    if durable:
        disk.sync_folder(path.parent)


def link(source: Path, path: Path, *, durable: bool = False) -> None:
    """Let `path` be the same bytes as `source`: a hard link, or else a copy.

    If `durable`, a copy is synced as `source` is; the name is not.
    """
    temporary = _temporary(path)
    try:
        try:
            disk.hard_link(source, temporary)
        except OSError:
            disk.copy(source, temporary)
            disk.sync_files([temporary] * durable)
        disk.rename(temporary, path)
    finally:
        # Renaming one name of a file onto another of the same file does nothing at all.
        with contextlib.suppress(OSError):
            disk.remove(temporary)


def create(path: Path, data: bytes) -> bool:
    """Give a new file its contents, whole, unless the name is taken: then False.

    A power cut may lose it: but it does not leave the name without the contents.
    """
    if is_taken(path):
        return False
    temporary = _temporary(path)
    try:
        disk.write_new(temporary, data)
        disk.sync_files([temporary])
        try:
            disk.hard_link(temporary, path)
        except FileExistsError:
            return False
        except OSError:
            # No hard links here (exFAT, some network drives): nearly as good.
            if is_taken(path):
                return False
            disk.rename(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            disk.remove(temporary)
    return True


def publish(temporary: Path, final: Path) -> None:
    """Rename a finished folder into place, durably, with all that is in it."""
    disk.sync_folder(temporary)
    disk.rename(temporary, final)
    reached("folder.rename")
    disk.sync_folder(final.parent)
    reached("folder.sync")


def remove_folder(folder: Path) -> None:
    """Remove a folder that this program made; a crash leaves a temporary name."""
    doomed = folder
    if not folder.name.startswith(TEMPORARY):
        doomed = _temporary(folder)
        disk.rename(folder, doomed)
    # Else a power cut may leave the old name, and not what was in the folder: also
    # where a process that was killed gave it the temporary one.
    disk.sync_folder(folder.parent)
    disk.remove_tree(doomed)


def clear_temporary(folder: Path) -> None:
    """Remove what earlier crashes left under names that only we give."""
    for leftover in listed(folder, TEMPORARY + "*"):
        (remove_folder if leftover.is_dir() else disk.remove)(leftover)


def clear_files(folder: Path) -> None:
    """The same in a folder that others put files into, too: no more than our own."""
    for leftover in listed(folder):
        if _OURS.fullmatch(leftover.name) and not leftover.is_dir():
            disk.remove(leftover)


def _temporary(path: Path) -> Path:
    unique = f"-{uuid.uuid4().hex[:8]}"
    return path.with_name(names.ending(TEMPORARY + path.name, unique))
