"""From a folder and some settings to a run that is ready to go on.

A new run is checked whole before anything is written.  A run that has begun is taken up
from its journal, and must be made of the same model, judge and data.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

from onlinedpo.engine import checkpoint, environment, offline
from onlinedpo.engine.constancy import must_be_the_same
from onlinedpo.engine.data import prompts
from onlinedpo.engine.data.prompts import Prompts
from onlinedpo.engine.judges.choosing import Base, judge_of
from onlinedpo.engine.judges.comparison import Judge, Outside, Tried
from onlinedpo.engine.models import export, loading, memory
from onlinedpo.engine.models.chat import must_render
from onlinedpo.engine.models.loading import Models
from onlinedpo.engine.models.policy import Policy
from onlinedpo.engine.observer import Observer
from onlinedpo.engine.people.desk import Desk
from onlinedpo.engine.reports.reporting import must_be_there
from onlinedpo.engine.resume import restore
from onlinedpo.engine.run import Run
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.engine.sampler import Sampler
from onlinedpo.engine.training.learner import Learner
from onlinedpo.engine.training.logps import Scorer
from onlinedpo.engine.training.probe import repeats
from onlinedpo.journal import disk
from onlinedpo.journal.label_folder import LabelFolder
from onlinedpo.journal.present import is_there
from onlinedpo.journal.writer import Journal
from onlinedpo.states import given
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError
from onlinedpo.states.foreign.schedules import with_steps
from onlinedpo.states.lifecycle import LiveMachine
from onlinedpo.states.order import Order
from onlinedpo.states.records import ProcessStarted, RunOpened
from onlinedpo.states.settings.together import may_begin_with
from onlinedpo.states.verdicts.judges import NONE, members


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a run is made of, once loaded."""

    settings: Settings
    models: Models
    prompts: Prompts
    policy: Policy
    scorer: Scorer
    judge: Judge | None


def open_run(folder: RunFolder, wanted: Mapping[str, Any], watch: Observer) -> Run:
    """Begin a run in a new folder, or take up the one that is there.

    `wanted` are settings given by flags or a file; they win over RUN/config.yaml.
    Raises `OnlineDPOError` of every kind.  The caller closes `run.journal`.
    """
    folder.check()
    folder.must_be_writable()
    wanted = given.over(folder.read_config(), wanted)
    fresh = folder.is_fresh()
    journal = take_up(folder, watch) if folder.has_journal() else None
    try:
        if journal:
            _must_be_trainable(folder, journal)
        begun = journal.ledger.opened if journal else None
        if journal and begun:
            settings = given.resume(journal.ledger.settings, wanted)
        else:
            settings = Settings(**wanted)
            may_begin_with(settings)
            export.must_be_free(settings.adapter_path)
        must_be_there(settings)
        parts = _load(settings, begun, watch)
        if journal is None:
            journal = folder.begin(parts.settings)
        return _ready(folder, journal, parts, watch)
    except BaseException:
        if journal:
            if fresh and journal.ledger.opened is None:
                folder.unmake()
            journal.close()
        raise


def _must_be_trainable(folder: RunFolder, journal: Journal) -> None:
    derived = journal.ledger.derived
    if derived and derived.purpose == "rejudge":
        raise UsageError(
            f"{folder.path} cannot be trained: this folder holds verdicts only, on the"
            " pairs of another run",
            hint="To train on them: onlinedpo fork RUN NEW --labels rejudged --rejudged"
            f" {folder.path}",
        )


def take_up(folder: RunFolder, watch: Observer) -> Journal:
    """Open the journal of a run that has begun; raises `RunLocked`, `JournalError`."""
    watch.doing("reading the journal")
    sound, _ = checkpoint.find(folder.checkpoints)
    anchors = {found.frame: found.chain for found in sound}
    journal = Journal.open(folder.journal, anchors, LiveMachine())
    for cut in journal.cuts:
        watch.said(
            f"the journal had a torn tail: {cut.size} bytes at byte {cut.offset} of"
            f" segment {cut.segment} were cut off and kept as {cut.kept_as}"
        )
    return journal


