"""From a folder and some settings to a run that is ready to go on.

A new run is checked whole before anything is written.  A run that has begun is taken up
from its journal, and must be made of the same model, judge and data.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from onlinedpo.engine import environment, policy, prompts
from onlinedpo.engine.chat import encode, must_have_a_template
from onlinedpo.engine.constancy import must_be_the_same
from onlinedpo.engine.identity import ModelIdentity, identify
from onlinedpo.engine.judges.choosing import judge_of
from onlinedpo.engine.judges.comparison import Judge
from onlinedpo.engine.learner import Learner
from onlinedpo.engine.logps import Scorer
from onlinedpo.engine.observer import Observer
from onlinedpo.engine.people.desk import Desk
from onlinedpo.engine.policy import Policy
from onlinedpo.engine.probe import repeats
from onlinedpo.engine.prompts import Prompts
from onlinedpo.engine.resume import restore
from onlinedpo.engine.run import Run
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.engine.sampler import Sampler
from onlinedpo.journal import disk, manifest
from onlinedpo.journal.label_folder import LabelFolder
from onlinedpo.journal.writer import Journal
from onlinedpo.states import given
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError
from onlinedpo.states.lifecycle import LiveMachine
from onlinedpo.states.order import Order
from onlinedpo.states.records import ProcessStarted, RunOpened


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a run is made of, once loaded."""

    settings: Settings
    identity: ModelIdentity
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
    wanted = {**folder.read_config(), **wanted}
    journal: Journal | None = None
    if folder.has_journal():
        journal = take_up(folder, watch)
    try:
        if journal:
            _must_be_trainable(folder, journal)
        begun = journal.ledger.opened if journal else None
        if journal and begun:
            settings = given.resume(journal.ledger.settings, wanted)
        else:
            settings = Settings(**wanted)
        parts = _load(settings, watch)
        if journal is None:
            disk.make_folder(folder.path)
            # First, so that a crash from here on is resumed without any argument.
            folder.write_config(settings)
            journal = Journal.create(folder.journal, uuid.uuid4().bytes, LiveMachine())
        return _ready(folder, journal, parts, watch)
    except BaseException:
        if journal:
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
    sound, _ = manifest.find(folder.checkpoints)
    anchors = {found.frame: found.chain for found in sound}
    journal = Journal.open(folder.journal, anchors, LiveMachine())
    for cut in journal.cuts:
        watch.said(
            f"the journal had a torn tail: {cut.size} bytes at byte {cut.offset} of"
            f" segment {cut.segment} were cut off and kept as {cut.kept_as}"
        )
    return journal


def _load(settings: Settings, watch: Observer) -> _Parts:
    if not settings.model:
        raise UsageError(
            "a new run needs --model",
            hint="Or try: onlinedpo run --demo",
        )
    found = prompts.load(
        settings.data, seed=settings.seed, held_out=settings.val_prompts
    )
    watch.doing("loading the model")
    identity = identify(settings.model)
    model, tokenizer = policy.load(identity)
    must_have_a_template(tokenizer, identity.id)
    trained = Policy(model, tokenizer, settings)
    judge = judge_of(settings, identity, trained)
    return _Parts(settings, identity, found, trained, Scorer(model), judge)


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
    folder.tidy()
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
    if not settings.asks_people and not folder.labels.exists():
        return None
    return Desk(LabelFolder(folder.labels), journal, settings, watch.said)


def _that_fit(parts: _Parts, sampler: Sampler, watch: Observer) -> Prompts:
    """The prompts without held-out ones that are too long to be answered."""
    held_out = [
        messages
        for messages in parts.prompts.held_out
        if sampler.fits(encode(parts.policy.tokenizer, messages))
    ]
    if missing := len(parts.prompts.held_out) - len(held_out):
        watch.said(f"{missing} held-out prompts are longer than max_seq_length")
    if parts.settings.val_prompts and not held_out:
        watch.said("too few prompts to hold any out: no win rate is taken")
    return Prompts(parts.prompts.train, held_out)


def _opening(journal: Journal, parts: _Parts) -> RunOpened:
    return RunOpened(
        run_id=journal.run.hex(),
        time=time.time(),
        version=version("onlinedpo"),
        settings=parts.settings.as_dict(),
        model=parts.identity.as_dict(),
        judge=parts.judge.identity if parts.judge else {"kind": "people"},
        data=parts.prompts.describe(),
        initial=parts.policy.initial_digest(),
    )
