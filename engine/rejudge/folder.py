"""The folder of another judge's verdicts on a run's pairs: begun, or taken up again."""

from __future__ import annotations

import hashlib
import json
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from onlinedpo.engine.judges.choosing import Candidate, candidate
from onlinedpo.engine.observer import Observer
from onlinedpo.engine.rejudge.request import Request
from onlinedpo.engine.rejudge.stored_pairs import StoredPairs
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.engine.start import take_up
from onlinedpo.journal import disk, snapshot
from onlinedpo.journal.writer import Journal
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import RunLocked, SettingsChanged, UsageError
from onlinedpo.states.given import changes, in_force
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.lifecycle import LiveMachine
from onlinedpo.states.records import Derived, RunOpened
from onlinedpo.states.settings.judging import ASKED
from onlinedpo.states.verdicts.judges import differing, members

PLACE = "rejudged"
"""The folder in a run's folder where verdicts lie unless another one is chosen."""
_HOW = (*{*ASKED} - {"judge", "judge_panel", "judge_model", "judge_system"},)
"""How a judge is asked; who it is, and by which rubric, its identity says."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that is known before the first pair is judged."""

    folder: RunFolder
    settings: Settings
    judge: Candidate
    pairs: StoredPairs
    opening: tuple[RunOpened, Derived]
    next_ticket: int
    """The first that has no verdicts yet."""

    def journal(self, watch: Observer) -> Journal:
        """Open the folder's journal to be written; raises `RunLocked`."""
        folder = self.folder
        if folder.has_journal():
            journal = take_up(folder, watch)
        else:
            disk.make_folder(folder.path)
            journal = Journal.create(folder.journal, uuid.uuid4().bytes, LiveMachine())
        try:
            if journal.ledger.next_ticket != self.next_ticket:
                raise RunLocked(
                    f"{folder.path}: another process has just written here",
                    hint="Give the command again.",
                )
            folder.tidy()
            if journal.ledger.opened is None:
                opened, derived = self.opening
                journal.append([replace(opened, run_id=journal.run.hex()), derived])
            # After the first frame: without it the folder could be taken for a run's.
            folder.write_config(self.settings)
        except BaseException:
            journal.close()
            raise
        return journal


def prepare(run: Path, request: Request, watch: Observer) -> Prepared:
    """Read the run, find the judge and look into the folder; nothing is written.

    Raises `UsageError`, `SettingsChanged` where the folder holds other verdicts than
    those asked for, and `JournalError`.
    """
    watch.doing("reading the run")
    source = snapshot.fold(run / "journal")
    into = RunFolder(request.into) if request.into else None
    begun = _begun(into, run, source) if into else None
    settings = request.settings(run, source, begun)
    watch.doing("looking at the judge's files")
    chosen = candidate(settings)
    judge = chosen.identity
    if into is None:
        how = changes(_asked(in_force(source.settings), settings), settings)
        into = RunFolder(run / PLACE / _slug(judge, how, request.sample))
        begun = _begun(into, run, source)
    derived = begun.derived if begun else None
    if begun and derived:
        _must_be_as_begun(into, derived, judge, request.sample)
        _must_be_asked_alike(into, in_force(begun.settings), settings)
    watch.doing("reading the run's pairs")
    pairs = StoredPairs.read(
        run / "journal",
        derived.sample if derived else request.sample,
        (derived.frame, derived.chain) if derived else None,
    )
    opening = _opening(pairs, settings, judge, request.sample)
    _tell(run, source, judge, source.next_ticket - pairs.tickets, watch)
    ticket = begun.next_ticket if begun else 0
    return Prepared(into, settings, chosen, pairs, opening, ticket)


def _begun(folder: RunFolder, run: Path, source: Ledger) -> Ledger | None:
    """What the folder holds of verdicts on this run; None where it is new."""
    folder.check()
    ledger = snapshot.fold(folder.journal) if folder.has_journal() else Ledger()
    if ledger.opened is None and not folder.config.exists():
        return None
    derived = ledger.derived
    if derived is None or derived.purpose != "rejudge":
        raise UsageError(
            f"{folder.path} is a run, and not a folder for verdicts on another's pairs",
            hint="Give --into a new folder, or leave it out.",
        )
    if source.opened is None or derived.source != source.opened.run_id:
        raise UsageError(
            f"{folder.path} holds verdicts on the pairs of another run than {run}",
            hint="Give --into a new folder, or leave it out.",
        )
    return ledger


