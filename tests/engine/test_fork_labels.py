"""A fork under another judge's labels: what the model would have learned from it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.engine.judges.comparison import Comparison
from onlinedpo.engine.loop import train
from onlinedpo.engine.observer import Silent
from onlinedpo.engine.rebuild import rebuild
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.engine.start import take_up
from onlinedpo.journal.audit.auditing import audit
from onlinedpo.journal.reader import Reader
from onlinedpo.journal.rewinding import rewind
from onlinedpo.states.errors import UsageError
from onlinedpo.states.labelling import decide
from onlinedpo.states.ledger import LabelledPair
from onlinedpo.states.lifecycle import Phase
from onlinedpo.states.records import (
    Derived,
    Dropped,
    Evaluated,
    Label,
    Reason,
    Restored,
    Rewound,
    Sampled,
    Shown,
    Side,
)
from onlinedpo.states.replanning import Ended, plan
from tests.engine.forks import Judging, fork, rejudge
from tests.engine.kit import DROPOUT, trainer
from tests.engine.runs import (
    SMALL,
    Listener,
    Scripted,
    Winner,
    by_text,
    go_on,
    opened,
    records,
    state,
    steps,
    trained,
    unreliable,
)

STEPS: dict[str, Any] = {"iters": 5, "lora_parameters": DROPOUT}


@pytest.fixture(scope="module")
def model(toy: Path, opinionated: Path, data: Path) -> dict[str, Any]:
    """What the runs here are made of."""
    return {"model": str(toy), "judge": str(opinionated), "data": str(data)}


@pytest.fixture(scope="module")
def finished(
    model: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """A finished run whose judge often fails, and the digest of its state."""
    run = tmp_path_factory.mktemp("finished") / "run"
    return run, trained(run, Scripted(unreliable), **model, **STEPS)


def others(comparison: Comparison, shown: Shown) -> Winner:
    """Another taste, which ties on every fourth pair."""
    if comparison.ticket % 4 == 0:
        return "tie"
    return "second" if by_text(comparison, shown) == "first" else "first"


def batches(run: Path) -> list[tuple[int, ...]]:
    """The pairs of each step that was ever taken."""
    return [step.tickets for step in steps(run)]


def labelled_by_others(pair: Sampled) -> LabelledPair:
    """A pair as that other taste labels it."""
    chosen: Side = "second" if pair.first.text > pair.second.text else "first"
    label = Label(
        ticket=pair.ticket, chosen=chosen, source="judge", confidence=1.0, time=0.0
    )
    return LabelledPair(pair, label)


def test_under_the_same_labels_it_comes_to_the_same_bytes(
    finished: tuple[Path, str], toy: Path, tmp_path: Path
) -> None:
    """The same pairs in the same batches: another judge that agrees changes nothing."""
    run, whole = finished
    verdicts = rejudge(run, Scripted(unreliable), str(toy), into=tmp_path / "judge")
    done = fork(run, tmp_path / "new", labels="rejudged", rejudged=verdicts)

    assert (done.batches, done.corrected, done.left_out) == (5, 0, 0)
    assert done.changed == {"judge": str(toy)}
    assert go_on(tmp_path / "new") == whole
    taken = batches(tmp_path / "new")
    assert taken[:5] == taken[5:] == batches(run)


def test_other_labels_give_another_model(
    finished: tuple[Path, str], toy: Path, tmp_path: Path
) -> None:
    """Ties leave their batch, what is decided now joins the one that was next.

    A learner that takes these steps, without any run around it, comes to the same.
    """
    run, whole = finished
    verdicts = rejudge(run, Scripted(others), str(toy), into=tmp_path / "judge")
    new = tmp_path / "new"
    done = fork(run, new, labels="rejudged", rejudged=verdicts)
    ended = go_on(new)

    assert ended != whole
    # Nothing is sampled or judged for it.
    assert Reader(new / "journal").fold().next_ticket == max(
        record.ticket + 1 for record in records(run) if isinstance(record, Sampled)
    )
    old, taken = batches(run), batches(new)[5:]
    assert len(taken) == done.batches == len([b for b in taken if b])
    counts = Reader(new / "journal").fold().counts()
    assert counts[Phase.APPLIED] == sum(map(len, taken))
    dropped = {r.ticket: r for r in records(run) if isinstance(r, Dropped)}
    joined = {ticket for batch in taken for ticket in batch} - {
        ticket for batch in old for ticket in batch
    }
    assert joined and joined <= dropped.keys()
    assert all(ticket % 4 for batch in taken for ticket in batch)
    pairs = {r.ticket: r for r in records(run) if isinstance(r, Sampled)}
    alone = trainer(toy, **{**SMALL, **STEPS})
    for number, batch in enumerate(taken, start=1):
        alone.learner.step([labelled_by_others(pairs[t]) for t in batch], number)
    assert alone.digest() == ended
    for number, batch in enumerate(old, start=1):
        kept = {ticket for ticket in batch if ticket % 4}
        next_ones = {t for t in joined if pairs[t].step == number - 1}
        assert kept | next_ones == {*taken[number - 1]}
    again = rebuild(RunFolder(new), tmp_path / "again", Silent(), to=None, model=None)
    assert (again.first, again.step) == (None, done.batches)


def test_it_can_be_audited(
    finished: tuple[Path, str], toy: Path, tmp_path: Path
) -> None:
    """Each label follows from the verdicts beside it, and the batches from the labels.

    What is recorded is planned once more from the facts before.
    """
    verdicts = rejudge(finished[0], Scripted(others), str(toy), into=tmp_path / "judge")
    fork(finished[0], tmp_path / "new", labels="rejudged", rejudged=verdicts)
    facts = records(tmp_path / "new")
    restored = {r.sampled.ticket: r for r in facts if isinstance(r, Restored)}
    (rewound,) = [r for r in facts if isinstance(r, Rewound)]
    (derived,) = [r for r in facts if isinstance(r, Derived)]

    for pair in restored.values():
        decided = decide(pair.verdicts, pair.time)
        if isinstance(decided, Label):
            assert decided == pair.label
        else:
            assert (pair.label.chosen, pair.label.reason) == (None, decided.reason)
        assert (pair.votes, pair.slots) == ((), 0)

    def recorded(ended: Ended) -> Restored | None:
        assert ended.turn.sampled
        return restored.get(ended.turn.sampled.ticket)

    planned = plan(facts[: facts.index(rewound)], 0, recorded)
    assert planned.batches == rewound.batches
    assert planned.tickets == rewound.tickets
    assert {p.sampled.ticket: p for p in planned.pairs} == restored
    assert (derived.labels, derived.step) == ("rejudged", 5)
    assert derived.judge["id"] == str(toy)


def test_it_goes_on_under_the_new_judge(
    finished: tuple[Path, str], model: dict[str, Any], toy: Path, tmp_path: Path
) -> None:
    """With more steps; the batches come first, and the win rate is the new judge's."""
    verdicts = rejudge(finished[0], Scripted(others), str(toy), into=tmp_path / "judge")
    new = tmp_path / "new"
    done = fork(finished[0], new, labels="rejudged", rejudged=verdicts)
    assert not [r for r in records(new) if isinstance(r, Evaluated)]
    go_on(new)
    stood = len(records(new))
    with opened(new, iters=done.batches + 1) as longer:
        assert longer.judge and longer.ledger.opened
        assert longer.ledger.opened.judge == longer.judge.identity
        assert longer.judge.identity["id"] == str(toy)
        longer.judge = Scripted(by_text)
        train(longer)
        ended = state(longer)

    fresh = [r for r in records(new)[stood:] if isinstance(r, Sampled)]
    assert fresh and {pair.step for pair in fresh} == {done.batches}
    shutil.rmtree(new / "checkpoints")
    with opened(new) as rebuilt:
        assert state(rebuilt) == ended


