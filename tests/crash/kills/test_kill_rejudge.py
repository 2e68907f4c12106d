"""Killed while it judges a run's pairs again, a process goes on with the next pair.

See also `tests/engine/test_rejudge_killed.py`, with the included model.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.states.errors import OnlineDPOError
from onlinedpo.states.records import Verdict
from tests.conftest import Count
from tests.crash.kills import points
from tests.crash.kills.kills import Death, at_moment, at_point, died, passed
from tests.engine.polite import polite_run
from tests.engine.runs import records
from tests.processes import killed, onlinedpo
from tests.toys import toy_model


@pytest.mark.parametrize(
    "more", [3, pytest.param(60, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_killed_while_it_judges_again_nothing_is_lost_or_asked_twice(
    more: int, tmp_path: Path, count: Count
) -> None:
    """At every point, at changes of files, at any moment; to the same verdicts."""
    run = polite_run(tmp_path / "run", 12)
    judge = toy_model(tmp_path / "model", opinionated=True)
    at, chance = tmp_path / "points", random.Random(0)
    asked = ("rejudge", run, "--judge", judge, "--into")
    ended = onlinedpo(*asked, tmp_path / "whole", crash=f"list:{at}")
    assert ended.code == 0, ended.output
    expected = [said(v) for v in verdicts(tmp_path / "whole")]
    assert set(passed(at)) == points.OF_A_REJUDGE
    wanted = [
        *(at_point(p, chance.randint(1, n)) for p, n in sorted(passed(at).items())),
        *(Death(operation=f"{chance.randrange(40) + 1}") for _ in range(more)),
        *(at_moment(chance, 0.3) for _ in range(more)),
    ]
    kills, hit, number = 0, set[str](), 0
    for death in wanted:
        # Anew where it is to die at a point: of the rest there may be too little.
        number += bool(death.point)
        folder = tmp_path / f"verdicts{number}"
        before = verdicts(folder)
        ended = died(death.in_run(folder / "journal"), *asked, folder)
        if killed(ended):
            hit |= {death.point} if death.point else set()
            number += len(verdicts(folder)) > len(expected) / 2
            kills += 1
        else:
            assert ended.code == 0, f"{death}: {ended.output}"
            number += 1
        assert verdicts(folder)[: len(before)] == before, death
    assert hit == points.OF_A_REJUDGE
    for folder in tmp_path.glob("verdicts*"):
        ended = onlinedpo(*asked, folder)
        assert ended.code == 0, ended.output
        assert sorted(said(v) for v in verdicts(folder)) == sorted(expected)
    count("kills of other commands", kills)


def verdicts(folder: Path) -> list[Verdict]:
    """Those that a folder has so far."""
    try:
        return [record for record in records(folder) if isinstance(record, Verdict)]
    except OnlineDPOError:
        return []


def said(verdict: Verdict) -> tuple[Any, ...]:
    """What a verdict says, but for times."""
    v = verdict
    return (v.ticket, v.shown, str(v.winner), v.logprobs, v.raw, v.attempt)
