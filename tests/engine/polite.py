"""A run whose pairs the included model can tell apart: one answer is polite."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from onlinedpo.engine import demo
from onlinedpo.states.records import Completion, Reason, Record, Sampled, Side
from tests.journal import kit
from tests.states import facts
from tests.states.votes import asked, vote

KIND = (
    "Great question! I would warmly suggest that you bring the radio back to the store."
    " Have a lovely day!"
)
RUDE = "Ugh. Just bring the radio back to the store already. Stop wasting my time."

JUDGE = str(demo.MODEL)
"""It prefers the polite one, by the run's rubric."""


def polite_run(folder: Path, count: int, *, why: str = "") -> Path:
    """A run of so many pairs, in whose journal its judge says first, or is undecided.

    So the included model agrees with it on a third of them, flips another third, and
    decides the rest.  With `why` people were asked about all, and like the polite ones.
    """
    settings = {"data": "data", "judge_system": demo.RUBRIC, "batch_size": 2}
    opening = facts.run_opened(model="m", judge="m", **settings)
    lives = [_life(n, why) for n in range(count)]
    kit.write(folder / "journal", [[[opening], *lives]])
    return folder


def pair(ticket: int) -> Sampled:
    """The first one is polite where the ticket is even."""
    kind, rude = (
        Completion(tokens=(*range(n), ticket), text=text, finish="stop")
        for n, text in ((2, KIND), (1, RUDE))
    )
    sides = (rude, kind) if ticket % 2 else (kind, rude)
    asked_for = (
        {"role": "user", "content": "I want to send back the radio. What now?"},
    )
    return replace(facts.sampled(ticket, *sides), messages=asked_for)


def _life(ticket: int, why: str) -> list[Record]:
    decided = ticket % 3 > 0
    life: list[Record] = [
        pair(ticket),
        facts.submitted(ticket),
        facts.verdict(ticket, "first-second", "first" if decided else "second"),
        facts.verdict(ticket, "second-first", "first"),
    ]
    if why:
        side: Side = "second" if ticket % 2 else "first"
        life += [asked(ticket, 1, why), vote(ticket, side)]
        return [*life, facts.people_say(ticket, side)]
    dropped = facts.dropped(ticket, Reason.DISAGREED)
    return [*life, facts.label(ticket) if decided else dropped]
