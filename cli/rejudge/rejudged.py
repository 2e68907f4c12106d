"""What `onlinedpo rejudge` finds out: old and new judge side by side, as plain data."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from onlinedpo.cli.figures import plain
from onlinedpo.journal import snapshot
from onlinedpo.journal.excerpt import up_to
from onlinedpo.journal.reader import Reader
from onlinedpo.states.measuring.judge_figures import Pairs, figure
from onlinedpo.states.measuring.rejudged import BesidePeople, Changes, Cost, Rejudged
from onlinedpo.states.measuring.rejudged_pair import Move, Opinion, Pair

FIGURES = ("consistency", "first_wins", "longer_wins")


def facts(run: Path, folder: Path) -> dict[str, Any]:
    """Everything that can be said of the verdicts in a folder on the pairs of a run."""
    ledger = snapshot.fold(folder / "journal")
    derived, source = ledger.derived, snapshot.fold(run / "journal").opened
    assert derived and source
    both = Rejudged.collect(
        up_to(run / "journal", derived.frame, derived.chain),
        Reader(folder / "journal").records(),
    )
    moves = both.moves()
    return {
        "run": str(run),
        "folder": str(folder),
        "pairs": len(both.pairs),
        "sample": derived.sample,
        "moves": {move: moves[move] for move in get_args(Move)},
        "both_chose": {"raw": plain(both.raw()), "kappa": plain(both.kappa())},
        "changes": {
            "sides": _changes(both.sides(), "first_to_second", "second_to_first"),
            "lengths": _changes(both.lengths(), "to_the_shorter", "to_the_longer"),
        },
        "people": {
            "all": _beside(both.beside_people()),
            "random_share": _beside(both.beside_people(at_random=True)),
        },
        "old": _judge(source.judge, both.old_kinds(), both.old_cost),
        "new": _judge(derived.judge, both.new_kinds(), both.new_cost),
        "flips": [_flip(pair) for pair in both.flips()],
    }


def _changes(changes: Changes, one: str, other: str) -> dict[str, Any]:
    return {one: changes.one, other: changes.other, "mcnemar_p": changes.p}


def _beside(beside: BesidePeople) -> dict[str, Any]:
    return {
        "old": plain(beside.old),
        "new": plain(beside.new),
        "changes": _changes(beside.changes, "only_old_right", "only_new_right"),
    }


def _judge(identity: dict[str, Any], kinds: Pairs, cost: Cost) -> dict[str, Any]:
    return {
        "judge": identity,
        "pairs": sum(kinds.values()),
        "figures": {name: plain(figure(name, kinds)) for name in FIGURES},
        "cost": {
            "verdicts": cost.verdicts,
            "seconds": cost.seconds,
            "prompt_tokens": cost.tokens,
        },
    }


def _flip(pair: Pair) -> dict[str, Any]:
    return {
        "pair": pair.name,
        "was": pair.before,
        "is": pair.new.outcome,
        "old": _verdicts(pair.old),
        "new": _verdicts(pair.new),
    }


def _verdicts(opinion: Opinion | None) -> list[dict[str, Any]]:
    """The verdicts of a judge, or none where people decided."""
    if opinion is None:
        return []
    return [
        {"shown": shown, "winner": winner, "probability_first": first}
        for (shown, winner), first in zip(
            opinion.said.answers, opinion.first, strict=True
        )
    ]
