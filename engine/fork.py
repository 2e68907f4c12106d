"""A new run from another: from one of its checkpoints, or its pairs labelled anew.

It is made under a temporary name and renamed in the end, so that what bears the name is
whole.  The other run is only read.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from onlinedpo.engine.judges.choosing import candidate
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.journal import disk, forking, manifest, names, other_labels
from onlinedpo.journal.crashpoint import reached
from onlinedpo.journal.forking import Source
from onlinedpo.journal.making import making
from onlinedpo.journal.writer import Journal
from onlinedpo.states import given
from onlinedpo.states.errors import UsageError
from onlinedpo.states.lifecycle import by_table
from onlinedpo.states.replanning import Choose, only_people
from onlinedpo.states.settings.judging import ASKED
from onlinedpo.states.verdicts.judges import with_rubric

Labels = Literal["same", "rejudged", "human"]


@dataclass(frozen=True, slots=True)
class Forked:
    """What a fork made."""

    step: int
    """The step of the other run that it begins after; 0 where it takes all again."""
    iters: int
    checkpoint: bool
    """Whether it has that step's checkpoint: else its steps are taken again."""
    changed: Mapping[str, Any]
    batches: int = 0
    corrected: int = 0
    """Pairs that have another label than the other run trained on, or dropped."""
    left_out: int = 0
    """Pairs that the other judge was not asked about."""


def fork(
    run: RunFolder,
    new: RunFolder,
    wanted: Mapping[str, Any],
    *,
    at: int | None = None,
    labels: Labels = "same",
    rejudged: Path | None = None,
) -> Forked:
    """Make `new` of what `run` is, with the settings `wanted` from there on.

    With the same labels it stands after step `at` (default: the last one).  With others
    it is to take all steps again.  Raises `UsageError` and `JournalError`.
    """
    names.must_be_free(new.path)
    source = forking.read(run.journal)
    _must_be_a_run(run, source)
    with making(new.path) as path:
        half = RunFolder(path)
        with Journal.create(half.journal, uuid.uuid4().bytes, by_table) as journal:
            if labels == "same":
                forked = _same(run, half, source, journal, wanted, at)
            else:
                forked = _relabelled(source, journal, wanted, labels, rejudged)
            settings = given.in_force(journal.ledger.settings)
            if journal.ledger.asked:
                # People have answered, or are waited for: in this run too.
                disk.make_folder(half.labels)
        half.write_config(settings)
        reached("fork.written")
    return forked


def _same(
    run: RunFolder,
    half: RunFolder,
    source: Source,
    journal: Journal,
    wanted: Mapping[str, Any],
    at: int | None,
) -> Forked:
    step, now = source.ledger.steps if at is None else at, time.time()
    if step not in source.steps:
        last = source.ledger.steps
        raise UsageError(
            f"there is no step {step} to begin from: {run.path} stands after step"
            f" {last}",
            hint=f"Give --at a number from 1 to {last}." if last else "",
        )
    forking.copy(source, journal, source.steps[step][0], now)
    ledger = journal.ledger
    changed = given.fork(ledger.settings, {**_own_adapter(), **wanted})
    # Named, it is looked at anew: a function may have changed under its name.
    judge = _judge(journal, changed, anew="judge" in wanted)
    forking.derive(
        journal, source, step=step, labels="same", changed=changed, judge=judge, now=now
    )
    forking.ask_people(journal, now)
    state = ledger.checkpoints.get(step, "")
    copied = bool(state) and _copy_checkpoint(
        run.checkpoints, half.checkpoints, step, state, journal.position
    )
    return Forked(step, int(ledger.settings["iters"]), copied, changed)


def _relabelled(
    source: Source,
    journal: Journal,
    wanted: Mapping[str, Any],
    labels: Labels,
    rejudged: Path | None,
) -> Forked:
    now, ledger = time.time(), journal.ledger
    if given_twice := set(ASKED) & wanted.keys():
        raise UsageError(
            f"--labels {labels} says who judges: with it, there can be no"
            f" {', '.join(sorted(given_twice))}",
            hint="Leave it out.",
        )
    # Another judge takes its own win rates.
    forking.copy(source, journal, source.frame, now, win_rates=False)
    settings = given.in_force(ledger.settings)
    judge: Mapping[str, Any] = {"kind": "people"}
    names: dict[str, Any] = {}
    left_out = 0
    choose: Choose
    if labels == "human":
        if not settings.people_judge:
            names = {"judge": "human"}
        choose = only_people(wanted.get("resolve", settings.resolve), now)
    else:
        assert rejudged is not None
        other = other_labels.rejudged(rejudged, source)
        choose, judge, left_out = other.choose(now), other.judge, other.left_out
        there = given.in_force(other.settings)
        names = {name: getattr(there, name) for name in ASKED}
    new_settings = {**ledger.settings, **wanted}
    planned = forking.replan(journal, choose, labels, new_settings)
    steps = planned.steps(new_settings)
    changed = given.fork(
        ledger.settings,
        {"iters": steps, **names, **_own_adapter(), **wanted},
    )
    forking.derive(
        journal,
        source,
        step=source.ledger.steps,
        labels=labels,
        changed=changed,
        judge=judge,
        now=now,
    )
    forking.ask_people(journal, now)
    forking.begin_again(journal, planned, now)
    return Forked(
        step=0,
        iters=int(ledger.settings["iters"]),
        checkpoint=False,
        changed=changed,
        batches=steps,
        corrected=len(planned.corrected()),
        left_out=left_out,
    )


def _must_be_a_run(run: RunFolder, source: Source) -> None:
    derived = source.ledger.derived
    if derived and derived.purpose == "rejudge":
        raise UsageError(
            f"{run.path} holds another judge's verdicts, and no run",
            hint="Give the run, and this folder as --rejudged.",
        )


def _own_adapter() -> dict[str, Any]:
    """Two runs must not put their adapters into the same place."""
    return {"adapter_path": None}


def _judge(
    journal: Journal, changed: Mapping[str, Any], *, anew: bool
) -> Mapping[str, Any]:
    """The judge from here on, by content; raises `UsageError` if it is not found."""
    opened = journal.ledger.opened
    assert opened is not None
    before = opened.judge
    settings = given.in_force({**journal.ledger.settings, **changed})
    if settings.people_judge:
        return {"kind": "people"}
    if anew or changed.keys() & (set(ASKED) - {"judge_system", "judge_orders"}):
        return candidate(settings).identity
    return with_rubric(before, settings.judge_system)


def _copy_checkpoint(
    there: Path, here: Path, step: int, state: str, position: tuple[int, bytes]
) -> bool:
    """Copy the checkpoint of a step, if it is whole; whether it was.

    A run at work may remove it meanwhile.
    """
    found = manifest.read(there / manifest.name_of(step))
    if found is None or found.state != state:
        return False
    copied = here / found.path.name
    disk.make_folder(copied)
    try:
        whole = all(
            disk.copy(found.path / name, copied / name) == digest
            for name, digest in found.files.items()
        )
        if whole and replace(found, path=copied).state_of_files() == state:
            manifest.write(copied, step, state, position, found.files)
            disk.sync_files([copied / name for name in (*found.files, manifest.NAME)])
            disk.sync_folder(copied)
            return True
    except (FileNotFoundError, ValueError):
        pass
    disk.remove_tree(copied)
    return False
