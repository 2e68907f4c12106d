"""The figures of one judge, or of a panel as a whole: as JSON, and in lines."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any

from onlinedpo.cli import words
from onlinedpo.cli.audit.judge_warnings import warnings
from onlinedpo.cli.figures import plain, told
from onlinedpo.states.measuring import judge_figures as figures
from onlinedpo.states.measuring.agreement import ENOUGH
from onlinedpo.states.measuring.judge_figures import BesidePeople, Drift
from onlinedpo.states.measuring.judge_record import Judge, JudgeRecord
from onlinedpo.states.measuring.judged_pair import CLEAR, MATCHED
from onlinedpo.states.verdicts.judges import PANEL

_WIDTH = 88
_ROWS = (
    ("keeps its choice when swapped", "consistency"),
    ("what is shown first wins", "first_wins"),
    ("no winner could be read", "failures"),
    ("ties", "ties"),
    ("the longer wins", "longer_wins"),
    (f"  lengths within {MATCHED:.0%}", "longer_wins_matched"),
    (f"  {CLEAR:g} times as long or more", "longer_wins_clear"),
    ("as 'the longest' would choose", "as_longest"),
    ("as 'the first' would choose", "as_first"),
)
_OF_ORDER = ("consistency", "first_wins", "as_first")
_OUTCOMES = (
    ("decided", "decided"),
    ("orders disagree", "disagreed"),
    ("tie", "tied"),
    ("failed", "failed"),
)


def facts(record: JudgeRecord, judge: Judge) -> dict[str, Any]:
    """Every figure, with warnings; None where one is undefined."""
    pairs = judge.pairs()
    measures = {name: figures.figure(name, pairs) for name in figures.FIGURES}
    drift = figures.drift(judge)
    everybody, by_lot = (
        figures.beside_people(record.beside_people(judge, at_random=at_random))
        for at_random in (False, True)
    )
    return {
        "judge": dict(judge.identity),
        "ordered": any(shown for pair in pairs for shown, _ in pair.answers),
        "pairs": pairs.total(),
        "verdicts": len(judge.seconds),
        "figures": {name: plain(measure) for name, measure in measures.items()},
        "drift": _drift(drift),
        "people": {"all": _beside(everybody), "random_share": _beside(by_lot)},
        "cost": _cost(judge),
        "warnings": warnings(measures, drift, everybody, by_lot),
    }


def _drift(drift: Drift) -> dict[str, Any]:
    return {
        "parts": [
            {
                "from_step": part.begin,
                "to_step": part.end,
                "pairs": part.pairs,
                **{name: plain(measure) for name, measure in part.figures.items()},
            }
            for part in drift.parts
        ],
        "last_minus_first": {
            name: {**plain(measure), "flagged": drift.flagged(name)}
            for name, measure in drift.difference.items()
        },
    }


def _beside(beside: BesidePeople) -> dict[str, Any]:
    return {
        **{
            name: {"raw": plain(agrees.raw), "kappa": plain(agrees.kappa)}
            for name, agrees in (
                ("judge", beside.judge),
                ("longest", beside.longest),
                ("first", beside.first),
            )
        },
        "random": {"raw": {"value": 0.5}, "kappa": {"value": 0.0}},
        "beyond_longest": plain(beside.beyond_longest),
    }


def _cost(judge: Judge) -> dict[str, Any]:
    seconds = sorted(judge.seconds)
    n = len(seconds)
    return {
        "median_seconds": seconds[(n - 1) // 2],
        "p95_seconds": seconds[math.ceil(0.95 * n) - 1],
        "total_seconds": math.fsum(seconds),
        "prompt_tokens": judge.prompt_tokens,
        "mean_prompt_tokens": judge.prompt_tokens / n,
        "retried": judge.retried,
    }


def lines(judge: dict[str, Any], title: str) -> list[str]:
    """The same for people; `title` says whose they are."""
    measures, panel = judge["figures"], judge["judge"].get("kind") == PANEL
    outcomes = ", ".join(
        f"{what} {measures[name]['value']:.1%}" for what, name in _OUTCOMES
    )
    if panel:
        outcomes = outcomes.replace("orders", "judges")
    return [
        title,
        f"  {judge['pairs']} pairs: {outcomes}",
        "  with 95% intervals; n: pairs that the figure is taken on",
        *(
            f"  {title:<31} {told(measures[name], share=True)}"
            for title, name in _rows(judge)
        ),
        *_drift_lines(judge["drift"], _rows(judge)),
        *_people_lines(judge["people"]),
        *([] if panel else _cost_lines(judge["verdicts"], judge["cost"])),
        *(line for text in judge["warnings"] for line in wrapped(f"! {text}")),
    ]


def _rows(judge: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows that it can have: scores, and a panel as a whole, have no order."""
    return [row for row in _ROWS if judge["ordered"] or row[1] not in _OF_ORDER]