def _must_be_as_begun(
    folder: RunFolder, begun: Derived, judge: Mapping[str, Any], sample: int | None
) -> None:
    """The same judge, by content, and as many pairs; raises `SettingsChanged`."""
    if other := differing(begun.judge, judge):
        raise SettingsChanged(
            f"{folder.path} holds another judge's verdicts: its {', '.join(other)}"
            " differs",
            hint="Give the judge and the rubric that it began with, or --into a new"
            " folder.",
        )
    if sample not in (None, begun.sample):
        raise SettingsChanged(
            f"{folder.path} is for {_pairs(begun.sample)}, and not for"
            f" {_pairs(sample)}",
            hint="Leave --sample as it was, or give --into a new folder.",
        )


def _must_be_asked_alike(folder: RunFolder, begun: Settings, now: Settings) -> None:
    """The judge is asked as it was at first; raises `SettingsChanged`."""
    if other := changes(_asked(begun, now), now):
        raise SettingsChanged(
            f"{folder.path} holds verdicts with another {', '.join(other)}",
            hint="Leave it as it was, or give --into a new folder.",
        )


def _asked(before: Settings, now: Settings) -> Settings:
    """The settings of now, but for how a judge is asked, which is as before."""
    return replace(now, **{name: getattr(before, name) for name in _HOW})


def _slug(judge: Mapping[str, Any], how: Mapping[str, Any], sample: int | None) -> str:
    """A folder name for a judge, by content, with its rubric, and a sample.

    `how` are settings by which it is asked otherwise than the run's judge.
    """
    known = members(judge)
    names = " ".join(Path(one["id"]).name for one in known)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", names).strip("-.")
    content: list[Any] = [_content(one) for one in known]
    if how:
        content.append(how)
    # Of one judge alone, as it always was: folders are found again by it.
    whole = json.dumps(content if len(content) > 1 else content[0], sort_keys=True)
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return "-".join([name[:40] or "judge", digest, *([str(sample)] if sample else [])])


def _content(judge: Mapping[str, Any]) -> dict[str, Any]:
    """What a judge is; of one elsewhere, where it is says that."""
    elsewhere = judge["kind"] == "http"
    return {k: v for k, v in judge.items() if k != "id" or elsewhere}


def _opening(
    pairs: StoredPairs,
    settings: Settings,
    judge: dict[str, Any],
    sample: int | None,
) -> tuple[RunOpened, Derived]:
    """What the new journal begins with; the id is still that of the run."""
    opened, now = pairs.ledger.opened, time.time()
    assert opened is not None
    return (
        replace(
            opened,
            time=now,
            version=version("onlinedpo"),
            settings=settings.as_dict(),
            judge=judge,
        ),
        Derived(
            purpose="rejudge",
            source=opened.run_id,
            frame=pairs.frame,
            chain=pairs.chain,
            step=pairs.ledger.steps,
            labels="rejudged",
            changed=changes(in_force(pairs.ledger.settings), settings),
            judge=judge,
            time=now,
            sample=sample,
        ),
    )


def _tell(
    run: Path,
    source: Ledger,
    judge: Mapping[str, Any],
    later: int,
    watch: Observer,
) -> None:
    """Say what the user may not expect."""
    was = source.opened.judge if source.opened else {}
    if not differing(was, judge):
        watch.said(
            f"the judge and the rubric are those of {run}: this shows whether its"
            " verdicts come out again"
        )
    if later > 0:
        watch.said(
            f"{run} has gone on since: {later} later prompts are not looked at here; a"
            " new folder (--into) takes them too"
        )


def _pairs(sample: int | None) -> str:
    return "all pairs" if sample is None else f"a sample of {sample}"
