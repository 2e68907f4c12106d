"""The adapter, made again from the base model and the journal alone.

A run's checkpoints are not needed for it; every standing step is compared with what the
journal says of it.  It takes no lock and leaves the run as it is, so the run may go on
meanwhile, or be a copy that cannot be written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import mlx.core as mx

from onlinedpo.engine import checkpoint, environment
from onlinedpo.engine.constancy import must_be_the_same
from onlinedpo.engine.models import export, loading
from onlinedpo.engine.observer import Observer
from onlinedpo.engine.resume import Retaken, retake
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.engine.tensors import Tensors, scalar
from onlinedpo.engine.training.learner import Learner
from onlinedpo.engine.training.logps import Scorer
from onlinedpo.engine.training.probe import repeats
from onlinedpo.journal import disk, manifest, names
from onlinedpo.journal.making import making
from onlinedpo.journal.manifest import Manifest
from onlinedpo.journal.reader import Reader
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import StorageError, UsageError
from onlinedpo.states.given import in_force
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import RunOpened


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What taking the steps again came to."""

    into: Path
    step: int
    digests: int
    """Steps of which the journal has a digest of adapter and optimizer."""
    first: Retaken | None
    """The first step that came out other than it is recorded."""
    unpromised: str
    """Why steps need not come out equal to the bit here; empty where they must."""
    apart: Mapping[int, float]
    """The largest difference in any number of adapter and optimizer, by step, where
    the state is not the recorded one and the run has a checkpoint."""
    settings: Settings


def rebuild(
    run: RunFolder, into: Path, watch: Observer, *, to: int | None, model: str | None
) -> Rebuilt:
    """Take the steps of `run` again, up to `to`, and write what comes out to `into`.

    `model` is where the base model lies now, if that is not where it lay.  Raises
    `UsageError`, and `SettingsChanged` where the base model is not that of the run.  A
    step that comes out otherwise is told of in what is returned.
    """
    _must_be_free(into, run)
    ledger, records = _fold(run)
    settings = in_force(ledger.settings)
    begun = ledger.opened
    if begun is None or not ledger.steps:
        raise UsageError(f"{run.path} has taken no step yet", hint="Let it run first.")
    last = ledger.steps if to is None else to
    if not 1 <= last <= ledger.steps:
        raise UsageError(
            f"there is no step {last}: {run.path} stands after step {ledger.steps}",
            hint=f"Give --to a number from 1 to {ledger.steps}.",
        )
    learner, unpromised = _learner(begun, ledger, settings, model, watch)
    # They are only compared with: what cannot be read is left out.
    found, _ = manifest.find(run.checkpoints, lambda error: None)
    checkpoints = {m.step: m for m in found}
    first, digests, apart = None, 0, dict[int, float]()
    for again in retake(
        run.journal,
        learner,
        watch,
        begin=0,
        promised={} if unpromised else environment.describe(),
        records=records,
    ):
        index = again.step.index
        digests += bool(again.step.state)
        if again.difference and first is None:
            first = again
            watch.said(f"step {index} is not as it was ({again.difference})")
        if again.state != again.step.state and index in checkpoints:
            apart[index] = _distance(checkpoints[index], learner)
        if index == last:
            break
    _write(into, last, learner, settings)
    # The first step that differs may have been taken elsewhere, unlike the last one.
    if first and not first.promised:
        unpromised = unpromised or "that step was taken on another machine or version"
    return Rebuilt(into, last, digests, first, unpromised, apart, settings)


def _fold(run: RunFolder) -> tuple[Ledger, int]:
    """The state of a run, and how many records that is: it may be growing."""
    ledger, count = Ledger(), 0
    for _, batch in Reader(run.journal).folded(ledger):
        count += len(batch)
    return ledger, count


def _learner(
    begun: RunOpened,
    ledger: Ledger,
    settings: Settings,
    model: str | None,
    watch: Observer,
) -> tuple[Learner, str]:
    """The learner before the first step, and why it need not come out equal."""
    watch.doing("loading the model")
    if model:
        settings = replace(settings, model=model)
    models = loading.find(settings, begun.model)
    must_be_the_same(begun, replace(begun, model=models.as_dict()))
    trained = loading.load(models, settings, watch.said)
    learner = Learner(trained, Scorer(trained.model), settings)
    now = environment.describe()
    unpromised = environment.difference(ledger.environment, now)
    exact = environment.on_cpu() or repeats(learner)
    watch.said(environment.line(now, exact=exact))
    if not unpromised and not exact:
        unpromised = f"{now['device']} does not repeat to the bit"
    same = replace(begun, initial=trained.initial_digest())
    if not unpromised:
        must_be_the_same(begun, same)
    elif same != begun:
        watch.said("the adapter does not begin with the same bits as in the run")
    return learner, unpromised


def _distance(found: Manifest, learner: Learner) -> float:
    """The largest difference between two numbers of a checkpoint and of what came."""
    try:
        there = checkpoint.load(found)
    except StorageError:
        there = None
    if there is None:
        return float("nan")
    here = (learner.policy.trainable(), learner.state())
    return max(_apart(a, b) for a, b in zip(there, here, strict=True))


def _apart(one: Tensors, other: Tensors) -> float:
    if one.keys() != other.keys():
        return float("inf")
    return max(
        scalar(mx.abs(a.astype(mx.float32) - other[name].astype(mx.float32)).max())
        for name, a in one.items()
    )


def _must_be_free(into: Path, run: RunFolder) -> None:
    if into.resolve().is_relative_to(run.path.resolve()):
        raise UsageError(
            f"{into} lies in {run.path}, in which nothing is changed",
            hint="Give --into another folder.",
        )
    names.must_be_free(into, hint="Give --into a new or an empty folder.")


def _write(into: Path, step: int, learner: Learner, settings: Settings) -> None:
    """The adapter in mlx-lm's format and the optimizer's state, all at once."""
    with making(into) as half:
        files = checkpoint.write(half, learner.policy.trainable(), learner.state())
        disk.write_new(half / export.CONFIG, export.config(step, settings))
        disk.sync_files([half / name for name in (*files, export.CONFIG)])