def _load(settings: Settings, begun: RunOpened | None, watch: Observer) -> _Parts:
    if not settings.model:
        raise UsageError(
            "a new run needs --model",
            hint="Or try: onlinedpo run --demo",
        )
    watch.doing("reading the data")
    found = offline.load(settings) if settings.offline_pairs else prompts.load(settings)
    settings = replace(settings, iters=settings.steps_over(len(found.train)))
    if settings.lr_schedule:
        known = with_steps(settings.lr_schedule, {"iters": settings.iters})
        settings = replace(settings, lr_schedule=known)
    watch.doing("loading the model")
    models = loading.find(settings, begun.model if begun else None)
    longest = memory.longest((*found.train, *found.held_out))
    memory.must_fit(memory.estimate(models, settings, longest), watch.said)
    trained = loading.load(models, settings, watch.said)
    must_render(
        trained.tokenizer,
        models.base.id,
        (*found.train, *found.held_out),
        thinking=settings.enable_thinking,
    )
    then = members(begun.judge) if begun else []
    revisions = {str(j.get("id")): str(j.get("revision", "")) for j in then}
    judge = None
    if settings.needs_a_judge:
        judge = judge_of(settings, Base(models.base, trained, watch.said, revisions))
    if isinstance(judge, Outside):
        judge.watched_by(watch)
    if isinstance(judge, Tried) and begun is None:
        watch.doing("trying the judge")
        judge.must_answer()
    return _Parts(settings, models, found, trained, Scorer(trained.model), judge)


def _ready(folder: RunFolder, journal: Journal, parts: _Parts, watch: Observer) -> Run:
    ledger, settings = journal.ledger, parts.settings
    opened = _opening(journal, parts)
    now = environment.describe()
    learner = Learner(parts.policy, parts.scorer, settings)
    exact = environment.on_cpu() or repeats(learner)
    watch.said(environment.line(now, exact=exact))
    if (begun := ledger.opened) is None:
        journal.append([opened])
    else:
        if settings.offline_pairs and parts.judge is None:
            # Nobody is asked: a fork may know of another judge, of the labels it has.
            opened = replace(opened, judge=begun.judge)
        must_be_the_same(begun, opened)
        watch.said(f"going on after step {ledger.steps} of {settings.iters}")
        if different := environment.difference(ledger.environment, now):
            watch.said(
                f"this machine is not the one that the run was on before ({different}):"
                " it goes on, but not to the bit as it would have there"
            )
    journal.append(
        [
            ProcessStarted(
                time=time.time(),
                version=version("onlinedpo"),
                environment=now,
                changed=given.changes(given.in_force(ledger.settings), settings),
            )
        ]
    )
    folder.tidy(settings.adapter_path)
    folder.write_config(settings)
    disk.make_folder(folder.checkpoints)
    restore(
        folder,
        ledger,
        learner,
        watch,
        environment=now,
        position=journal.position,
        exact=exact,
    )
    sampler = Sampler(parts.policy.model, parts.policy.tokenizer, settings)
    return Run(
        folder=folder,
        settings=settings,
        journal=journal,
        prompts=_that_fit(parts, sampler, watch),
        order=Order(settings.seed, len(parts.prompts.train)),
        policy=parts.policy,
        sampler=sampler,
        judge=parts.judge,
        learner=learner,
        watch=watch,
        desk=_desk(folder, journal, settings, watch),
    )


def _desk(
    folder: RunFolder, journal: Journal, settings: Settings, watch: Observer
) -> Desk | None:
    """Where people are asked: also in a run that asks nobody any more, but did."""
    if not settings.asks_people and not is_there(folder.labels):
        return None
    return Desk(LabelFolder(folder.labels), journal, settings, watch.said)


def _that_fit(parts: _Parts, sampler: Sampler, watch: Observer) -> Prompts:
    """The prompts without held-out ones that are too long to be answered."""
    held_out = [
        messages
        for messages in parts.prompts.held_out
        if sampler.fits(parts.policy.encode(messages))
    ]
    if missing := len(parts.prompts.held_out) - len(held_out):
        watch.said(f"{missing} held-out prompts are longer than max_seq_length")
    if parts.settings.val_prompts and not held_out:
        watch.said("too few prompts to hold any out: no win rate is taken")
    return replace(parts.prompts, held_out=held_out)


def _opening(journal: Journal, parts: _Parts) -> RunOpened:
    nobody = "people" if parts.settings.people_judge else NONE
    return RunOpened(
        run_id=journal.run.hex(),
        time=time.time(),
        version=version("onlinedpo"),
        settings=parts.settings.as_dict(),
        model=parts.models.as_dict(),
        judge=parts.judge.identity if parts.judge else {"kind": nobody},
        data=parts.prompts.describe(),
        initial=parts.policy.initial_digest(),
    )
