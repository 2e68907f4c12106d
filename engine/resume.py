"""Back to the last committed step: from the newest sound checkpoint, or from nothing.

Steps after the checkpoint are applied again from the journal: nothing is sampled or
judged twice.  What they give is compared with what the journal says they gave.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from onlinedpo.engine import checkpoint
from onlinedpo.engine.environment import difference as differing
from onlinedpo.engine.observer import Observer
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.engine.training.learner import Learner, StepResult
from onlinedpo.journal import atomic, disk
from onlinedpo.journal.manifest import Manifest
from onlinedpo.journal.reader import Reader
from onlinedpo.states.errors import ReplayDiverged
from onlinedpo.states.given import in_force
from onlinedpo.states.ledger import LabelledPair, Ledger
from onlinedpo.states.records import Step
from onlinedpo.states.undone import standing_steps


def restore(
    folder: RunFolder,
    ledger: Ledger,
    learner: Learner,
    watch: Observer,
    *,
    environment: dict[str, str],
    position: tuple[int, bytes],
    exact: bool,
) -> None:
    """Bring adapter and optimizer to where the journal stands.

    Raises `ReplayDiverged` if re-applied steps do not reproduce the journal, unless
    that is not promised (`exact` is false, or they were taken in another environment
    than this): then it is said.
    """
    begin = _newest(folder, ledger, learner, watch)
    if begin < ledger.steps:
        since = f"the last checkpoint is of step {begin}" if begin else "no checkpoint"
        watch.said(
            f"re-applying steps {begin + 1} to {ledger.steps} from the journal"
            f" ({since})"
        )
        promised = environment if exact else {}
        _reapply(folder.journal, begin, learner, watch, promised)
        _remake(folder, ledger, learner, position)
        learner.go_on_with(in_force(ledger.settings))


def _newest(
    folder: RunFolder, ledger: Ledger, learner: Learner, watch: Observer
) -> int:
    """Load the newest committed checkpoint that is whole; returns its step, or 0."""
    sound, damaged = checkpoint.find(folder.checkpoints)
    for path in damaged:
        _set_aside(folder, path, "its manifest is damaged", watch)
    for found in sound:
        if found.step > ledger.steps:
            # Written, but the process died before the commit: the step never happened.
            atomic.remove_folder(found.path)
        elif ledger.checkpoints.get(found.step) != found.state:
            _set_aside(folder, found.path, "the journal has no such step", watch)
        elif _load(found, learner):
            return found.step
        else:
            _set_aside(folder, found.path, "a file does not match its digest", watch)
    return 0


def _load(found: Manifest, learner: Learner) -> bool:
    tensors = checkpoint.load(found)
    if tensors is not None:
        learner.restore(*tensors)
    return tensors is not None


def _remake(
    folder: RunFolder, ledger: Ledger, learner: Learner, position: tuple[int, bytes]
) -> None:
    """Write the last step's checkpoint again, where the journal says it had one."""
    recorded = ledger.checkpoints.get(ledger.steps)
    adapter, optimizer = learner.policy.trainable(), learner.state()
    if recorded == checkpoint.state_of(adapter, optimizer):
        checkpoint.save(folder.checkpoints, ledger.steps, adapter, optimizer, position)


def _set_aside(folder: RunFolder, path: Path, why: str, watch: Observer) -> None:
    disk.make_folder(folder.quarantine)
    kept = folder.quarantine / f"{path.name}-{time.time_ns()}"
    disk.rename(path, kept)
    watch.said(f"checkpoint {path} is not used: {why}; it is kept as {kept}")


def _reapply(
    journal: Path,
    begin: int,
    learner: Learner,
    watch: Observer,
    promised: dict[str, str],
) -> None:
    """Apply the journalled steps; `promised` is the environment that repeats itself."""
    told = False
    for again in retake(journal, learner, watch, begin=begin, promised=promised):
        difference = again.difference
        if difference and again.promised:
            raise ReplayDiverged(
                f"step {again.step.index}, applied again from the journal, gives"
                f" another {difference}",
                hint="The base model, the program or the machine is not what it"
                " was. Put the checkpoints folder back from a copy, or go on"
                " there.",
            )
        if difference and not told:
            told = True
            watch.said(
                f"from step {again.step.index} the rebuilt adapter is not equal to the"
                f" bit ({difference})"
            )


@dataclass(frozen=True, slots=True)
class Retaken:
    """A journalled step that was taken again, and what it came to this time.

    `state` is empty where none was recorded.  `promised`: it had to come out equal.
    """

    step: Step
    result: StepResult
    state: str
    promised: bool

    @property
    def difference(self) -> str:
        """What differs from the record; empty if all is equal to the bit."""
        step, result = self.step, self.result
        if result.loss != step.loss:
            return f"loss: {step.loss!r} was recorded, {result.loss!r} came out"
        if result.grad_norm != step.grad_norm:
            was, came = step.grad_norm, result.grad_norm
            return f"grad_norm: {was!r} was recorded, {came!r} came out"
        if self.state != step.state:
            return f"state: {step.state[:12]} was recorded, {self.state[:12]} came out"
        return ""


def retake(
    journal: Path,
    learner: Learner,
    watch: Observer,
    *,
    begin: int,
    promised: dict[str, str],
    records: int | None = None,
) -> Iterator[Retaken]:
    """Take each journalled step after `begin` again, under the settings it had.

    Steps that a rewind undid are passed over.  `promised` is the environment in which
    steps come out equal, as this one is, or empty where nothing is promised.  Of a
    journal that grows meanwhile the first `records` count.
    """
    stands = standing_steps(enumerate(islice(Reader(journal).records(), records)))
    ledger, moved = Ledger(), False
    for place, record in enumerate(islice(Reader(journal).records(), records)):
        if (
            isinstance(record, Step)
            and record.index > begin
            and stands.get(record.index) == place
        ):
            watch.doing(f"re-applying step {record.index}", ledger)
            learner.go_on_with(in_force(ledger.settings))
            result = learner.step(_pairs(ledger, record), record.index)
            state = _state(learner) if record.state else ""
            # A step from elsewhere may be off unseen, and those after it are with it.
            moved |= not promised or bool(differing(ledger.environment, promised))
            yield Retaken(record, result, state, not moved)
        ledger.fold(record)


def _state(learner: Learner) -> str:
    return checkpoint.state_of(learner.policy.trainable(), learner.state())


def _pairs(ledger: Ledger, step: Step) -> list[LabelledPair]:
    labelled = {pair.sampled.ticket: pair for pair in ledger.labelled()}
    return [labelled[ticket] for ticket in step.tickets]
