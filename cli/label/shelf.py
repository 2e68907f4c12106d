"""The two folders of label files, as one labeller of several has to treat them.

Others may change, move or delete files at any time, so each is found again by its
content and read again just before it is written.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from onlinedpo.cli.label.pair import LabelFile, parse
from onlinedpo.journal import atomic, plain_files
from onlinedpo.journal.label_folder import MAX_LABEL_FILE
from onlinedpo.journal.looks import Looks, Saved
from onlinedpo.states.answers import Ask


class Shelf:
    """todo/ and done/ of one run."""

    def __init__(self, labels: Path, run: str) -> None:
        """Nothing seen yet; files of another run than this one are left alone."""
        self.todo, self.done = labels / "todo", labels / "done"
        self.files: dict[Path, LabelFile] = {}
        """What lies in todo/, as it was last seen."""
        self._run = run
        self._looks = Looks(self.todo, limit=MAX_LABEL_FILE, settle=0.0)
        self._claim: BinaryIO | None = None

    def look(self) -> list[tuple[Saved, LabelFile]]:
        """Look into todo/; returns what is new there."""
        new = []
        for saved in self._looks.look(time.monotonic()):
            file = None if saved.problem else parse(saved.raw, self._run)
            if file:
                self.files[saved.path] = file
                new.append((saved, file))
            else:
                self.files.pop(saved.path, None)
        for path in [path for path in self.files if not os.path.lexists(path)]:
            del self.files[path]
        return new

    def of(self, ask: Ask) -> dict[Path, LabelFile]:
        """The files in todo/ for an ask, read this moment."""
        self.look()
        paths = [path for path, file in self.files.items() if file.ask == ask]
        read = {path: parse(_bytes(path), self._run) for path in paths}
        return {p: file for p, file in read.items() if file and file.ask == ask}

    def find(self, raw: bytes) -> Path | None:
        """The file in todo/ or done/ that holds exactly these bytes."""
        for path in self._of_size(len(raw)):
            if _bytes(path) == raw:
                return path
        return None

    def save(self, path: Path, data: bytes) -> None:
        """Give a file new contents: once this returns they are on the disk."""
        try:
            atomic.replace(path, data)
        except FileNotFoundError:
            # A run that starts clears away half-written files, and took ours for one.
            atomic.replace(path, data)
        self.look()

    def claim(self, ask: Ask) -> bool:
        """Keep a file off other screens as long as it is on this one, if it is on none.

        The lock goes with this process, however that ends.
        """
        self.release()
        for path in [p for p, file in self.files.items() if file.ask == ask]:
            try:
                self._claim = plain_files.open_plain(path)
                fcntl.flock(self._claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, FileNotFoundError):
                self.release()
                return False
            except OSError:
                # Some network drives have no such locks: two may then see one pair.
                return True
        return True

    def release(self) -> None:
        """Leave what was claimed to others."""
        if self._claim is not None:
            self._claim.close()
            self._claim = None

    def _of_size(self, size: int) -> Iterator[Path]:
        for folder in (self.todo, self.done):
            # Names with a dot are files that are being written.
            for entry in [e for e in _entries(folder) if e.name[0] != "."]:
                try:
                    if entry.stat(follow_symlinks=False).st_size != size:
                        continue
                except FileNotFoundError:
                    continue
                if entry.is_file(follow_symlinks=False):
                    yield Path(entry.path)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(folder))
    except FileNotFoundError:
        return []


def _bytes(path: Path) -> bytes:
    try:
        return plain_files.read(path, MAX_LABEL_FILE)
    except OSError:
        return b""
