"""What `onlinedpo trace` found, as plain data for --json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onlinedpo.cli.story import fate
from onlinedpo.cli.story.saved_files import Version, lies
from onlinedpo.journal import codec
from onlinedpo.states import records as r
from onlinedpo.states.lineage import Lineage, Training
from onlinedpo.states.turns import Turn


def of_step(folder: Path, lineage: Lineage) -> dict[str, Any]:
    """The step that stands, or was last undone, with its pairs and all evidence."""
    *earlier, shown = lineage.trainings
    return {
        "frame": shown.frame,
        "step": codec.as_map(shown.step),
        "undone": _undone(shown),
        "earlier": [_brief(training) for training in earlier],
        "settings": shown.settings,
        "environment": shown.environment,
        "pairs": [
            {
                **_chosen(turn),
                "margin": shown.margin(ticket),
                **_evidence(folder, turn),
            }
            for ticket, turn in shown.turns.items()
        ],
    }


def of_pairs(folder: Path, lineage: Lineage) -> dict[str, Any]:
    """Pairs, where they stand, their evidence, and the steps that trained on them."""
    return {"pairs": [_pair(folder, lineage, ticket) for ticket in lineage.tickets]}


def of_file(found: list[Version]) -> dict[str, Any]:
    """What was read from a file."""
    return {
        "versions": [
            {"frame": version.frame, **codec.as_map(version.record)}
            for version in found
        ]
    }


def _pair(folder: Path, lineage: Lineage, ticket: int) -> dict[str, Any]:
    turn, phase = lineage.turn(ticket), lineage.phase(ticket)
    dropped = lineage.dropped.get(ticket)
    return {
        "pair": fate.name_of(lineage, ticket),
        "phase": phase and phase.value,
        "dropped": dropped and codec.as_map(dropped),
        **(_evidence(folder, turn) if turn else {}),
        "late": [codec.as_map(vote) for vote in lineage.late.get(ticket, ())],
        "steps": [
            {
                **_brief(training),
                "pair": training.step.tickets.index(ticket) + 1,
                "margin": training.margin(ticket),
                **_chosen(training.turns[ticket]),
            }
            for training in lineage.trained_on(ticket)
        ],
    }


def _evidence(folder: Path, turn: Turn) -> dict[str, Any]:
    votes = turn.votes.values()
    return {
        "sampled": turn.sampled and _named(turn.sampled),
        "verdicts": [codec.as_map(verdict) for verdict in turn.verdicts],
        "votes": [{**codec.as_map(v), "now": lies(folder, v)} for v in votes],
        "label": turn.label and codec.as_map(turn.label),
    }


def _named(pair: r.Sampled) -> dict[str, Any]:
    return {"pair": pair.pair, **codec.as_map(pair)}


def _chosen(turn: Turn) -> dict[str, str]:
    side = fate.chosen(turn)
    return {"chosen": side, "rejected": fate.OTHER.get(side, side)}


def _brief(training: Training) -> dict[str, Any]:
    step = training.step
    place = {"step": step.index, "frame": training.frame, "time": step.time}
    return {**place, "state": step.state, "undone": _undone(training)}


def _undone(training: Training) -> dict[str, Any] | None:
    by = training.undone
    return {"to": by.to, "time": by.time} if by else None
