"""What an audit tells of the judges: as JSON, and in lines for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from onlinedpo.cli import words
from onlinedpo.cli.audit import one_judge
from onlinedpo.cli.audit.one_judge import wrapped
from onlinedpo.cli.figures import plain, told
from onlinedpo.states.measuring import judge_figures as figures
from onlinedpo.states.measuring.judge_record import JudgeRecord
from onlinedpo.states.verdicts.judges import BRIEF, name_of

_DIGESTS = ("weights", "source")


def facts(record: JudgeRecord) -> dict[str, Any]:
    """Every figure of every judge, and of their panel; None where one is undefined."""
    return {
        "judges": [one_judge.facts(record, judge) for judge in record.judges.values()],
        "panel": _panel(record),
        "labels": record.labels(),
        "escalations": dict(record.asked),
    }


def lines(facts: dict[str, Any]) -> list[str]:
    """The same for people, at most 88 columns wide."""
    told: list[str] = []
    for number, judge in enumerate(facts["judges"], start=1):
        title = f"judge {number}: " if facts["panel"] else "judge "
        told += [*one_judge.lines(judge, title + _named(judge["judge"])), ""]
    if facts["panel"]:
        told += [*_panel_lines(facts["panel"]), ""]
    if not facts["judges"]:
        told = ["nothing but people has judged a pair in this run", ""]
    labels = facts["labels"]
    line = (
        f"labels: {labels['judge']} by a judge, {labels['human']} by people,"
        f" {labels['file']} from files"
    )
    if labels["without_winner"]:
        line += f" and {labels['without_winner']} without a winner"
    told += wrapped(line)
    if asked := facts["escalations"]:
        reasons = ", ".join(f"{words.safe(why)} {n}" for why, n in asked.items())
        told += wrapped(f"pairs sent to people: {reasons}")
    return told


def _panel(record: JudgeRecord) -> dict[str, Any] | None:
    """What the judges decide together, and how far each two of them agree."""
    if record.panel is None:
        return None
    together = []
    for (i, one), (k, other) in combinations(enumerate(record.judges.values(), 1), 2):
        agrees = figures.together(one, other)
        raw, kappa = plain(agrees.raw), plain(agrees.kappa)
        together.append({"judges": [i, k], "raw": raw, "kappa": kappa})
    return {**one_judge.facts(record, record.panel), "together": together}


def _panel_lines(panel: dict[str, Any]) -> list[str]:
    lines = one_judge.lines(panel, "the panel: what more than half of them say")
    for two in panel["together"]:
        one, other = two["judges"]
        share = told(two["raw"], share=True)
        lines.append(f"  judges {one} and {other} agree: {share}")
        if two["raw"]["enough"] and two["kappa"]["value"] is not None:
            lines[-1] += f", kappa {told(two['kappa'], share=False).partition(' (')[0]}"
    return lines


def _named(identity: Mapping[str, Any]) -> str:
    """Which judge: by name, and by the beginning of a digest of what it is."""
    name = words.safe(name_of(identity) if identity else "(no name)", width=36)
    said = []
    for key in BRIEF[2:]:
        if identity.get(key) is not None:
            value = words.safe(str(identity[key]))
            width = 20 if key == "model" else 8
            cut = value[:8] if key in _DIGESTS else words.safe(value, width=width)
            said.append(f"{key} {cut}")
    return f"{name} ({', '.join(said)})" if said else name
