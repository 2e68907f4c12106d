"""Which operation of the loop is due, by the facts alone: see `engine.loop.train`.

Not told here are a win rate that is due, for which prompts have to be held out, and
whether people have saved something.
"""

from __future__ import annotations

from typing import Literal

from onlinedpo.states import endings
from onlinedpo.states.config import Settings
from onlinedpo.states.lifecycle import Phase
from onlinedpo.states.standing import Standing

Operation = Literal["drop", "apply", "judge", "submit", "sample", "wait", "nothing"]


def due(standing: Standing, settings: Settings) -> Operation:
    """What comes next, as long as nothing else happens."""
    if standing.steps >= settings.iters:
        return "nothing"
    # Looked at once: most of the time no pair stands where a question would find it.
    phases = {turn.phase for turn in standing.turns.values()}
    judging, labelled = Phase.JUDGING in phases, Phase.LABELLED in phases
    if judging and endings.stale(standing, settings):
        return "drop"
    if labelled and standing.batch(settings.pairs_per_step):
        return "apply"
    if judging and standing.to_judge():
        return "judge"
    if Phase.SAMPLED in phases:
        return "submit"
    if labelled and standing.settled_without_winner():
        return "drop"
    return "sample" if has_room(standing, settings) else "wait"


def has_room(standing: Standing, settings: Settings) -> bool:
    """Whether the next prompts may be sampled, though some pairs wait for people."""
    if standing.plan() is not None or is_spent(standing, settings):
        return False
    waiting = len(standing.waiting())
    return not waiting or waiting + settings.pairs_per_step <= settings.may_wait


def is_spent(standing: Standing, settings: Settings) -> bool:
    """Whether nobody else can be asked where people judge all, and nobody is."""
    budget = settings.label_budget
    spent = budget is not None and standing.asked >= budget
    return settings.people_judge and spent and not standing.waiting()
