"""Facts in words: lines that the live view, the summary and `status` share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import Derived, Evaluated, Step
from onlinedpo.states.visible import safe as safe


def mean(steps: Sequence[Step], name: str) -> float:
    """The mean of a metric over steps; one of ties alone has none of the rewards."""
    values = [step.metrics[name] for step in steps if name in step.metrics]
    return sum(values) / len(values) if values else math.nan


def figure(value: float, form: str) -> str:
    """A number, or "none" where there is none."""
    return "none" if math.isnan(value) else f"{value:{form}}"


def step_line(steps: Sequence[Step], iters: int) -> str:
    """Means over the last steps, in one line."""
    loss = sum(step.loss for step in steps) / len(steps)
    return (
        f"step {steps[-1].index:>4}/{iters}"
        f"  loss {loss:.4f}"
        f"  margin {figure(mean(steps, 'rewards/margins'), '+.3f')}"
        f"  accuracy {figure(mean(steps, 'rewards/accuracies'), '.2f')}"
        f"  ended {mean(steps, 'val/contain_eos_token'):.0%}"
        f"  length {mean(steps, 'completions/mean_length'):.1f}"
    )


def measures_line(step: Step) -> str:
    """The last step's measures, for the live view."""
    m, speed = step.metrics, step.metrics.get("perf/tokens_per_second")
    return (
        f"loss {step.loss:.4f}"
        f"  margin {figure(mean([step], 'rewards/margins'), '+.3f')}"
        f"  accuracy {figure(mean([step], 'rewards/accuracies'), '.2f')}"
        f"  ended {m['val/contain_eos_token']:.0%}"
        f"  length {m['completions/mean_length']:.1f}"
        + (f"  {speed:.0f} tok/s" if speed else "")
        + f"  memory {m['perf/peak_memory_gb']:.2f} GB"
    )


def counts_line(ledger: Ledger) -> str:
    """How many prompts stand where."""
    counts = ledger.counts()
    return "  ".join(f"{phase.value} {counts[phase]}" for phase in counts)


def win_rate_line(evaluated: Evaluated) -> str:
    """A held-out win rate, in one line."""
    failed = evaluated.outcomes.count("failed")
    return (
        f"held-out win rate after step {evaluated.step}:"
        f" {percent(evaluated.win_rate)} of {len(evaluated.outcomes)}"
        f"  (ended {evaluated.ended:.0%}, mean length {evaluated.mean_length:.1f}"
        + (f", {failed} not judged)" if failed else ")")
    )


def time_left(
    first: tuple[int, float] | None, steps: int, iters: int, now: float
) -> str:
    """An estimate from the steps of this process."""
    if first is None or steps <= first[0]:
        return ""
    seconds = (now - first[1]) / (steps - first[0]) * (iters - steps)
    return f"about {duration(seconds)} left"


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    if seconds < 200_000:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"


def percent(share: float | None) -> str:
    """A share in percent, or "unknown" where nothing could be counted."""
    return "unknown" if share is None or math.isnan(share) else f"{share:.1%}"


def waiting_line(files: int, folder: Path) -> str:
    """That a run waits, for how many files, and where they are."""
    what = "label file waits" if files == 1 else "label files wait"
    return (
        f"{files} {what} in {folder}: edit them in any editor, or type"
        f" 'onlinedpo label {folder.parents[1]}'"
    )


def people_line(people: dict[str, Any]) -> str:
    """What people were asked, and what still waits for them."""
    of = f" of {people['budget']}" if people["budget"] is not None else ""
    line = f"people: asked for {people['asked']}{of} answers"
    if people["waiting"]:
        line += (
            f"; {people['waiting']} pairs wait ({people['open']} files in labels/todo),"
            f" the oldest for {people['oldest_steps']} steps and"
            f" {duration(people['oldest_seconds'])}"
        )
    if people["late"]:
        line += f"; {people['late']} came after their pair had ended"
    return line


