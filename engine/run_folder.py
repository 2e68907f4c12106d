"""A run is a folder; this is where its parts lie, and how its settings are kept."""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from onlinedpo.engine.settings_file import read_settings as read_settings
from onlinedpo.journal import atomic, disk, disk_errors
from onlinedpo.journal.lock import Lock
from onlinedpo.journal.present import NO_FILE, is_file, is_open_to_us, is_there, listed
from onlinedpo.journal.reader import begun
from onlinedpo.journal.writer import Journal
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import JournalDamaged, StorageError, UsageError
from onlinedpo.states.lifecycle import LiveMachine


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The paths of a run."""

    path: Path

    @property
    def config(self) -> Path:
        """The settings in force."""
        return self.path / "config.yaml"

    @property
    def journal(self) -> Path:
        """The segments of the journal."""
        return self.path / "journal"

    @property
    def checkpoints(self) -> Path:
        """One folder a checkpoint."""
        return self.path / "checkpoints"

    @property
    def adapters(self) -> Path:
        """The latest adapter, as mlx-lm takes it."""
        return self.path / "adapters"

    @property
    def metrics(self) -> Path:
        """A line a step, for plotting."""
        return self.path / "metrics.jsonl"

    @property
    def tensorboard(self) -> Path:
        """What TensorBoard plots, if `report_to` names it."""
        return self.path / "tensorboard"

    @property
    def labels(self) -> Path:
        """What people and other programs touch."""
        return self.path / "labels"

    @property
    def quarantine(self) -> Path:
        """What was cut off or set aside."""
        return self.path / "quarantine"

    def has_journal(self) -> bool:
        """Whether a run has begun here."""
        return begun(self.journal)

    def check(self) -> None:
        """Raise `UsageError` if this folder holds something that is no run.

        And `JournalDamaged` if it holds a run that has lost its journal.
        """
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(
                f"{self.path} is a file", hint="Give a folder for the run."
            )
        for part in (self.journal, self.checkpoints, self.adapters, self.labels):
            if part.is_symlink() and not part.exists():
                raise StorageError(
                    f"{part} is a link to {os.readlink(part)}, which is not there",
                    hint="Mount the disk that it lies on, or make the link anew.",
                )
        kept = listed(self.checkpoints, "step-*")
        if kept and not self.has_journal():
            raise JournalDamaged(
                f"{self.journal} holds no journal, but {kept[-1]} was made by a run",
                hint="Put the journal folder back from a copy. Without it the run is"
                " lost; to begin another one, give a new folder.",
            )
        # A crash may have left a half-written config under a temporary name.
        others = self.path.exists() and any(
            not path.name.startswith(atomic.TEMPORARY) for path in self.path.iterdir()
        )
        if others and self.is_fresh():
            raise UsageError(
                f"{self.path} holds other files and no run",
                hint="Give an empty or new folder for the run.",
            )

    def must_be_writable(self) -> None:
        """Raise `StorageError` if this folder, or the one to make it in, is not."""
        nearest = next(p for p in (self.path, *self.path.parents) if p.exists())
        if not nearest.is_dir():
            raise UsageError(f"{nearest} is a file", hint="Give a folder for the run.")
        for folder in (nearest, self.journal):
            if folder.exists() and not is_open_to_us(folder):
                raise StorageError(
                    f"{folder} cannot be written",
                    hint="Make it writable for you, or give another folder. A run that"
                    " is read-only can be looked at: 'onlinedpo status'.",
                )

    def begin(self, settings: Settings) -> Journal:
        """Make the folder of a new run, with its settings and a journal.

        Raises `StorageError` where that cannot be, and `RunLocked`; nothing is left
        then of what was not there before.
        """
        fresh = self.is_fresh()
        lock: Lock | None = None
        try:
            disk.make_folder(self.journal)
            # Before anything is written: another process may begin a run here too.
            lock = Lock(self.journal)
            if not self.has_journal():
                # First, so that a crash from here on is resumed without any argument.
                self.write_config(settings)
            return Journal.create(self.journal, uuid.uuid4().bytes, LiveMachine(), lock)
        except BaseException as error:
            if fresh and isinstance(error, OSError | StorageError):
                self.unmake(ours=lock is not None)
            if lock:
                lock.release()
            if not isinstance(error, OSError):
                raise
            reason = f"{self.path} could not be made: {error.strerror}"
            raise disk_errors.failed(reason, error) from error

    def is_fresh(self) -> bool:
        """Whether nothing of a run is here, not even of one that was begun only."""
        return not is_there(self.config) and not is_there(self.journal)

    def unmake(self, *, ours: bool = True) -> None:
        """Take away what a run made that could not begin, for which nothing is said.

        What is not `ours`, since another process has the lock, stays.
        """
        with suppress(OSError):
            if ours:
                disk.remove(self.config)
                disk.remove_tree(self.journal)
            elif self.journal.exists():
                disk.remove_empty(self.journal)
            disk.remove_empty(self.path)

    def tidy(self, adapter_path: str | None = None) -> None:
        """Remove what a crash left half-written; only the run's writer may."""
        if adapter_path:
            # Others may have files there, too.
            atomic.clear_files(Path(adapter_path))
        for folder in (
            *(self.path, self.journal, self.checkpoints),
            *(self.adapters, self.quarantine),
        ):
            atomic.clear_temporary(folder)

    def read_config(self) -> dict[str, Any]:
        """The settings written in config.yaml; empty if it is not there.

        Raises `UsageError`, and `StorageError` where the disk does not give them.
        """
        try:
            if not is_there(self.config):
                return {}
            if not is_file(self.config):
                raise UsageError(
                    f"{self.config} is no ordinary file",
                    hint="Put a file of settings there, or remove it.",
                )
            return read_settings(self.config)
        except UsageError as error:
            why = error.__cause__
            if isinstance(why, OSError) and not isinstance(why, NO_FILE):
                raise disk_errors.failed(str(error), why) from error
            if not self.has_journal():
                raise
            raise UsageError(
                str(error),
                hint="Mend it, or remove it: the journal has the settings, and it is"
                " written again.",
            ) from error

    def write_config(self, settings: Settings) -> None:
        """Write the settings down, unless the file says the same already."""
        wanted = settings.as_dict()
        if self.read_config() == wanted:
            return
        head = "# The settings of this run, resolved. See: onlinedpo run --help\n"
        text = head + yaml.safe_dump(wanted, sort_keys=False, allow_unicode=True)
        atomic.replace(self.config, text.encode())
