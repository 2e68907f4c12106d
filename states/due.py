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
from onlinedpo.states.turns import LabelledPair

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
    if labelled and next_batch(standing, settings):
        return "apply"
    if judging and standing.to_judge():
        return "judge"
    if Phase.SAMPLED in phases:
        return "submit"
    if labelled and standing.settled_without_winner():
        return "drop"
    return "sample" if has_room(standing, settings) else "wait"


def next_batch(standing: Standing, settings: Settings) -> list[LabelledPair]:
    """The pairs the next step trains on; empty while it is not due.

    Of a round of several steps none is due before all its pairs are sampled and, where
    people judge all, answered.
    """
    if settings.pairs_per_round and standing.plan() is None:
        whole = not (settings.people_judge and standing.waiting())
        if not whole or is_sampling(standing, settings):
            return []
    return standing.batch(settings.pairs_per_step)


def is_sampling(standing: Standing, settings: Settings) -> bool:
    """Whether a round of several steps has begun and still lacks pairs to be judged."""
    begun = standing.round.fresh % settings.pairs_in_a_round > 0
    several = settings.pairs_per_round is not None
    return several and begun and not _nobody_to_ask(standing, settings)


def to_sample(standing: Standing, settings: Settings) -> int:
    """How many pairs are sampled next: those of a step, or what its round lacks."""
    whole = settings.pairs_in_a_round
    return min(settings.pairs_per_step, whole - standing.round.fresh % whole)


def has_room(standing: Standing, settings: Settings) -> bool:
    """Whether the next prompts may be sampled, though some pairs wait for people."""
    if standing.plan() is not None or _nobody_to_ask(standing, settings):
        return False
    waiting = len(standing.waiting())
    return (
        not waiting
        or is_sampling(standing, settings)
        or waiting + settings.pairs_in_a_round <= settings.may_wait
    )


def is_spent(standing: Standing, settings: Settings) -> bool:
    """Whether nobody else can be asked where people judge all, and nobody is."""
    return _nobody_to_ask(standing, settings) and not standing.waiting()


def _nobody_to_ask(standing: Standing, settings: Settings) -> bool:
    budget = settings.label_budget
    spent = budget is not None and standing.asked >= budget
    return settings.people_judge and spent
