"""Records of the journal in words: one line of each, and the evidence that it holds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime

from onlinedpo.cli import words
from onlinedpo.cli.story.quoting import WIDTH as WIDTH
from onlinedpo.cli.story.quoting import quoted as quoted
from onlinedpo.cli.story.quoting import wrapped as wrapped
from onlinedpo.cli.story.verdicts import evidence, headline
from onlinedpo.cli.terminal import as_json as as_json
from onlinedpo.cli.words import safe
from onlinedpo.journal import codec
from onlinedpo.states import records as r
from onlinedpo.states.people.choices import shown_as
from onlinedpo.states.verdicts.judges import is_none, named_in

SIDES: tuple[r.Side, r.Side] = ("first", "second")


def when(seconds: float, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """A time of the journal, as the clock on the wall showed it."""
    try:
        return datetime.fromtimestamp(seconds).strftime(form)
    except (ValueError, OverflowError, OSError):
        return f"at {seconds}"


def said(record: r.Record) -> str:
    """What happened, in one line."""
    return _of_pair(record) or _of_run(record)


def _of_pair(record: r.Record) -> str:
    match record:
        case r.Sampled(first=first, second=second, repeats=before):
            what = "sampled" if record.source == "policy" else "taken from a file"
            what = what if before is None else f"another turn of {before:06d}"
            tokens = f"{len(first.tokens)} + {len(second.tokens)} tokens"
            if drawn := record.drawn:
                of = 2 + len(record.others)
                what += f", draws {drawn[0] + 1} and {drawn[1] + 1} of {of}"
            return f"{what} ({tokens}, {_ended(record)})"
        case r.Verdict():
            return headline(record)
        case r.Ranked(verdicts=verdicts):
            return f"ranked before that, by {_count(len(verdicts), 'verdict')}"
        case r.Label():
            return label(record)
        case r.Dropped(reason=reason):
            return f"dropped: {reason}"
        case r.Escalated(slots=slots, why=why):
            return f"people asked for {_count(slots, 'answer')}: {why}"
        case r.Vote():
            return _vote(record)
        case r.Withdrawn():
            return "label withdrawn: people are asked again"
        case r.Restored(was=was):
            back = f"put back, {label(record.label)}"
            return f"{back}; it had been dropped: {was}" if was else back
    return ""


def _of_run(record: r.Record) -> str:
    match record:
        case r.Submitted(tickets=tickets):
            return f"{_count(len(tickets), 'pair')} to be judged: {_numbers(tickets)}"
        case r.Step(index=index, tickets=tickets, margins=margins):
            mean = sum(margins) / len(margins) if margins else math.nan
            return (
                f"step {index}: {_count(len(tickets), 'pair')}, loss {record.loss:.4f},"
                f" margin {mean:+.3f}"
                + (f", checkpoint {record.state[:8]}" if record.state else "")
            )
        case r.Rewound(to=to, tickets=tickets, batches=batches):
            again = _count(len(tickets), "pair") + " again"
            return f"rewound to step {to}: {again}, in {_count(len(batches), 'step')}"
        case r.Kept(path=path, reason=reason):
            return f"{safe(path)} was saved without an answer: {safe(reason)}"
        case r.Bundle():
            return (
                f"{safe(record.path)} was read ({record.format or 'no known format'}):"
                f" {_count(record.taken, 'answer')}, {record.unchanged} known already,"
                f" {len(record.refused) + record.more} refused"
            )
        case r.HeldOut(prompts=prompts):
            return f"the reference answered {len(prompts)} held-out prompts"
        case r.Evaluated():
            return words.win_rate_line(record)
        case r.RunOpened(run_id=run_id, settings=settings):
            by = f"judged by {named_in(settings)}"
            judged = "without a judge" if is_none(record.judge) else by
            made_of = f"{settings.get('model')}, {judged}"
            return f"run {run_id[:8]} opened: {safe(made_of)}"
        case r.Derived(purpose=purpose, source=source, step=step):
            return (
                f"{purpose} of run {source[:8]} at step {step}, {record.labels} labels"
            )
        case r.ProcessStarted(environment=on, changed=changed):
            device = f"process started on {safe(on.get('device', 'an unknown device'))}"
            return device + (f"; changed {safe(str(changed))}" if changed else "")
        case r.TailCut():
            return (
                f"torn tail of {record.size} bytes cut, kept as {safe(record.kept_as)}"
            )
    return f"{codec.as_map(record)['kind']}"


def label(of: r.Label) -> str:
    """A label in a line."""
    if of.chosen is None:
        return f"label by {of.source}: neither ({of.reason})"
    return f"label {of.chosen} by {of.source} {of.confidence:.2f}"


def told(record: r.Record, ticket: int = -1, label: r.Label | None = None) -> str:
    """A record with all that it says, of one pair where it is about several.

    A pair's completions are chosen and rejected where it has a `label`, else just first
    and second.
    """
    headline = f"{when(record.time)}  {said(record)}"
    return "\n".join([headline, *_evidence(record, ticket, label)])


def _evidence(record: r.Record, ticket: int, label: r.Label | None) -> Iterator[str]:
    match record:
        case r.Sampled():
            by = "by the policy after" if record.source == "policy" else "after"
            yield (
                f"  {by} step {record.step}; prompt {record.prompt} of epoch"
                f" {record.epoch}, {len(record.prompt_tokens)} tokens"
            )
            for message in record.messages:
                yield from quoted(message["role"], message["content"])
            for side in SIDES:
                became = ""
                if label and label.chosen:
                    became = ", chosen" if side == label.chosen else ", rejected"
                yield from quoted(f"{side}{became}", record.side(side).text)
            for other in record.others:
                yield from quoted("drawn too", other.text)
        case r.Verdict():
            yield from evidence(record)
        case r.Vote():
            yield f"  for slot {record.slot}, shown {record.shown}"
            yield f"  saved {when(record.saved)} in labels/{safe(record.path)}:"
            yield from quoted("", record.raw.decode(errors="replace"))
        case r.Dropped(detail=detail) if detail:
            yield f"  {safe(detail)}"
        case r.Step() if ticket in record.tickets:
            place = record.tickets.index(ticket)
            yield (
                f"  pair {place + 1} of {len(record.tickets)}; its margin before the"
                f" step {record.margins[place]:+.5f}"
            )


def _vote(vote: r.Vote) -> str:
    """An answer: by whom, and what was chosen."""
    choice = shown_as(vote.value, vote.shown, strong=vote.strong)
    by = safe(vote.annotator, width=40) or "somebody"
    by += " (file)" if vote.source == "file" else ""
    which = f", which is {vote.value}" if vote.value in ("first", "second") else ""
    return f"{by}: {choice}{which}"


def _ended(pair: r.Sampled) -> str:
    """Which completions the policy ended by itself."""
    ends = [c.finish == "stop" for c in (pair.first, pair.second)]
    if len({*ends}) == 1:
        return "both ended" if ends[0] else "both cut"
    return "second cut" if ends[0] else "first cut"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _numbers(tickets: Sequence[int]) -> str:
    """Tickets as ranges: 3-7, 9."""
    runs: list[list[int]] = []
    for ticket in sorted(tickets):
        if runs and ticket == runs[-1][-1] + 1:
            runs[-1][1:] = [ticket]
        else:
            runs.append([ticket])
    return ", ".join("-".join(map(str, run)) for run in runs)
