"""Settings of when people are asked, and of what becomes of their answers."""

from __future__ import annotations

from dataclasses import dataclass

from onlinedpo.states.settings.field import setting


@dataclass(frozen=True, kw_only=True)
class PeopleSettings:
    """People beside a judge, or in its place."""

    escalate_below: float | None = setting(
        None,
        "Send pairs to people on which the judge fails, contradicts itself, sees a tie,"
        " or is less sure than this; null: none.",
        low=0.5,
        high=1.0,
        resumable=True,
    )
    human_share: float = setting(
        0.0,
        "Share of pairs, at random, sent to people as well: their labels measure the"
        " judge.",
        low=0.0,
        high=1.0,
        resumable=True,
    )
    label_budget: int | None = setting(
        None,
        "Answers to ask of people in all; null: any.",
        low=0,
        resumable=True,
    )
    max_waiting: int | None = setting(
        None,
        "Pairs that may wait for people while the run goes on with others, or those of"
        " one round if they are more; null: of one round if people judge all, else of"
        " eight.",
        low=1,
        resumable=True,
    )
    max_staleness: int | None = setting(
        None, "Steps that a pair may wait for people; null: any.", low=0, resumable=True
    )
    when_stale: str = setting(
        "drop",
        "What becomes of a pair that waited longer: drop it, requeue its prompt for"
        " fresh completions, or keep it.",
        choices=("drop", "requeue", "keep"),
        resumable=True,
    )
    late_labels: str = setting(
        "record",
        "A person's label on a pair that has been trained on: record it, or requeue"
        " the pair to be trained on as corrected.",
        choices=("record", "requeue"),
        resumable=True,
    )
    overlap: float = setting(
        0.0,
        "Share of the pairs sent to people that two of them label.",
        low=0.0,
        high=1.0,
        resumable=True,
    )
    resolve: str = setting(
        "first",
        "Where people differ: the first label stands, the majority, or a third person"
        " adjudicates.",
        choices=("first", "majority", "adjudicate"),
        resumable=True,
    )
    annotator: str | None = setting(
        None,
        "Name for labels that bear none; null: the owner of the saved file.",
        resumable=True,
    )
