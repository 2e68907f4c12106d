"""RUN/labels: where people and other programs leave their answers.

    todo/     one file for each answer that is wanted
    done/     files whose answer is in the journal, and dropped files that were read
    inbox/    files dropped by other programs
    guidelines.md

Nothing that somebody saved is deleted or overwritten here: what we wrote ourselves and
nobody touched is removed, all else is moved, never onto another name.

RUN/labels may be a link to a folder elsewhere, such as a shared drive.  The three in it
may not, or files would be moved to wherever somebody pointed one.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import pwd
from collections.abc import Container, Mapping
from pathlib import Path

from onlinedpo.journal import atomic, disk, names, plain_files
from onlinedpo.journal.present import is_taken, listed
from onlinedpo.states.answers import version
from onlinedpo.states.visible import safe, visible

MAX_LABEL_FILE = 8 << 20
"""Bytes of a label file; a larger one is not read."""

GUIDELINES = """\
# What counts

{rubric}

This file is yours: change it as you like. Each label is kept with a digest of what it
said at that time.
"""

_WITHDRAWN = ".withdrawn-"
_NOTE, _RECEIPT = ".error", ".receipt"

_ERROR = """\
{name} could not be read as an answer:

  {reason}

Your file was not touched. Mend it and save it again; this note then goes away.
"""


class LabelFolder:
    """The folders of one run, and what is done in them."""

    def __init__(self, path: Path) -> None:
        """Nothing is made yet."""
        self.path = path
        self.todo = path / "todo"
        self.done = path / "done"
        self.inbox = path / "inbox"
        self.guidelines = path / "guidelines.md"
        self._left: set[Path] = set()
        """Folders that files went from, and that are not synced since."""

    def make(self, guidelines: str) -> None:
        """Make the folders, and the guidelines unless there are some."""
        self.check()
        for folder in self._parts:
            disk.make_folder(folder)
            atomic.clear_files(folder)
        atomic.clear_files(self.path)
        for hidden in listed(self.done, f"{_WITHDRAWN}*"):
            # A crash came between the move and the look: it may be somebody's.
            self._give_back(hidden)
        atomic.create(self.guidelines, guidelines.encode())

    def check(self) -> None:
        """Raise OSError where a link or a file is in the place of a folder."""
        for folder in self._parts:
            if folder.is_symlink():
                why = "it is a link; make it a folder (labels itself may be a link)"
                raise OSError(errno.ENOTDIR, why, str(folder))
        for folder in (self.path, *self._parts):
            if is_taken(folder) and not folder.is_dir():
                why = "it is no folder: move away what is there"
                raise OSError(errno.ENOTDIR, why, str(folder))

    @property
    def _parts(self) -> tuple[Path, Path, Path]:
        return self.todo, self.done, self.inbox

    def finish_moves(self, read: Mapping[str, bytes]) -> None:
        """Move what a crash left in todo/ after its answer had come into the journal.

        `read` has the newest version that was read in each place.  Of such a file the
        journal has the name in done/, and no file bears it.
        """
        for path in [*self.todo.iterdir()]:
            digest = read.get(self.place(path))
            if digest is None:
                continue
            text = plain_files.held(path, MAX_LABEL_FILE + 1)
            if text is not None and version(text) == digest:
                self._finish_move(path, digest, read)
        self.keep_moves()

    def _finish_move(
        self, path: Path, digest: bytes, read: Mapping[str, bytes]
    ) -> None:
        for name in names.names(path):
            place, there = f"done/{name}", is_taken(self.done / name)
            if read.get(place) == digest and not there:
                self.finish(path, name)
                return
            if place not in read and not there:
                # No answer was given this name: somebody saved the same once more.
                return

    def place(self, path: Path) -> str:
        """A file's place below labels/, as the journal names it."""
        return path.relative_to(self.path).as_posix()

    def offer(self, name: str, content: bytes) -> bool:
        """Put a file into todo/, unless one of this name is there.

        A note beside one that somebody removed goes: it says nothing of the new one.
        """
        if new := atomic.create(self.todo / name, content):
            self.forgive(self.todo / name)
        return new

    def finish(self, path: Path, name: str) -> str:
        """Move a file to done/; returns the name it got, empty where it is gone.

        That is another name if somebody has just put a file there under this one.
        """
        if is_taken(self.done / name):
            name = names.free_name(Path(name), self.done)
        try:
            disk.rename(path, self.done / name)
        except FileNotFoundError:
            return ""
        self._left.add(path.parent)
        return name

    def keep_moves(self) -> None:
        """Sync the moves: an answer that came back might stand against a newer one."""
        if self._left:
            disk.sync_files([self.done, *sorted(self._left)])
            self._left.clear()

    def free_name(self, path: Path, taken: Container[str]) -> str:
        """The name that a file will have in done/, where `taken` are not to be used."""
        return names.free_name(path, self.done, taken)

    def withdraw(self, name: str, content: bytes) -> None:
        """Take a file out of todo/ that is not wanted any more.

        As we wrote it, it is removed; if anybody saved something in it, it is kept in
        done/.  A note beside it goes.
        """
        self.forgive(self.todo / name)
        hidden = self.done / f"{_WITHDRAWN}{name}"
        with contextlib.suppress(FileNotFoundError):
            # Moved first and looked at then: so no version saved meanwhile is lost.
            disk.rename(self.todo / name, hidden)
            if plain_files.held(hidden, MAX_LABEL_FILE + 1) == content:
                disk.remove(hidden)
            else:
                self._give_back(hidden)

    def _give_back(self, hidden: Path) -> None:
        """Give a hidden file in done/ its name again, or another if that is taken."""
        name = hidden.name.removeprefix(_WITHDRAWN)
        disk.rename(hidden, self.done / names.free_name(Path(name), self.done))

    def complain(self, path: Path, reason: str) -> None:
        """Put a note beside a file that says why it cannot be read."""
        _say(path, _NOTE, _ERROR.format(name=safe(path.name), reason=reason))

    def forgive(self, path: Path) -> None:
        """Remove the note beside a file."""
        _say(path, _NOTE, None)

    def receipt(self, path: Path, text: str) -> None:
        """Say beside a dropped file what became of it."""
        _say(path, _RECEIPT, text)

    def has_receipt(self, path: Path) -> bool:
        """Whether something is said beside a dropped file."""
        return is_taken(_beside(path, _RECEIPT))

    def withdraw_receipt(self, path: Path) -> None:
        """Remove what was said beside a dropped file: it has gone, or says other."""
        _say(path, _RECEIPT, None)

    def guidelines_digest(self) -> str:
        """SHA-256 of the guidelines as they are now; empty if there are none.

        Raises OSError where they cannot be read: a label would be kept without them.
        """
        text = plain_files.held(self.guidelines, MAX_LABEL_FILE, follow=True)
        return "" if text is None else hashlib.sha256(text).hexdigest()


