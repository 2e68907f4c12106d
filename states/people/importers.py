"""Which program a row is from, told by its keys, and the answers that it holds.

A row that nobody has answered yet holds none.  Keys that are not known are ignored.
"""

from __future__ import annotations

from collections.abc import Callable

from onlinedpo.states.people import argilla, label_studio
from onlinedpo.states.people.answered import Answered as Answered
from onlinedpo.states.people.answered import (
    Fields,
    ask_of,
    choice_of,
    is_empty,
    name_of,
    note_of,
    quoted,
    seconds_of,
)
from onlinedpo.states.people.answered import Refused as Refused
from onlinedpo.states.people.choices import Choice

_VOTES = {
    "model_a": "1",
    "model_b": "2",
    "leftvote": "1",
    "rightvote": "2",
    "tievote": "tie",
    "bothbad_vote": "both bad",
    "tie (bothbad)": "both bad",
}


def answers(row: Fields) -> list[Answered]:
    """The answers that a row holds, one a person; raises `Refused`."""
    name = format_of(row)
    if name is None:
        keys = ", ".join(quoted(key) for key in [*row][:3]) or "none"
        raise Refused(
            f"the keys are of no known program: {keys}; expected are id and choice, or"
            f" an export of: {', '.join([*_READERS][1:])}"
        )
    return _READERS[name](row)


def format_of(row: Fields) -> str | None:
    """The name of the row's format, or None where it is of none."""
    return next((name for name, known in _SIGNS.items() if known(row)), None)


def _own(row: Fields) -> list[Answered]:
    """{"id", "choice", and perhaps "annotator", "note", "strength", "seconds"}."""
    if is_empty(row.get("choice")):
        return []
    choice = choice_of(row["choice"], "choice")
    if _strong(row.get("strength")):
        if choice.word not in ("1", "2"):
            raise Refused(f"the choice {choice} has no strength; expected is 1 or 2")
        choice = Choice(choice.word, strong=True)
    return [_given(row, choice, row.get("annotator"), seconds=row.get("seconds"))]


def _strong(value: object) -> bool:
    if is_empty(value):
        return False
    word = value.strip().casefold() if isinstance(value, str) else value
    if isinstance(word, bool) or word not in (1, 2, *_STRENGTHS):
        raise Refused(f"strength is {quoted(value)}; expected is 1, or 2 for strongly")
    return word not in (1, "1", "1.0")


_STRENGTHS = ("1", "2", "1.0", "2.0", "strong", "strongly")


def _prodigy(row: Fields) -> list[Answered]:
    """{"options", "accept", "answer"} of the choice interface; ignored is skipped."""
    answer = row.get("answer")
    who = row.get("_annotator_id") or row.get("_session_id")
    if is_empty(answer):
        return []
    if answer == "ignore":
        return [_given(row, Choice("skip"), who)]
    accepted = row.get("accept")
    if answer != "accept" or not isinstance(accepted, list) or len(accepted) != 1:
        raise Refused(
            f"answer is {quoted(answer)} and accept is {quoted(accepted)}; expected is"
            " accept with one option, or ignore"
        )
    options = row.get("options")
    if isinstance(options, list):
        # 0 and 1 would be read as something else than they are.
        for option in options[:10]:
            choice_of(
                option.get("id") if isinstance(option, dict) else option, "option"
            )
    return [_given(row, choice_of(accepted[0], "accept"), who)]


def _arena(row: Fields) -> list[Answered]:
    """{"question_id", "winner", "judge"}, or a vote of the log by its type."""
    winner = row.get("winner", row.get("type"))
    if is_empty(winner):
        return []
    vote = winner.strip().casefold() if isinstance(winner, str) else winner
    word = _VOTES.get(vote, vote) if isinstance(vote, str) else vote
    return [_given(row, choice_of(word, "winner"), row.get("judge"))]


def _given(
    row: Fields, choice: Choice, who: object, seconds: object = None
) -> Answered:
    return Answered(
        ask=ask_of(row),
        choice=choice,
        annotator=name_of(who, "annotator"),
        note=note_of(row.get("note")),
        seconds=seconds_of(seconds),
    )


def _has(*keys: str) -> Callable[[Fields], bool]:
    return lambda row: any(key in row for key in keys)


_READERS: dict[str, Callable[[Fields], list[Answered]]] = {
    "onlinedpo": _own,
    "label-studio": label_studio.task,
    "label-studio-min": label_studio.minimal,
    "argilla-2": argilla.record,
    "argilla-1": argilla.hub_record,
    "prodigy": _prodigy,
    "arena": _arena,
}
_SIGNS: dict[str, Callable[[Fields], bool]] = {
    "onlinedpo": lambda row: "choice" in row and "annotation_id" not in row,
    "label-studio-min": _has("annotation_id", label_studio.COMPARISON),
    "label-studio": lambda row: (
        "annotations" in row or isinstance(row.get("data"), dict)
    ),
    "argilla-2": lambda row: (
        "fields" in row or any(name.endswith(argilla.FLAT) for name in row)
    ),
    "prodigy": _has("accept", "options", "_task_hash"),
    "arena": lambda row: (
        "winner" in row or "conversation_a" in row or row.get("type") in [*_VOTES]
    ),
    "argilla-1": _has(argilla.QUESTION),
}
