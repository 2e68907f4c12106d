"""When a judge is not to be trusted: what a figure means then, and what to do."""

from __future__ import annotations

from collections.abc import Mapping

from onlinedpo.states.measuring.agreement import Measure
from onlinedpo.states.measuring.judge_figures import BesidePeople, Drift

CONSISTENT = 0.65
"""Swap consistency that a judge should have (MT-bench: GPT-4 has it)."""
BIAS = 0.05
"""How far first wins may be from a half."""
FAILURES = 0.05
"""Share of verdicts that may fail."""
LONGER = 0.65
"""Share of longer wins that people also come to (AlpacaEval: 64 %)."""

_MOVES = {
    "consistency": "it keeps its choice when swapped",
    "first_wins": "what is shown first wins",
    "longer_wins": "the longer wins",
    "failures": "no winner can be read",
}


def warnings(
    figures: Mapping[str, Measure],
    drift: Drift,
    everybody: BesidePeople,
    by_lot: BesidePeople,
) -> list[str]:
    """One text for each figure that says so; figures on too few pairs say nothing.

    But for consistency, a whole interval must lie beyond the bound.
    """
    found = [
        _contradictory(figures["consistency"]),
        _drawn_to_a_place(figures["first_wins"]),
        _failing(figures["failures"]),
        _drawn_to_length(figures["longer_wins"], ""),
        _drawn_to_length(
            figures["longer_wins_matched"], " whose lengths are nearly equal"
        ),
        _no_better_than_longest(everybody, by_lot),
        _drifting(drift),
    ]
    return [text for text in found if text]


def _contradictory(consistency: Measure) -> str:
    kept = consistency.value
    if not consistency.enough or kept is None or kept >= CONSISTENT:
        return ""
    return (
        "It contradicts itself: with the two completions swapped it keeps its choice"
        f" in only {_of(consistency)} of the pairs; a coin would in 50%. Where it does"
        " not, no label is made, but where it does this may be luck. Take a stronger"
        " judge or a clearer rubric, or send people what it is unsure of"
        " (escalate_below)."
    )


def _drawn_to_a_place(first: Measure) -> str:
    if _above(first, 0.5 + BIAS):
        place, share = "first", first
    elif _above(_mirrored(first), 0.5 + BIAS):
        place, share = "second", _mirrored(first)
    else:
        return ""
    return (
        f"It is drawn to what it is shown {place}, which wins {_of(share)} of its"
        " verdicts. Asked in both orders (judge_orders: 2) this costs pairs; asked in"
        " one it becomes labels. Take a stronger judge or a clearer rubric."
    )


def _failing(failures: Measure) -> str:
    if not _above(failures, FAILURES):
        return ""
    return (
        f"{_of(failures)} of its verdicts name no winner that can be read, and their"
        " pairs are lost. 'onlinedpo show' prints what it would have said; take a judge"
        " that follows the instruction, or ask for A or B more plainly (judge_system)."
    )


def _drawn_to_length(longer: Measure, where: str) -> str:
    if _above(longer, LONGER):
        which, share = "longer", longer
    elif _above(_mirrored(longer), LONGER):
        which, share = "shorter", _mirrored(longer)
    else:
        return ""
    return (
        f"It chooses the {which} completion in {_of(share)} of the pairs{where}, and"
        " the policy will learn length from it. Say in the rubric that length is no"
        " merit, and let people label a random share (human_share) to see whether they"
        " choose so too."
    )


def _no_better_than_longest(everybody: BesidePeople, by_lot: BesidePeople) -> str:
    beside, which = (by_lot, "pairs drawn by lot")
    if not beside.beyond_longest.enough:
        beside, which = (everybody, "pairs, most of which it was in doubt of")
    beyond = beside.beyond_longest
    if not beyond.enough or beyond.low is None or beyond.low > 0:
        return ""
    return (
        f"On {beyond.n} {which}, it agrees with people in {_of(beside.judge.raw)};"
        f" always choosing the longer one would in {_of(beside.longest.raw)}. That it"
        " is better than that is not shown. Let people label more (human_share); if it"
        " stays so, take another judge."
    )


def _drifting(drift: Drift) -> str:
    moves = [
        f"{what} in {_of(drift.parts[0].figures[name])} of the first part and"
        f" {_of(drift.parts[-1].figures[name])} of the last"
        for name, what in _MOVES.items()
        if drift.flagged(name)
    ]
    if not moves:
        return ""
    return (
        f"It drifts over the run: {'; '.join(moves)}. What it is shown has changed:"
        " completions may be harder to tell apart, or the policy has found what the"
        " judge likes. Read some pairs of both parts ('onlinedpo show'), and let people"
        " label a random share (human_share)."
    )


def _above(share: Measure, bound: float) -> bool:
    return share.enough and share.low is not None and share.low > bound


def _mirrored(share: Measure) -> Measure:
    """The share of the rest."""
    if share.value is None or share.low is None or share.high is None:
        return share
    return Measure(1 - share.value, 1 - share.high, 1 - share.low, share.n)


def _of(share: Measure) -> str:
    return f"{share.value:.1%}"
