"""From a label file, as it was saved, to a fact: an answer, or something kept."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from onlinedpo.journal.label_folder import annotator
from onlinedpo.journal.looks import Saved
from onlinedpo.states.answers import Ask, Kept, Shown, Vote, sides, version
from onlinedpo.states.late import Ended
from onlinedpo.states.people import saved_answer
from onlinedpo.states.people.label_file import Answer, Unreadable
from onlinedpo.states.standing import Standing
from onlinedpo.states.turns import Turn

NO_CHOICE = "no choice yet"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a fact says beside the answer itself."""

    seed: int
    run: str
    annotator: str
    """Name for answers that bear none; empty: that of the file's owner."""
    guidelines: str

    def shown(self, ask: Ask) -> Shown:
        """The order in which an ask shows the two completions."""
        return sides(self.seed, ask)

    def who(self, written: str, owner: int) -> str:
        """The annotator's name: as written, as set, or as the system has it."""
        return annotator(written, self.annotator, owner)


@dataclass(frozen=True, slots=True)
class Read:
    """A label file that was read, and what it says."""

    saved: Saved
    ask: Ask | None
    fact: Vote | Kept
    known: bool
    """Whether it is what the journal had last from this place."""

    @property
    def new(self) -> bool:
        """Whether somebody saved it since: an answer leaves todo/ once it is read."""
        moves = isinstance(self.fact, Vote) and self.fact.path != self.fact.kept_as
        return moves or not self.known


def read(
    saved: Saved,
    place: str,
    kept_as: str,
    about: Circumstances,
    known: Mapping[str, bytes],
) -> Read:
    """What a saved label file says; whether its pair fits is not checked yet."""
    same = known.get(place) == version(saved.raw)
    try:
        ask, answer = _parse(saved, about.run)
    except Unreadable as error:
        return Read(saved, None, _kept(saved, place, str(error)), same)
    if answer.choice is None:
        return Read(saved, ask, _kept(saved, place, NO_CHOICE), same)
    shown = about.shown(ask)
    vote = Vote(
        ticket=ask.ticket,
        slot=ask.slot,
        value=answer.choice.in_pair(shown),
        strong=answer.choice.strong,
        shown=shown,
        annotator=about.who(answer.annotator, saved.owner),
        source="human",
        note=answer.note,
        raw=saved.raw,
        path=place,
        kept_as=kept_as,
        seconds=answer.seconds,
        guidelines=about.guidelines,
        saved=saved.time,
        time=time.time(),
    )
    return Read(saved, ask, vote, same)


def fitting(file: Read, standing: Standing, ended: Mapping[int, Ended]) -> Read:
    """The same; an answer that fits no pair of this run is only kept, and why."""
    if file.ask is None or isinstance(file.fact, Kept):
        return file
    why = misfit(file.ask, standing, ended)
    return replace(file, fact=_kept(file.saved, file.fact.path, why)) if why else file


def _kept(saved: Saved, place: str, reason: str) -> Kept:
    return Kept(path=place, raw=saved.raw, reason=reason, time=time.time())


def misfit(ask: Ask, standing: Standing, ended: Mapping[int, Ended]) -> str:
    """Why an answer fits no pair of this run; empty where it fits one.

    `ended` are pairs that are not in flight any more, as far as they were looked up.
    """
    turn = standing.turns.get(ask.ticket) or ended.get(ask.ticket)
    if turn is None or turn.sampled is None:
        return f"there is no pair {ask.pair} in this run"
    name = turn.sampled.pair
    if name != ask.pair:
        return (
            f"pair {ask.ticket} of this run is {name}, not {ask.pair}: the answer is to"
            " other completions"
        )
    if isinstance(turn, Turn) and not turn.answerable:
        return f"pair {name} is not asked about yet"
    return ""


def _parse(saved: Saved, run: str) -> tuple[Ask, Answer]:
    if saved.problem:
        raise Unreadable(saved.problem)
    return saved_answer.parse(saved.raw, run)