def exported_line(count: int, files: list[Path]) -> str:
    """What an export wrote."""
    return f"{count} tasks written to {' and '.join(map(str, files))}"


def rewound_text(folder: Path, to: int, undone: int, corrected: tuple[str, ...]) -> str:
    """What a rewind did, and how to go on."""
    names = ", ".join(corrected[:10]) + (", ..." if len(corrected) > 10 else "")
    return "\n".join(
        [
            f"{folder} stands after step {to} again; {undone} steps are undone",
            f"{len(corrected)} pairs have another label now"
            + (f": {names}" if names else ""),
            f"take the steps again with: onlinedpo run {folder}",
        ]
    )


def drops_line(ledger: Ledger) -> str:
    """Why pairs were dropped."""
    return ", ".join(f"{why} {n}" for why, n in ledger.dropped.most_common()) or "none"


def summary(folder: Path, ledger: Ledger) -> str:
    """What came out of a run, when its process ends."""
    settings = ledger.settings
    iters = int(settings.get("iters", 0))
    done = ledger.steps >= iters
    lines = [
        "",
        f"{'finished' if done else 'stopped'}: {ledger.steps} of {iters} steps;"
        f" {counts_line(ledger)}; dropped: {drops_line(ledger)}",
    ]
    if ledger.evaluations:
        rates = " -> ".join(
            f"{percent(e.win_rate)} (step {e.step})" for e in ledger.evaluations[-4:]
        )
        lines.append(f"held-out win rate against the reference: {rates}")
    lines += _shares(ledger)
    lines += _examples(ledger)
    if done:
        target = settings.get("adapter_path") or folder / "adapters"
        lines += [
            "",
            f"adapter: {target}",
            f"  mlx_lm.generate --model {settings['model']} --adapter-path {target}"
            ' --prompt "..."',
        ]
    else:
        lines.append(f"go on with: onlinedpo run {folder}")
    return "\n".join(lines)


def _shares(ledger: Ledger) -> list[str]:
    """Where the time of the steps went, over the whole run."""
    spent = ledger.seconds
    total = sum(spent.values())
    if not total:
        return []
    parts = [
        f"{name} {spent.get(name, 0.0) / total:.1%}"
        for name in ("sample", "judge", "train", "journal", "checkpoint")
    ]
    durable = (spent.get("journal", 0.0) + spent.get("checkpoint", 0.0)) / total
    return [
        f"time of the steps: {duration(total)} = {', '.join(parts)}"
        f"; journal and checkpoint together {durable:.1%}"
    ]


def _examples(ledger: Ledger, count: int = 3) -> list[str]:
    """Answers to the first held-out prompts, by the reference and by the policy."""
    reference, last = ledger.reference, ledger.evaluations[-1:]
    if not reference or not last or not last[0].step:
        return []
    lines = ["", f"held-out answers before and after {last[0].step} steps:"]
    answers = zip(
        reference.prompts, reference.completions, last[0].completions, strict=True
    )
    for prompt, old, new in islice(answers, count):
        lines += [
            f"  {safe(prompt[-1]['content'], width=160)}",
            f"    before: {safe(old.text, width=160)}",
            f"    after:  {safe(new.text, width=160)}",
        ]
    return lines


def derived_line(child: str, parent: str, derived: Derived) -> str:
    """What a run whose pairs are another's is to that one."""
    if derived.purpose == "salvage":
        return f"{child} was salvaged from {parent}, up to step {derived.step}"
    if derived.purpose == "rejudge":
        return f"{child} holds another judge's verdicts on the pairs of {parent}"
    if derived.labels == "same":
        return f"{child} is a fork of {parent} after step {derived.step}"
    who = "people" if derived.labels == "human" else "another judge"
    return f"{child} takes the steps of {parent} again, as {who} labelled its pairs"


def head_line(frames: int, head: str) -> str:
    """The head of the journal's chain, which vouches for all that stands before it."""
    return f"head: {head} (frame {frames})"