def test_stopped_and_without_checkpoints_it_ends_the_same(
    finished: tuple[Path, str], toy: Path, tmp_path: Path
) -> None:
    """As any other run."""
    verdicts = rejudge(finished[0], Scripted(others), str(toy), into=tmp_path / "judge")
    for name in ("whole", "stopped"):
        fork(finished[0], tmp_path / name, labels="rejudged", rejudged=verdicts)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    for steps_at_once in (1, 2):
        go_on(stopped, Listener(stop_after=steps_at_once))
        shutil.rmtree(stopped / "checkpoints")

    assert go_on(stopped) == go_on(whole)
    assert batches(stopped) == batches(whole)


def test_pairs_that_the_judge_was_not_asked_about_are_left_out(
    finished: tuple[Path, str], toy: Path, tmp_path: Path
) -> None:
    """A sample is trained on alone; so is what it was asked of a run that went on."""
    run = Path(shutil.copytree(finished[0], tmp_path / "run"))
    few = rejudge(run, Scripted(by_text), str(toy), sample=4)
    every = rejudge(run, Scripted(by_text), str(toy), into=tmp_path / "every")
    trained_longer = go_on(run, iters=6)
    done = fork(run, tmp_path / "few", labels="rejudged", rejudged=few)
    whole = fork(run, tmp_path / "whole", labels="rejudged", rejudged=every)

    pairs = [r for r in records(run) if isinstance(r, Sampled)]
    assert done.left_out == len(pairs) - 4
    ledger = Reader(tmp_path / "few" / "journal").fold()
    assert len(ledger.labelled()) == 4
    assert {label.reason for label in ledger.undecided()} == {Reason.LEFT_OUT}
    assert ledger.counts()[Phase.APPLIED] == 0
    assert whole.left_out == len([p for p in pairs if p.step == 5])
    assert whole.batches == 5
    assert go_on(tmp_path / "whole") != trained_longer
    go_on(tmp_path / "few")
    for name in ("few", "whole"):
        assert audit(tmp_path / name).kinds[Rewound] == 1


