"""Checkpoints and the published adapter, held to the journal that vouches for them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from onlinedpo.journal import disk, manifest
from onlinedpo.journal.manifest import ADAPTER, CONFIG, Manifest
from onlinedpo.journal.plain_files import contents
from onlinedpo.journal.present import NO_FILE
from onlinedpo.journal.reader import Anchors
from onlinedpo.states.errors import AuditFailed
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import Record, Step

_HINT = (
    "Move the folder away: the next 'onlinedpo run' takes its steps again from the"
    " journal."
)
_ADAPTER_HINT = "The next 'onlinedpo run' puts the checkpoint's adapter there again."


@dataclass(slots=True)
class Checkpoints:
    """The checkpoints of a run, as they lay there when the audit began."""

    folder: Path
    sound: list[Manifest]
    damaged: list[Path]
    verified: list[int] = field(default_factory=list)
    """Steps whose checkpoint holds what the journal says."""
    uncommitted: list[int] = field(default_factory=list)
    """Steps that the journal does not have: the process ended before their commit."""
    undone: list[int] = field(default_factory=list)
    """Steps that a rewind has undone."""
    adapter: int | None = None
    """The step whose adapter lies in RUN/adapters; None: it could not be told."""
    _states: dict[int, set[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Path) -> Checkpoints:
        """Look at what is there; files are not read yet."""
        sound, damaged = manifest.find(run / "checkpoints")
        found = cls(run / "checkpoints", sound, damaged)
        found._states = {one.step: set() for one in sound}
        return found

    @property
    def anchors(self) -> Anchors:
        """Places that the journal must contain."""
        return {found.frame: found.chain for found in self.sound}

    def observe(self, record: Record, ledger: Ledger) -> None:
        """Note what the journal says of a step with a checkpoint."""
        if isinstance(record, Step) and record.index in self._states:
            self._states[record.index].add(record.state)

    def check(self, ledger: Ledger, adapters: Path) -> None:
        """Raise `AuditFailed` at the first that is not what the journal says.

        And OSError where one cannot be read.
        A run at work removes old ones meanwhile: what is gone is passed over.
        """
        for path in self.damaged:
            if (path / manifest.NAME).exists():
                raise _failed(path, "its manifest is not as it was written")
        present = [found for found in self.sound if self._check(found, ledger)]
        self._check_adapter(present, adapters)

    def _check(self, found: Manifest, ledger: Ledger) -> bool:
        """Whether a checkpoint is there and belongs to a step of the journal."""
        wrong, state = found.wrong_file(), ""
        try:
            state = found.state_of_files() if not wrong else ""
        except (*NO_FILE, ValueError):
            wrong = "a file in it"
        if not (found.path / manifest.NAME).exists():
            return False
        if wrong:
            raise _failed(found.path / wrong, "this is not what the manifest says")
        if state != found.state:
            told = f"{state[:16]}..., and the manifest says {found.state[:16]}..."
            raise _failed(found.path, f"the digest of its tensors is {told}")
        recorded = ledger.checkpoints.get(found.step)
        if recorded == state:
            self.verified.append(found.step)
            return True
        if state in self._states[found.step]:
            self.undone.append(found.step)
        elif found.step > ledger.steps:
            self.uncommitted.append(found.step)
        else:
            said = f"{recorded[:16]}..." if recorded else "that it has none"
            told = f"{state[:16]}..., and the journal says {said}"
            raise _failed(found.path, f"the digest of its tensors is {told}")
        return False

    def _check_adapter(self, present: Sequence[Manifest], adapters: Path) -> None:
        """The published adapter is that of a checkpoint: perhaps of the one before.

        It is published after the commit, so a crash may come in between.
        """
        try:
            digest = disk.file_digest(adapters / ADAPTER)
            said = json.loads(contents(adapters / CONFIG)).get("step")
        except (OSError, ValueError, AttributeError, RecursionError):
            return
        of = {found.files.get(ADAPTER): found.step for found in reversed(self.sound)}
        self.adapter = of.get(digest)
        there = {found.step for found in present if (found.path / ADAPTER).exists()}
        if self.adapter is None and isinstance(said, int) and said in there:
            raise AuditFailed(
                f"{adapters / ADAPTER}: this is not the adapter of the checkpoint of"
                f" step {said}, which it says it is",
                hint=_ADAPTER_HINT,
            )


def _failed(path: Path, why: str) -> AuditFailed:
    return AuditFailed(f"{path}: {why}", hint=_HINT)
