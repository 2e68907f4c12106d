"""Forks of toy runs, and other judges' verdicts on their pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onlinedpo.engine.fork import Forked, Labels
from onlinedpo.engine.fork import fork as make
from onlinedpo.engine.observer import Silent
from onlinedpo.engine.rejudge.folder import prepare
from onlinedpo.engine.rejudge.rejudging import judge_rest
from onlinedpo.engine.rejudge.request import Request
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.states.records import Record, RunOpened, Step
from tests.engine.runs import Listener, Scripted, records


def fork(
    run: Path,
    new: Path,
    at: int | None = None,
    labels: Labels = "same",
    rejudged: Path | None = None,
    **wanted: Any,
) -> Forked:
    """Fork a run, as the command does."""
    return make(
        RunFolder(run),
        RunFolder(new),
        wanted,
        at=at,
        labels=labels,
        rejudged=rejudged,
    )


class Judging(Listener):
    """Watches pairs being judged again, and can stop that."""

    def __init__(self, stop_after: int | None = None) -> None:
        super().__init__()
        self.most = stop_after
        self.done = 0

    def judged(self, done: int, of: int) -> None:
        """Count."""
        self.done = done

    def asked_to_stop(self) -> bool:
        """Whether enough pairs have their verdicts."""
        return self.most is not None and self.done >= self.most


def rejudge(
    run: Path,
    script: Scripted,
    judge: str,
    watch: Judging | None = None,
    sample: int | None = None,
    into: Path | None = None,
) -> Path:
    """Verdicts of a scripted judge on a run's pairs, in the name of a model."""
    request = Request(judge=judge, sample=sample, into=into)
    prepared = prepare(run, request, Silent())
    with prepared.journal(Silent()) as journal:
        judge_rest(
            journal, script, prepared.pairs, prepared.settings, watch or Judging()
        )
    return prepared.folder.path


def facts_until(run: Path, step: int) -> list[Record]:
    """A run's facts up to a step that stands, without its opening."""
    facts = records(run)
    last = max(
        place
        for place, record in enumerate(facts)
        if isinstance(record, Step) and record.index == step
    )
    return [fact for fact in facts[: last + 1] if not isinstance(fact, RunOpened)]
