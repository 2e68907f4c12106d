"""A judge elsewhere is asked about completions as soon as they are there."""

from __future__ import annotations

from collections.abc import Sequence

from onlinedpo.engine.judges.comparison import Comparison, Judge, Outside
from onlinedpo.engine.sampler import Finished
from onlinedpo.states import pairing
from onlinedpo.states.config import Settings
from onlinedpo.states.records import Completion, Messages


def asking(
    judge: Judge | None, settings: Settings, turns: Sequence[tuple[int, Messages]]
) -> Finished | None:
    """What to do when the completions of these turns are there; None: nothing.

    Only the journal decides what is asked in the end: this is a hint.
    """
    if not isinstance(judge, Outside):
        return None
    outside = judge

    def ask(place: int, drawn: Sequence[Completion]) -> None:
        ticket, messages = turns[place]
        compared = {ticket: (0, 1)}
        if settings.num_generations > 2:
            if settings.pairing == "random":
                return
            compared = dict(pairing.to_compare(ticket, drawn))
        for number, (i, j) in compared.items():
            if drawn[i].text != drawn[j].text:
                one, other = drawn[i].text, drawn[j].text
                outside.expect(Comparison(number, messages, one, other))

    return ask
