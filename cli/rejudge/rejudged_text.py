"""Old and new judge side by side, in lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from onlinedpo.cli.figures import told
from onlinedpo.cli.words import duration, safe
from onlinedpo.states.verdicts.judges import members, name_of

SOME = 5
"""Flipped pairs that are told unless all are asked for."""

_MOVES = {
    "same": "the same winner",
    "flipped": "flipped: the other one wins",
    "now tie": "now a tie",
    "now failed": "now failed",
    "now orders disagree": "now it contradicts itself",
    "now decided": "had no winner, now has one",
    "no winner still": "had no winner, has none",
    "not decided before": "had not been decided before",
}
_ROWS = {
    "consistency": "the same when swapped",
    "first_wins": "what is shown first wins",
    "longer_wins": "the longer wins",
}
_PEOPLE = {"all": "agrees with people", "random_share": "  of the random share"}


def stopped(run: Path, folder: Path, done: int, wanted: int) -> str:
    """How far it came, and how to go on."""
    return (
        f"stopped: {done} of {wanted} pairs are judged; go on with:"
        f" onlinedpo rejudge {run} --into {folder}"
    )


def lines(facts: dict[str, Any], *, whole: bool) -> Iterator[str]:
    """All of it, with some of the flips or the `whole` of them."""
    yield from _head(facts)
    yield from _table(facts)
    yield from _changes(facts)
    yield from _side_by_side(facts)
    yield from _flips(facts, whole=whole)


def _head(facts: dict[str, Any]) -> Iterator[str]:
    sample = f" (a sample of {facts['sample']})" if facts["sample"] else ""
    yield f"{facts['run']}: {facts['pairs']} pairs judged again{sample}"
    yield f"  old: {_named(facts['old']['judge'])}"
    yield f"  new: {_named(facts['new']['judge'])}"
    yield f"  its verdicts: {facts['folder']}"
    yield ""


def _named(judge: dict[str, Any]) -> str:
    name = safe(name_of(judge))
    rubrics = [one["rubric"] for one in members(judge) if "rubric" in one]
    rubric = f'\n       "{safe(str(rubrics[0]), width=78)}"' if rubrics else ""
    return name + rubric


def _table(facts: dict[str, Any]) -> Iterator[str]:
    for move, count in facts["moves"].items():
        share = f"{count / facts['pairs']:8.1%}" if facts["pairs"] else ""
        if count or move in ("same", "flipped", "now tie", "now failed"):
            yield f"  {_MOVES[move]:<27} {count:>6}{share}"
    yield ""


def _changes(facts: dict[str, Any]) -> Iterator[str]:
    both, changes = facts["both_chose"], facts["changes"]
    yield "of pairs on which both chose"
    yield f"  {'they choose the same':<27} {told(both['raw'], share=True)}"
    yield f"  {'kappa':<27} {told(both['kappa'], share=False)}"
    yield f"  {'flips, by side':<27} {_mcnemar(changes['sides'])}"
    yield f"  {'flips, by length':<27} {_mcnemar(changes['lengths'])}"
    for key, title in _PEOPLE.items():
        if facts["people"][key]["old"]["n"]:
            yield f"  {title:<27} {_mcnemar(facts['people'][key]['changes'])}"
    yield ""


def _mcnemar(changes: dict[str, Any]) -> str:
    """How many changed each way, and whether that could be chance."""
    *ways, (_, p) = changes.items()
    counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in ways)
    return f"{counts}; McNemar p {'< 0.001' if p < 0.001 else f'= {p:.3f}'}"


def _side_by_side(facts: dict[str, Any]) -> Iterator[str]:
    old, new, people = facts["old"], facts["new"], facts["people"]
    yield f"{'':<27} {'old':<29} new"
    for name, title in _ROWS.items():
        yield _row(title, old["figures"][name], new["figures"][name])
    for key, title in _PEOPLE.items():
        if people[key]["new"]["n"]:
            yield _row(title, people[key]["old"], people[key]["new"])
    yield f"  {'cost':<25} {_cost(old['cost']):<29} {_cost(new['cost'])}"
    if people["all"]["old"]["n"] > people["random_share"]["old"]["n"]:
        yield "  Only the random share compares them without bias: other pairs went to"
        yield "  people for the old judge's doubts, or as somebody chose."


def _row(title: str, *measures: dict[str, Any]) -> str:
    old, new = (told(m, share=True) if m["n"] else "-" for m in measures)
    return f"  {title:<25} {old:<29} {new}"


def _cost(cost: dict[str, Any]) -> str:
    if not cost["verdicts"]:
        return "-"
    return f"{duration(cost['seconds'])}, {cost['prompt_tokens']:,} tokens"


def _flips(facts: dict[str, Any], *, whole: bool) -> Iterator[str]:
    flips = facts["flips"]
    if not flips:
        return
    shown = flips if whole else flips[:SOME]
    some = "" if len(shown) == len(flips) else f", {SOME} of them (all with --flips)"
    yield ""
    yield f"pairs that flipped, the widest swing first{some}"
    for flip in shown:
        yield f"  {flip['pair']}  {flip['was']} -> {flip['is']}"
        yield f"    old  {_verdicts(flip['old'])}"
        yield f"    new  {_verdicts(flip['new'])}"
    number = int(shown[0]["pair"].split("-")[0])
    yield f"see: onlinedpo show {facts['run']} {number}"
    yield f"     onlinedpo show {facts['folder']} {number}"


def _verdicts(verdicts: list[dict[str, Any]]) -> str:
    if not verdicts:
        return "decided without a judge"
    return "; ".join(
        f"{v['shown']}{': ' if v['shown'] else ''}{v['winner']},"
        f" P(first) {v['probability_first']:.3f}"
        for v in verdicts
    )
