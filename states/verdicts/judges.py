"""Who judges, as the journal says it: one judge, or a panel of several.

A run's opening says all of a judge, by content; its verdicts bear the *brief*:
enough to know which of a run's judges gave it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from onlinedpo.states.checks import is_json, plain

WHERE = ("id", "revision", "reference_id", "reference_revision")
"""Where a model is from, which is no part of what it is."""

BRIEF = ("kind", "id", "model", "weights", "source", "frame", "parser")
"""What a verdict says of its judge, as far as the judge has it."""

KINDS = ("model", "http", "reward", "python")
"""Automatic judges whose verdicts can be read again."""

PANEL = "panel"

NONE = "none"
"""What stands for a judge where there is none: a file has the labels."""


def _can_be_named(judge: dict[str, Any]) -> bool:
    if not is_json(judge):
        return False
    if judge.get("kind") != PANEL:
        return True
    judges = judge.get("judges")
    return isinstance(judges, list | tuple) and all(type(one) is dict for one in judges)


Judge = Annotated[dict[str, Any], _can_be_named]
"""A judge, or a panel of them, as the journal has it."""


def panel(judges: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Several judges as one."""
    return {"kind": PANEL, "judges": [dict(judge) for judge in judges]}


def members(judge: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The judges of a panel, in their order, or the only one."""
    return [*judge["judges"]] if judge.get("kind") == PANEL else [judge]


def brief(judge: Mapping[str, Any]) -> dict[str, Any]:
    """What its verdicts say of one judge."""
    return {key: judge[key] for key in BRIEF if key in judge}


def name_of(judge: Mapping[str, Any]) -> str:
    """A judge by name; the judges of a panel by theirs."""
    return " + ".join(
        str(one.get("id") or one.get("name") or one.get("kind") or "judge")
        for one in members(judge)
    )


def named_in(settings: Mapping[str, Any]) -> str:
    """Who judges a run, by the names that its settings give."""
    return " + ".join(
        [str(settings.get("judge")), *(settings.get("judge_panel") or ())]
    )


def is_none(judge: Mapping[str, Any]) -> bool:
    """Whether nobody judges."""
    return judge.get("kind") == NONE


def with_rubric(judge: Mapping[str, Any], rubric: str) -> dict[str, Any]:
    """The same judge, or panel, under another rubric, as far as it has one."""
    if judge.get("kind") == PANEL:
        return panel([with_rubric(one, rubric) for one in members(judge)])
    return {**judge, "rubric": rubric} if "rubric" in judge else dict(judge)


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What a model, a judge or data differ in; where they lie is no difference.

    Of a panel's judges each is compared with the one in its place.
    """
    if PANEL not in (before.get("kind"), after.get("kind")):
        keys = [k for k in {**after, **before} if k not in WHERE]
        return [k for k in keys if plain(before.get(k)) != plain(after.get(k))]
    then, now = members(before), members(after)
    if len(then) != len(now):
        return ["the number of judges"]
    return [*dict.fromkeys(_of_each(then, now))]


def _of_each(
    then: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    for number, (one, other) in enumerate(zip(then, now, strict=True), start=1):
        for key in differing(one, other):
            yield f"{key} (judge {number})" if len(now) > 1 else key
