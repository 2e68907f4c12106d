"""`onlinedpo diff`: two runs side by side, and where they part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from onlinedpo.cli.inspect import journal_of
from onlinedpo.cli.terminal import say, say_json
from onlinedpo.cli.words import derived_line, percent, safe
from onlinedpo.journal.reader import Reader
from onlinedpo.states.differences import Differences, Outline, Parting, compare

SHOWN = 5
"""Pairs that are named, where more of them differ; --json has them all."""


@click.command()
@click.argument("one", metavar="RUN1", type=Path)
@click.argument("other", metavar="RUN2", type=Path)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def diff(one: Path, other: Path, as_json: bool) -> None:
    """Compare two runs: settings, origin, labels, steps, metrics, and where they part.

    Pairs are matched by name, which stands for their very tokens. What a rewind undid
    does not count, and neither do times and speeds. The exit code is 0 also where they
    differ, since 1 is an error; programs ask for "equal" in --json.

    \b
    Example:
      onlinedpo fork runs/mine runs/faster --at 40 --learning-rate 1e-4
      onlinedpo run runs/faster
      onlinedpo diff runs/mine runs/faster
    """
    found = compare(_outline(one), _outline(other))
    if as_json:
        say_json(_facts(found))
    else:
        say(_text(safe(str(one)), safe(str(other)), found))


def _outline(folder: Path) -> Outline:
    outline = Outline()
    for place, batch in Reader(journal_of(folder)).batches():
        with place.named():
            for record in batch:
                outline.take(record)
    return outline


def _facts(found: Differences) -> dict[str, Any]:
    parting = found.parting
    both, only_one, only_other = found.pairs
    return {
        "equal": found.equal,
        "forked": found.fork
        and {
            "which": found.related,
            "at": found.fork.step,
            "labels": found.fork.labels,
        },
        "settings": found.settings,
        "origin": found.origin,
        "pairs": {"both": both, "one": only_one, "other": only_other},
        "labels": {
            "same": both - len(found.relabelled),
            "differ": len(found.relabelled),
            "pairs": found.relabelled,
        },
        "steps": found.steps,
        "parting": parting
        and {
            "step": parting.step,
            "part": parting.part,
            "one": parting.one,
            "other": parting.other,
        },
        "metrics": {"step": found.common, "values": found.metrics},
        "win_rates": {str(step): rates for step, rates in found.win_rates.items()},
    }


def _text(one: str, other: str, found: Differences) -> str:
    lines = [f"{one} and {other} are equal" if found.equal else f"{one} | {other}"]
    if found.fork:
        child, parent = (one, other) if found.related == "one" else (other, one)
        lines.append(derived_line(child, parent, found.fork))
    lines += ["", "settings that differ" if found.settings else "settings: the same"]
    lines += _rows({k: tuple(map(_value, v)) for k, v in found.settings.items()})
    if found.origin:
        lines.append("made of what is not the same, by content")
        lines += [f"  {k}: {', '.join(v)} differ" for k, v in found.origin.items()]
    else:
        lines.append("model, judge and prompts: the same, by content")
    lines += _pair_lines(one, other, found)
    lines += ["", _where(one, other, found)]
    if found.metrics:
        lines += ["", f"metrics of step {found.common}"]
        lines += _rows({k: tuple(map(_number, v)) for k, v in found.metrics.items()})
    if found.win_rates:
        lines += ["", "held-out win rates"]
        rates = {f"step {step}": v for step, v in found.win_rates.items()}
        lines += _rows({k: tuple(map(_rate, v)) for k, v in rates.items()})
    return "\n".join(lines)


def _pair_lines(one: str, other: str, found: Differences) -> list[str]:
    both, only_one, only_other = found.pairs
    lines = [
        "",
        f"pairs: {both} in both, {only_one} only in {one}, {only_other} only in"
        f" {other}",
    ]
    if not both:
        return lines
    turned = found.relabelled
    lines.append(f"labels: of those in both {both - len(turned)} the same")
    if turned:
        lines[-1] += f", {len(turned)} not"
        lines += _rows({name: (a, b) for name, a, b in turned[:SHOWN]})
        lines += ["  ..."] if len(turned) > SHOWN else []
    return lines


def _where(one: str, other: str, found: Differences) -> str:
    """Where the steps part, in words."""
    first, second = found.steps
    if found.parting:
        up_to = found.parting.step - 1
        equal = f"equal up to step {up_to}; " if up_to else ""
        return f"{equal}step {found.parting.step} {_parted(one, other, found.parting)}"
    if first == second:
        return f"all {first} steps are equal" if first else "no step has been taken"
    shorter = one if first < second else other
    return f"equal up to step {found.common}, the last one of {shorter}"


def _parted(one: str, other: str, parting: Parting) -> str:
    match parting.part:
        case "pairs":
            there = (f"{_names(parting.one)} only in {one}", bool(parting.one))
            here = (f"{_names(parting.other)} only in {other}", bool(parting.other))
            told = [text for text, any_of in (there, here) if any_of]
            return f"has other pairs ({'; '.join(told) or 'in another order'})"
        case "labels":
            count = len(parting.one)
            pairs = "pairs" if count > 1 else "pair"
            return f"has other labels on {count} {pairs} ({_names(parting.one)})"
        case "state":
            return "comes to another adapter or optimizer"
        case part:
            return f"has another {part} ({parting.one[0]!r} | {parting.other[0]!r})"


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def _rows(values: Mapping[str, Sequence[str]]) -> list[str]:
    """Lines with a name and two values, one below the other."""
    width = max(map(len, values), default=0)
    left = max((len(v[0]) for v in values.values()), default=0)
    return [f"  {name:<{width}}  {a:>{left}} | {b}" for name, (a, b) in values.items()]


def _value(value: Any) -> str:
    return safe(str(value), width=60)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"


def _rate(value: float | None) -> str:
    return "-" if value is None else percent(value)