class FreshNames:
    """Names for files that go to done/: none that was ever given there before."""

    def __init__(self, read: Mapping[str, bytes]) -> None:
        """`read` has every place that the journal names."""
        self._read = read
        self._now: set[str] = set()

    def __contains__(self, name: object) -> bool:
        """Whether a name was given."""
        return name in self._now or f"done/{name}" in self._read

    def take(self, path: Path, folder: LabelFolder) -> str:
        """The name that a file will have."""
        name = folder.free_name(path, self)
        self._now.add(name)
        return name


def run_name(run: bytes) -> str:
    """The name that label files have for a run: the beginning of its id."""
    return run.hex()[:8]


def annotator(written: str, default: str, owner: int) -> str:
    """Whose answer it is: as the file says, as is set, or the file's owner."""
    return written or default or _login(owner)


def _login(owner: int) -> str:
    try:
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        return f"user {owner}"


def _beside(path: Path, ending: str) -> Path:
    """Where something is said of a file."""
    return path.with_name(names.ending(path.name, ending))


def _say(path: Path, ending: str, text: str | None) -> None:
    """Say something beside a file, which may hold what others wrote; None: nothing."""
    beside = _beside(path, ending)
    try:
        if text is None:
            disk.remove(beside)
        else:
            raw = visible(text).encode(errors="replace")
            atomic.replace(beside, raw, durable=False)
    except OSError:
        # Where somebody has a folder of that name nothing is said.
        if not beside.is_dir():
            raise