def _drift_lines(drift: dict[str, Any], of: Sequence[tuple[str, str]]) -> list[str]:
    parts = drift["parts"]
    if not parts:
        return [f"  over the run: too few pairs for two parts with {ENOUGH} each"]
    steps = [f"{part['from_step']}" for part in parts]
    rows = [_row("over the run, from step", [*steps, "last - first"])]
    for title, name in of:
        if name in figures.DRIFTING:
            apart = drift["last_minus_first"][name]
            cells = [_cell(part[name]) for part in parts]
            mark = " !" if apart["flagged"] else ""
            rows.append(_row(f"  {title}", [*cells, _apart(apart) + mark]))
    return rows


def _row(title: str, cells: Sequence[str]) -> str:
    *parts, last = cells
    return f"  {title:<31}" + "".join(f"{cell:>7}" for cell in parts) + f"  {last}"


def _cell(measure: dict[str, Any]) -> str:
    return f"{measure['value']:.0%}" if measure["enough"] else "few"


def _apart(measure: dict[str, Any]) -> str:
    """A difference of shares, in points."""
    if not measure["enough"]:
        return "too few"
    value, low, high = (100 * measure[key] for key in ("value", "low", "high"))
    return f"{value:+z.0f} [{low:+z.0f}, {high:+z.0f}]"


def _people_lines(people: dict[str, Any]) -> list[str]:
    if not people["all"]["judge"]["raw"]["n"]:
        return ["  beside people: there is no pair on which a person and it both chose"]
    rows = []
    for title, key in (("all pairs", "all"), ("random share", "random_share")):
        beside = people[key]
        raw = beside["judge"]["raw"]
        rows.append(f"  beside people, {title}: {raw['n']} on which both chose")
        if not raw["enough"]:
            rows[-1] += f" (too few; {ENOUGH} are needed)"
            continue
        for name in ("judge", "longest", "first"):
            agrees = beside[name]
            if not agrees["raw"]["n"]:
                continue
            share = told(agrees["raw"], share=True).partition(" (")[0]
            beyond = told(agrees["kappa"], share=False).partition(" (")[0]
            rows.append(f"    {name:<9} agrees in {share:<22} kappa {beyond}")
        more = beside["beyond_longest"]
        rows.append(f"    random    agrees in 50.0%; judge - longest {_apart(more)}")
    return rows


def _cost_lines(verdicts: int, cost: dict[str, Any]) -> list[str]:
    retried = f", {cost['retried']} asked for more than once" if cost["retried"] else ""
    lines = [
        f"  {verdicts} verdicts{retried}: median {_short(cost['median_seconds'])},"
        f" 95th percentile {_short(cost['p95_seconds'])},"
        f" {words.duration(cost['total_seconds'])} in all",
    ]
    if cost["prompt_tokens"]:
        lines.append(
            f"  prompts of {cost['mean_prompt_tokens']:.0f} tokens on average,"
            f" {cost['prompt_tokens']:,} in all"
        )
    return lines


def _short(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def wrapped(text: str) -> list[str]:
    """Text in lines that fit."""
    return textwrap.wrap(text, _WIDTH, subsequent_indent="  ", break_on_hyphens=False)
