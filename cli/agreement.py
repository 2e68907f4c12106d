"""`onlinedpo agreement`: how far people agree with each other, and with the judge."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Any

import click

from onlinedpo.cli import words
from onlinedpo.cli.figures import plain, told
from onlinedpo.cli.inspect import journal_of
from onlinedpo.cli.terminal import say, say_json
from onlinedpo.journal.reader import Reader
from onlinedpo.states.answers import Side
from onlinedpo.states.measuring import agreement as measures
from onlinedpo.states.measuring.answers_given import (
    AnswersGiven,
    grade,
    picked_left,
    preference,
)
from onlinedpo.states.records import Vote

CONTEXT = (
    "For comparison: people agree with each other on 63 to 81 % of open preferences"
    " (AlpacaEval 65.7 %, MT-bench 81 % without ties), so 70 % need not alarm."
)


@click.command()
@click.argument("run_folder", metavar="RUN", type=Path)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def agreement(run_folder: Path, as_json: bool) -> None:
    """Say how far people agree with each other, with themselves and with the judge.

    Figures bear a 95 % interval in brackets, and n, the number of pairs that they were
    taken on. Kappa and alpha are 0 where people agree as by chance and 1 where they
    always agree. What the judge was unsure of is sent to people most: only the random
    share (see the setting human_share) measures it fairly.

    \b
    Example:
      onlinedpo agreement runs/mine
    """
    records = Reader(journal_of(run_folder)).records()
    facts = _facts(AnswersGiven.collect(records))
    if as_json:
        say_json(facts)
    else:
        say(_text(run_folder, facts))


def _facts(given: AnswersGiven) -> dict[str, Any]:
    by_annotator = given.by_annotator()
    rows = given.between_people()
    return {
        "answers": sum(map(len, by_annotator.values())),
        "pairs": sum(bool(pair.votes) for pair in given.pairs.values()),
        "annotators": [
            _annotator(name, votes, given.seconds(name))
            for name, votes in by_annotator.items()
        ],
        "people": {
            "raw": plain(measures.raw([_preferences(row) for row in rows])),
            "alpha_nominal": plain(measures.alpha([_preferences(row) for row in rows])),
            "alpha_ordinal": plain(
                measures.alpha(
                    [[grade(v) for v in row.values()] for row in rows],
                    measures.ordinal,
                )
            ),
            "by_two": _by_two(rows, list(by_annotator)),
        },
        "themselves": _themselves(given),
        "judge": {
            "all": _beside(given.beside_judge()),
            "random_share": _beside(given.beside_judge(at_random=True)),
        },
    }


def _annotator(name: str, votes: list[Vote], seconds: list[float]) -> dict[str, Any]:
    values = [vote.value for vote in votes]
    chosen = [vote for vote in votes if vote.value in ("first", "second")]
    return {
        "name": name,
        "answers": len(votes),
        "from_files": sum(vote.source == "file" for vote in votes),
        "left": plain(measures.share([float(picked_left(v)) for v in chosen])),
        "ties": values.count("tie"),
        "both_bad": values.count("bad"),
        "skips": values.count("skip"),
        "median_seconds": median(seconds) if seconds else None,
        "timed": len(seconds),
    }


def _by_two(rows: list[dict[str, Vote]], names: list[str]) -> list[dict[str, Any]]:
    shared: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for row in rows:
        for one, other in combinations(sorted(row), 2):
            rated = preference(row[one]), preference(row[other])
            shared.setdefault((one, other), []).append(rated)
    return [
        {"annotators": list(two), **_two_raters(shared[two])}
        for two in combinations(names, 2)
        if two in shared
    ]


def _themselves(given: AnswersGiven) -> list[dict[str, Any]]:
    answered: dict[str, list[tuple[int, int]]] = {}
    for one, other in given.twice():
        rated = preference(one), preference(other)
        answered.setdefault(one.annotator, []).append(rated)
    return [
        {"name": name, **_two_raters(rated)} for name, rated in sorted(answered.items())
    ]


def _beside(answers: list[tuple[Vote, Side]]) -> dict[str, Any]:
    return _two_raters([(vote.value, side) for vote, side in answers])


def _two_raters(rated: Sequence[tuple[int | str, int | str]]) -> dict[str, Any]:
    return {"raw": plain(measures.raw(rated)), "kappa": plain(measures.kappa(rated))}


def _preferences(row: dict[str, Vote]) -> list[int]:
    return [preference(vote) for vote in row.values()]


def _text(folder: Path, facts: dict[str, Any]) -> str:
    """All of it for people.  Names are theirs, so they are made safe to show."""
    if not facts["answers"]:
        return f"{folder}: nobody has labelled a pair, so there is nothing to compare."
    lines = [f"{folder}: {facts['answers']} answers on {facts['pairs']} pairs"]
    for who in facts["annotators"]:
        lines += _annotator_lines(who)
    people = facts["people"]
    lines += ["", "people with each other, on pairs that two or more answered"]
    if people["by_two"]:
        lines += [
            _line("agreement", people["raw"], share=True),
            _line("alpha", people["alpha_nominal"]),
            _line("alpha with strength", people["alpha_ordinal"]),
        ]
        for two in people["by_two"]:
            lines += _two_lines(" and ".join(map(_name, two["annotators"])), two)
    else:
        lines.append("  no pair has answers of two people (see the setting overlap)")
    if facts["themselves"]:
        lines += ["", "people with themselves, on pairs that they were shown twice"]
        for who in facts["themselves"]:
            lines += _two_lines(_name(who["name"]), who)
    judge = facts["judge"]
    lines += ["", "people with the judge, on pairs for which both chose a response"]
    if judge["all"]["raw"]["n"]:
        lines += _two_lines("all such pairs", judge["all"])
        lines += _two_lines("random share only", judge["random_share"])
        lines += [
            "  Only the random share shows without bias how good the judge's labels",
            "  are: other pairs went to people for its doubts, or as somebody chose.",
        ]
    else:
        lines.append("  there is no such pair")
    return "\n".join([*lines, "", CONTEXT])


def _annotator_lines(who: dict[str, Any]) -> list[str]:
    files = f" ({who['from_files']} from dropped files)" if who["from_files"] else ""
    time = "time unknown"
    if who["median_seconds"] is not None:
        time = f"median {words.duration(who['median_seconds'])} an answer"
    return [
        "",
        f"{_name(who['name'])}: {who['answers']} answers{files}, {who['ties']} ties,"
        f" {who['both_bad']} both bad, {who['skips']} skipped; {time}",
        _line("chose the left response", who["left"], share=True),
    ]


def _two_lines(title: str, two: dict[str, Any]) -> list[str]:
    return [
        f"  {title}",
        _line("  agreement", two["raw"], share=True),
        _line("  kappa", two["kappa"]),
    ]


def _line(title: str, measure: dict[str, Any], *, share: bool = False) -> str:
    return f"  {title:<24} {told(measure, share=share)}"


def _name(annotator: str) -> str:
    return words.safe(annotator, width=40) or "(no name)"
