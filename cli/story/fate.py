"""What became of a pair, in words: where it stands, and which steps trained on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from onlinedpo.cli.story import words as story
from onlinedpo.states import records as r
from onlinedpo.states.errors import UsageError
from onlinedpo.states.lifecycle import Phase
from onlinedpo.states.lineage import Lineage, Training
from onlinedpo.states.turns import Turn

OTHER = {"first": "second", "second": "first"}


def ticket_of(pair: str) -> int:
    """The number of a pair that is named, or numbered; raises `UsageError`."""
    number = pair.strip().split("-")[0]
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        raise UsageError(
            f"'{pair}' does not name a pair",
            hint="Names look like 000042-9c1f0a77; the number alone will do.",
        )
    return int(number)


def must_be(pair: str, name: str, folder: Path) -> None:
    """Raise `UsageError` unless `pair` means the pair of this name."""
    if not name or ("-" in pair and pair.strip() != name):
        raise UsageError(
            f"there is no pair '{pair}' in {folder}",
            hint=f"Its name is {name}." if name else f"See: onlinedpo status {folder}",
        )


def name_of(lineage: Lineage, ticket: int) -> str:
    """A pair's name; its number where nothing was sampled; empty if it is unknown."""
    known = lineage.phase(ticket) is not None
    return lineage.names.get(ticket, f"{ticket:06d}" if known else "")


def not_taken(index: int, steps: int) -> UsageError:
    """The error where a step is asked for that there is not."""
    return UsageError(
        f"step {index} was not taken: the run stands after step {steps}",
        hint=f"Give a number from 1 to {steps}." if steps else "",
    )


def lines(lineage: Lineage) -> Iterator[str]:
    """Where each pair that was asked for stands, and the steps that trained on it."""
    for ticket in lineage.tickets:
        yield f"pair {name_of(lineage, ticket)}: {_phase(lineage, ticket)}"
        yield from _steps(lineage, ticket)


def undone(rewound: r.Rewound) -> str:
    """That a step does not stand any more."""
    return f"undone by a rewind to step {rewound.to}, {story.when(rewound.time)}"


def chosen(turn: Turn) -> str:
    """The side that a pair was trained towards: neither, where it was a tie."""
    side = turn.label.chosen if turn.label else None
    return side or "neither"


def trained_as(turn: Turn) -> str:
    """What a step took a pair for."""
    side = chosen(turn)
    return f"chosen {side}, rejected {OTHER[side]}" if side in OTHER else "a tie"


def _phase(lineage: Lineage, ticket: int) -> str:
    phase, turn = lineage.phase(ticket), lineage.turn(ticket)
    if phase is Phase.DROPPED:
        return story.said(lineage.dropped[ticket])
    if phase is Phase.APPLIED:
        assert turn is not None and turn.label is not None
        return f"{_last(lineage.trained_on(ticket))}, {story.label(turn.label)}"
    assert phase is not None and turn is not None
    if turn.waits:
        return f"judging, {len(turn.votes)} of {turn.slots} answers of people are there"
    return f"{phase.value}{f', {story.label(turn.label)}' if turn.label else ''}"


def _steps(lineage: Lineage, ticket: int) -> Iterator[str]:
    """The steps that trained on a pair, and the answers that came too late for them."""
    for training in lineage.trained_on(ticket):
        place = training.step.tickets.index(ticket) + 1
        yield (
            f"  step {training.step.index}, {story.when(training.step.time)} (frame"
            f" {training.frame}): pair {place} of {len(training.step.tickets)},"
            f" {trained_as(training.turns[ticket])},"
            f" margin {training.margin(ticket):+.4f}"
        )
        if training.undone:
            yield f"    {undone(training.undone)}"
    for vote in lineage.late.get(ticket, ()):
        yield f"  after it had ended, {story.when(vote.time)}: {story.said(vote)}"


def _last(trainings: list[Training]) -> str:
    last = trainings[-1]
    done = f"applied in step {last.step.index}"
    return f"{done}, which is undone" if last.undone else done
