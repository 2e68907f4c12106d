"""A run is a folder; this is where its parts lie, and how its settings are kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from onlinedpo.journal import disk
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import JournalDamaged, UsageError
from onlinedpo.states.given import from_mapping

_HINT = "A settings file is lines such as 'batch_size: 8'."


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
    def labels(self) -> Path:
        """What people and other programs touch."""
        return self.path / "labels"

    @property
    def quarantine(self) -> Path:
        """What was cut off or set aside."""
        return self.path / "quarantine"

    def has_journal(self) -> bool:
        """Whether a run has begun here."""
        return any(self.journal.glob("*.odj"))

    def check(self) -> None:
        """Raise `UsageError` if this folder holds something that is no run.

        And `JournalDamaged` if it holds a run that has lost its journal.
        """
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(
                f"{self.path} is a file", hint="Give a folder for the run."
            )
        kept = sorted(self.checkpoints.glob("step-*"))
        if kept and not self.has_journal():
            raise JournalDamaged(
                f"{self.journal} holds no journal, but {kept[-1]} was made by a run",
                hint="Put the journal folder back from a copy. Without it the run is"
                " lost; to begin another one, give a new folder.",
            )
        ours = self.has_journal() or self.config.exists() or self.journal.exists()
        # A crash may have left a half-written config under a temporary name.
        others = self.path.exists() and any(
            not path.name.startswith(disk.TEMPORARY) for path in self.path.iterdir()
        )
        if others and not ours:
            raise UsageError(
                f"{self.path} holds other files and no run",
                hint="Give an empty or new folder for the run.",
            )

    def tidy(self) -> None:
        """Remove what a crash left half-written; only the run's writer may."""
        for folder in (
            *(self.path, self.journal, self.checkpoints),
            *(self.adapters, self.quarantine),
        ):
            disk.clear_temporary(folder)

    def read_config(self) -> dict[str, Any]:
        """The settings written in config.yaml; empty if it is not there."""
        return read_settings(self.config) if self.config.exists() else {}

    def write_config(self, settings: Settings) -> None:
        """Write the settings down, unless the file says the same already."""
        wanted = settings.as_dict()
        if self.config.exists() and self.read_config() == wanted:
            return
        head = "# The settings of this run, resolved. See: onlinedpo run --help\n"
        text = head + yaml.safe_dump(wanted, sort_keys=False, allow_unicode=True)
        disk.replace(self.config, text.encode())


class _Loader(yaml.SafeLoader):
    """YAML in which 1e-5 is a number, as mlx-lm reads it; YAML 1.1 has it as text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"),
    list("-+0123456789"),
)


def parse_yaml(text: str) -> Any:
    """A YAML text; raises yaml.YAMLError."""
    return yaml.load(text, _Loader)


def read_settings(path: Path) -> dict[str, Any]:
    """Settings from a YAML file; raises `UsageError` naming the file."""
    try:
        values = parse_yaml(path.read_text(encoding="utf-8-sig")) or {}
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        reason = f"{path}:{line} is not YAML: {error.problem}"
        raise UsageError(reason, hint=_HINT) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise UsageError(f"{path} cannot be read: {reason}", hint=_HINT) from error
    if not isinstance(values, Mapping):
        raise UsageError(f"{path} holds no settings", hint=_HINT)
    return from_mapping(values, str(path))
