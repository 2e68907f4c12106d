"""`onlinedpo run --dry-run`: what a run would begin with, and its first batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onlinedpo.cli.story import words as story
from onlinedpo.cli.terminal import say
from onlinedpo.states import records as r
from onlinedpo.states.selection import tickets_of

if TYPE_CHECKING:
    from onlinedpo.cli.progress import Progress
    from onlinedpo.engine.dry_run import DryRun


def show(folder: Path | None, wanted: Mapping[str, Any], watch: Progress) -> int:
    """Sample and judge one batch, and show it; returns the exit code."""
    from onlinedpo.engine.dry_run import dry_run

    found = dry_run(folder, wanted, watch)
    watch.close()
    say("\n".join(_lines(found)))
    return 130 if watch.asked_to_stop() else 0


def _lines(found: DryRun) -> Iterator[str]:
    pairs = {x.ticket: x for x in found.records if isinstance(x, r.Sampled)}
    for ticket, pair in pairs.items():
        yield f"\npair {pair.pair}"
        for record in found.records:
            if ticket in tickets_of(record):
                yield from _told(record)
    if found.label_file:
        yield "\npeople would be asked with files such as this:"
        yield from story.quoted("", found.label_file)
    without = [x for x in found.records if isinstance(x, r.Dropped)]
    yield ""
    for record in without:
        if record.ticket not in pairs:
            yield f"a prompt would be passed over: {record.reason} ({record.detail})"
    spent = "".join(f", {k} {v:.2f} s" for k, v in found.seconds.items())
    yield (
        f"a batch of {len(pairs)} pairs{spent}; peak memory"
        f" {found.peak_memory_gb:.2f} GB"
    )
    if found.held_out:
        yield (
            f"before its first step a run takes the win rate on {found.held_out}"
            " held-out prompts"
        )
    yield "a dry run: nothing was written. Without --dry-run the run begins"


def _told(record: r.Record) -> Iterator[str]:
    match record:
        case r.Sampled():
            yield f"  {story.said(record)}"
            for message in record.messages:
                yield from story.quoted(message["role"], message["content"])
            for side in story.SIDES:
                yield from story.quoted(side, record.side(side).text)
        case r.Submitted():
            return
        case _:
            yield f"  {story.said(record)}"
