"""From the completions of a prompt to its pair, where more than two were drawn."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from onlinedpo.engine.judges.comparison import Comparison, Judge
from onlinedpo.states import pairing
from onlinedpo.states.config import Settings
from onlinedpo.states.records import Completion, Messages, Ranked
from onlinedpo.states.verdicts.penalties import penalised


@dataclass(frozen=True, slots=True)
class Paired:
    """Two completions of a prompt, and what led to them."""

    first: Completion
    second: Completion
    others: tuple[Completion, ...] = ()
    drawn: tuple[int, ...] = ()
    ranked: Ranked | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """The completions of one prompt's turn, in the order of their draws."""

    ticket: int
    messages: Messages
    completions: Sequence[Completion]


def pair(
    prompts: Sequence[Drawn], settings: Settings, judge: Judge | None
) -> list[Paired]:
    """The pair of each prompt; the judge is asked about all of them together."""
    if settings.num_generations == 2:
        return [Paired(d.completions[0], d.completions[1]) for d in prompts]
    if settings.pairing == "random":
        return [
            _paired(d, pairing.at_random(settings.seed, d.ticket, d.completions), None)
            for d in prompts
        ]
    assert judge is not None
    compared = [pairing.to_compare(d.ticket, d.completions) for d in prompts]
    verdicts = iter(
        judge.judge(
            [
                Comparison(
                    number, d.messages, d.completions[i].text, d.completions[j].text
                )
                for d, comparisons in zip(prompts, compared, strict=True)
                for number, (i, j) in comparisons.items()
            ]
        )
    )
    pairs, penalty = [], settings.missing_eos_penalty
    for drawn, comparisons in zip(prompts, compared, strict=True):
        said = tuple(
            penalised(verdict, drawn.completions[i], drawn.completions[j], penalty)
            for i, j in comparisons.values()
            for verdict in next(verdicts)
        )
        places = pairing.best_and_worst(
            settings.seed, drawn.ticket, drawn.completions, said
        )
        now = time.time()
        ranked = Ranked(ticket=drawn.ticket, verdicts=said, time=now) if said else None
        pairs.append(_paired(drawn, places, ranked))
    return pairs


def _paired(drawn: Drawn, places: pairing.Places, ranked: Ranked | None) -> Paired:
    rest = [i for i in range(len(drawn.completions)) if i not in places]
    return Paired(
        first=drawn.completions[places[0]],
        second=drawn.completions[places[1]],
        others=tuple(drawn.completions[i] for i in rest),
        drawn=places,
        ranked=ranked,
    )
