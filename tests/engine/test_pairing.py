"""More than two completions a prompt: which become the pair, and that it is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.journal.audit.auditing import audit
from onlinedpo.states import pairing
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import AuditFailed, UsageError
from onlinedpo.states.records import Ranked, Sampled
from tests.engine.runs import Listener, records, sampled, steps
from tests.journal import audited
from tests.journal.forging import Forger

WAYS: list[dict[str, Any]] = [
    {"num_generations": 4},
    {"num_generations": 3, "judge_orders": 1},
    {"num_generations": 4, "pairing": "random"},
]


@pytest.fixture(scope="module")
def places() -> dict[str, Path]:
    """Where the runs of this module lie, as far as they are made."""
    return {}


@pytest.fixture(params=WAYS, ids=str)
def run(
    request: pytest.FixtureRequest,
    places: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A run of three steps with several draws a prompt, taken up after the second."""
    way = str(request.param)
    if way not in places:
        place = places[way] = tmp_path_factory.mktemp("run")
        wanted = audited.parts(place, iters=3, val_prompts=0, **request.param)
        audited.go_on(place / "whole", **wanted)
        audited.go_on(place / "run", Listener(stop_after=2), **wanted)
        audited.go_on(place / "run")
    return places[way] / "run"


def drawn(pair: Sampled) -> list[Any]:
    """All draws of a turn, in their order."""
    two = dict(zip(pair.drawn, (pair.first, pair.second), strict=True))
    rest = iter(pair.others)
    return [two[n] if n in two else next(rest) for n in range(2 + len(pair.others))]


def test_all_draws_are_kept(run: Path) -> None:
    """Those that did not become the pair are in the journal beside it."""
    settings = Settings(
        **next(r for r in records(run) if hasattr(r, "settings")).settings
    )
    count = settings.num_generations

    for pair in sampled(run):
        assert len(drawn(pair)) == count
        assert len({*pair.drawn}) == 2


def test_the_pair_follows_from_the_ranking(run: Path) -> None:
    """Wherever three or more read differently, each is compared with each other."""
    facts = records(run)
    ranked = {r.ticket: r for r in facts if isinstance(r, Ranked)}
    by_rank = "best-worst" in str(next(r for r in facts if hasattr(r, "settings")))

    for pair in sampled(run):
        compared = pairing.to_compare(pair.ticket, drawn(pair)) if by_rank else {}
        assert bool(compared) == (pair.ticket in ranked)
        if compared:
            assert {v.ticket for v in ranked[pair.ticket].verdicts} == {*compared}


def test_a_run_with_several_draws_resumes_exactly(run: Path) -> None:
    """Interrupted is uninterrupted: the same draws, the same pairs, the same bytes."""
    whole = run.parent / "whole"

    def told(of: Path) -> list[Any]:
        return [(p.first, p.second, p.others, p.drawn) for p in sampled(of)]

    assert told(run) == told(whole)
    assert [s.margins for s in steps(run)] == [s.margins for s in steps(whole)]
    ends = [
        (folder / "adapters" / "adapters.safetensors").read_bytes()
        for folder in (run, whole)
    ]
    assert ends[0] == ends[1]


def test_it_passes_an_audit(run: Path) -> None:
    """Every pair is chosen again from its draws and their ranking."""
    audit(run)


def swapped(forger: Forger) -> int:
    """The second was the first."""
    pair = forger.get(Sampled)
    return forger.change(
        Sampled, first=pair.second, second=pair.first, drawn=pair.drawn[::-1]
    )


def another(forger: Forger) -> int:
    """Another draw stands in the pair, and its own place is told."""
    pair = forger.get(Sampled)
    place = next(n for n in range(4) if n not in pair.drawn)
    draws = drawn(pair)
    rest = [n for n in range(2 + len(pair.others)) if n not in (pair.drawn[0], place)]
    return forger.change(
        Sampled,
        second=draws[place],
        others=tuple(draws[n] for n in rest),
        drawn=(pair.drawn[0], place),
    )


def one_less(forger: Forger) -> int:
    """A draw that was lost."""
    return forger.change(Sampled, others=lambda old: old[1:])


def nowhere(forger: Forger) -> int:
    """Draws that there are not."""
    return forger.change(Sampled, drawn=(0, 9))


@pytest.mark.parametrize("plant", [swapped, another, one_less, nowhere])
def test_a_lie_about_the_draws_is_found(run: Path, plant: Any, tmp_path: Path) -> None:
    """Another pair than the ranking, or the lot, says."""
    forger = Forger.of_a_copy(run, tmp_path / "forged")
    frame = plant(forger)
    forger.write()

    with pytest.raises(AuditFailed, match="sampled of pair") as failed:
        audit(tmp_path / "forged")

    assert failed.value.facts["frame"] == frame


def turned(forger: Forger) -> int:
    """A verdict of the ranking says the contrary."""
    ranked = forger.get(Ranked)
    first, *rest = ranked.verdicts
    turned_round = replace(
        first, winner="second" if first.winner == "first" else "first"
    )
    return forger.change(Ranked, verdicts=(turned_round, *rest))


def fewer(forger: Forger) -> int:
    """Two draws were not compared."""
    return forger.change(Ranked, verdicts=lambda old: old[:-1])


def gone(forger: Forger) -> int:
    """A ranking that is not there."""
    number, batch, place = forger.find(Ranked)
    del batch[place]
    return number


def twice(forger: Forger) -> int:
    """A ranking that does not stand behind its pair."""
    number, batch, place = forger.find(Ranked)
    batch.insert(place, batch[place])
    return number


@pytest.mark.parametrize("plant", [turned, fewer, gone, twice])
@pytest.mark.parametrize("run", WAYS[:2], indirect=True, ids=str)
def test_a_lie_about_the_ranking_is_found(
    run: Path, plant: Any, tmp_path: Path
) -> None:
    """Its verdicts are read again like any other."""
    forger = Forger.of_a_copy(run, tmp_path / "forged")
    frame = plant(forger)
    forger.write()

    with pytest.raises(AuditFailed) as failed:
        audit(tmp_path / "forged")

    assert failed.value.facts["frame"] == frame


def test_people_do_not_rank(tmp_path: Path) -> None:
    """With people as judges only two at random can be taken of several."""
    with pytest.raises(UsageError, match="people cannot rank") as refused:
        Settings(judge="human", num_generations=4)

    assert "pairing random" in refused.value.hint
    Settings(judge="human", num_generations=4, pairing="random")