def test_verdicts_that_are_not_of_the_run_are_refused(
    finished: tuple[Path, str], model: dict[str, Any], toy: Path, tmp_path: Path
) -> None:
    """Those on another run's pairs, incomplete ones, and a run instead of verdicts."""
    run = finished[0]
    go_on(tmp_path / "other", **model, iters=1, seed=1)
    foreign = rejudge(tmp_path / "other", Scripted(by_text), str(toy))
    half = rejudge(
        run, Scripted(by_text), str(toy), Judging(stop_after=3), into=tmp_path / "half"
    )
    for folder, why in (
        (foreign, "pairs of another run"),
        (half, "is not complete: pair 0000"),
        (tmp_path / "other", "does not hold another judge's verdicts"),
    ):
        with pytest.raises(UsageError, match=why):
            fork(run, tmp_path / "new", labels="rejudged", rejudged=folder)
    with pytest.raises(UsageError, match="holds another judge's verdicts, and no run"):
        fork(half, tmp_path / "new")
    with pytest.raises(UsageError, match="who judges"):
        fork(run, tmp_path / "new", labels="rejudged", rejudged=half, judge_system="x")

    assert {p.name for p in tmp_path.iterdir()} == {"other", "half"}


def test_a_judge_without_a_winner_is_refused(
    finished: tuple[Path, str], toy: Path, tmp_path: Path
) -> None:
    """There would be nothing to train on."""
    verdicts = rejudge(
        finished[0], Scripted(lambda *_: "tie"), str(toy), into=tmp_path / "judge"
    )
    with pytest.raises(UsageError, match="found no winner in any pair"):
        fork(finished[0], tmp_path / "new", labels="rejudged", rejudged=verdicts)


def test_a_rewind_is_to_be_trained_through_first(
    finished: tuple[Path, str], toy: Path, tmp_path: Path
) -> None:
    """Until then it is open which batches the run has."""
    run = Path(shutil.copytree(finished[0], tmp_path / "run"))
    verdicts = rejudge(run, Scripted(unreliable), str(toy), into=tmp_path / "judge")
    with take_up(RunFolder(run), Silent()) as journal:
        rewind(journal, 2)
    with pytest.raises(UsageError, match="not been trained through"):
        fork(run, tmp_path / "new", labels="rejudged", rejudged=verdicts)

    with opened(run) as at_work:
        at_work.judge = Scripted(unreliable)
        train(at_work)
    fork(run, tmp_path / "new", labels="rejudged", rejudged=verdicts)
    assert go_on(tmp_path / "new") == finished[1]


def test_it_may_end_before_all_batches_are_taken(
    finished: tuple[Path, str], toy: Path, tmp_path: Path
) -> None:
    """The rest of them comes if it is made longer."""
    verdicts = rejudge(finished[0], Scripted(others), str(toy), into=tmp_path / "judge")
    done = fork(
        finished[0], tmp_path / "new", labels="rejudged", rejudged=verdicts, iters=3
    )
    go_on(tmp_path / "new")

    assert done.iters == 3 < done.batches
    ledger = Reader(tmp_path / "new" / "journal").fold()
    assert (ledger.steps, len(ledger.planned)) == (3, done.batches - 3)
