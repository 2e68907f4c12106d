"""Going back to an earlier step and on again: the same run, but for what was corrected.

`rewind` itself does not need MLX; the runs here are real, and their bytes are compared.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.engine.judges.comparison import Comparison
from onlinedpo.engine.observer import Silent
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.engine.start import take_up
from onlinedpo.states.errors import WaitingForPeople
from onlinedpo.states.records import Evaluated, Label, Rewound, Sampled, Shown
from tests.engine.kit import DROPOUT
from tests.engine.runs import Listener, Scripted, Winner, prefers_first, steps
from tests.people.kit import Doubtful, Parts, Person, answer, nothing, on, said
from tests.people.runs import (
    again,
    back,
    correct,
    done_file,
    drop,
    pairs,
    standing,
    those,
    trained_on,
    work,
)
from tests.toys import prompts_file

pytestmark = pytest.mark.usefixtures("hurry")


@pytest.mark.parametrize(
    ("to", "checkpoints"), [(0, True), (1, False), (3, True), (3, False), (4, True)]
)
def test_without_a_correction_it_is_the_same_run_again(
    to: int, checkpoints: bool, human: Parts, tmp_path: Path
) -> None:
    """Equal adapter, optimizer and losses: with dropout, and sparse checkpoints."""
    settings = {**human, "lora_parameters": DROPOUT, "save_every": 3, "iters": 5}
    before = work(tmp_path, **settings)
    stood = standing(tmp_path)
    sampled = len(pairs(tmp_path))

    done = back(tmp_path, to)
    if not checkpoints:
        shutil.rmtree(tmp_path / "checkpoints")
    after = work(tmp_path, Person(nothing))

    assert done.undone == done.batches == 5 - to
    assert done.corrected == ()
    assert after.state == before.state
    assert standing(tmp_path) == stood
    assert len(steps(tmp_path)) == 5 + 5 - to
    # Nothing is sampled again.
    assert len(pairs(tmp_path)) == sampled


def test_a_hybrid_run_is_the_same_again(parts: Parts, tmp_path: Path) -> None:
    """Also where pairs of later batches were sampled before earlier steps."""
    settings = {**parts, "escalate_below": 0.7, "iters": 5}
    script = Doubtful(prefers_first, sureness=lambda c: 0.9 if c.ticket % 3 else 0.6)
    work(tmp_path, Listener(stop_after=3), script, **settings)
    Person().at_work(tmp_path / "labels" / "todo")
    before = work(tmp_path, Person(), script)
    stood = standing(tmp_path)

    back(tmp_path, 2)
    after = work(tmp_path, Person(nothing), script)

    assert {r.source for r in those(tmp_path, Label)} == {"human", "judge"}
    assert after.state == before.state
    assert standing(tmp_path) == stood


def test_a_corrected_pair_is_trained_on_as_corrected(
    human: Parts, tmp_path: Path
) -> None:
    """In the batch where it was; the run is then what it had been with that answer."""
    run, whole = tmp_path / "run", tmp_path / "whole"
    before = work(run, **human, iters=2)
    correct(run, 4)
    work(run)

    done = back(run, 1)
    after = work(run, Person(nothing))

    first, second, redone = trained_on(run)
    other = {"first": "second", "second": "first"}
    assert done.corrected == (pairs(run)[4].pair,)
    assert redone == {**second, 4: other[second[4]]}
    rule = on({4: {"1": "2", "2": "1"}[said(done_file(run, 4))]})
    assert work(whole, Person(rule), **human, iters=2).state == after.state
    assert after.state != before.state
    assert trained_on(whole) == [first, redone]


def test_ties_leave_and_pairs_with_a_winner_now_join(
    human: Parts, tmp_path: Path
) -> None:
    """A trained pair that people now call a tie is not trained on; a tie decided is."""
    work(tmp_path, Person(on({1: "tie", 7: "both bad"})), **human)
    first_tie = [set(step) for step in trained_on(tmp_path)]
    answer(done_file(tmp_path, 1), "1")
    answer(done_file(tmp_path, 7), "skip")
    answer(done_file(tmp_path, 3), "tie")
    work(tmp_path)

    done = back(tmp_path, 0)
    ended = work(tmp_path, Person(nothing))

    assert first_tie == [{0, 2}, {3, 4, 5}, {6, 8}]
    assert [set(step) for step in trained_on(tmp_path)[3:]] == [
        {0, 1, 2},
        {4, 5},
        {6, 8},
    ]
    found = pairs(tmp_path)
    assert done.corrected == (found[1].pair, found[3].pair)
    assert ended.ledger.dropped == {"both bad": 1, "tie": 1}
    assert ended.ledger.steps == 3


def test_a_batch_of_which_nothing_is_left_is_passed_over(
    human: Parts, tmp_path: Path
) -> None:
    """The run then takes its last step on pairs that are sampled anew."""
    work(tmp_path, **human)
    for ticket in (3, 4, 5):
        answer(done_file(tmp_path, ticket), "tie")
    work(tmp_path)
    back(tmp_path, 1)
    person = Person()
    work(tmp_path, person)

    assert [set(step) for step in trained_on(tmp_path)[3:]] == [{6, 7, 8}, {9, 10, 11}]
    assert pairs(tmp_path)[9].step == 2


def test_a_label_taken_back_after_a_rewind_is_waited_for(
    human: Parts, tmp_path: Path
) -> None:
    """The batches come again in their order: nothing else is sampled meanwhile."""
    work(tmp_path, **human, max_waiting=9)
    stood = trained_on(tmp_path)
    sampled = len(pairs(tmp_path))
    back(tmp_path, 0)
    answer(done_file(tmp_path, 0), "undo")
    with pytest.raises(WaitingForPeople, match="1 label file waits"):
        work(tmp_path, patient=False)
    assert len(pairs(tmp_path)) == sampled
    assert len(steps(tmp_path)) == 3

    work(tmp_path, Person())

    assert trained_on(tmp_path)[3:] == stood


def test_after_a_rewind_an_undo_brings_the_judges_decision_back(
    parts: Parts, tmp_path: Path
) -> None:
    """The judge is not asked again for what it said: that stands in the journal."""
    settings = {**parts, "escalate_below": 0.5, "iters": 1}
    script = Doubtful(prefers_first)
    labels = tmp_path / "labels"

    class Overrules(Person):
        """Says otherwise of the first pair, before the step is due."""

        def doing(self, what: str, ledger: object = None) -> None:
            if what.startswith("judging"):
                drop(labels, "tie.jsonl", {"id": pairs(tmp_path)[0].pair} | TIE)

    work(tmp_path, Overrules(nothing), script, **settings)
    assert trained_on(tmp_path)[0][1] == "first"
    asked = len(script.asked)
    back(tmp_path, 0)
    drop(labels, "undo.jsonl", {"id": pairs(tmp_path)[0].pair, "choice": "undo"})
    work(tmp_path, Person(nothing), script)

    assert len(script.asked) == asked
    assert trained_on(tmp_path)[1][0] == "first"


TIE = {"choice": "tie"}


def test_win_rates_of_undone_steps_are_taken_again(model: str, tmp_path: Path) -> None:
    """And are equal; the rows for plotting hold none of what was undone."""
    run = tmp_path / "run"
    settings: dict[str, Any] = {
        **{"model": model, "human_share": 0.01, "steps_per_eval": 1, "val_prompts": 2},
        "data": str(prompts_file(tmp_path / "data", 12, held_out=2)),
    }
    script = Scripted(prefers_first)
    work(run, Person(), script, **settings)
    rates = [(e.step, e.completions, e.outcomes) for e in those(run, Evaluated)]
    rows = [json.loads(row) for row in (run / "metrics.jsonl").open()]

    back(run, 1)
    work(run, Listener(stop_after=1), script)
    middle = [json.loads(row) for row in (run / "metrics.jsonl").open()]
    work(run, Person(), script)
    ended = [json.loads(row) for row in (run / "metrics.jsonl").open()]

    found = [(e.step, e.completions, e.outcomes) for e in those(run, Evaluated)]
    assert [r[0] for r in rates] == [0, 1, 2, 3]
    assert found == [*rates, *rates[2:]]

    def plotted(rows: list[dict[str, Any]]) -> list[Any]:
        return [
            (row["step"], row.get("loss"), row.get("eval/mean_length")) for row in rows
        ]

    assert [row["step"] for row in ended] == [0, 1, 1, 2, 2, 3, 3]
    assert plotted(ended) == plotted(rows)
    assert [row["step"] for row in middle] == [0, 1, 1, 2]
    assert [row["time"] for row in middle][:3] == [row["time"] for row in rows][:3]


def test_a_rewind_of_a_rewind(human: Parts, tmp_path: Path) -> None:
    """Further back, and less far; also with a correction in between."""
    before = work(tmp_path, **human)
    again(tmp_path, 1)
    assert again(tmp_path, 2).state == before.state
    assert again(tmp_path, 0).state == before.state
    correct(tmp_path, 4)
    work(tmp_path)
    corrected = again(tmp_path, 1)
    correct(tmp_path, 4)
    work(tmp_path)
    undone = again(tmp_path, 1)

    assert corrected.state != before.state == undone.state
    assert [r.to for r in those(tmp_path, Rewound)] == [1, 2, 0, 1, 1]
    assert len(those(tmp_path, Sampled)) == 9


def test_a_requeued_correction_is_made_at_its_own_place(
    human: Parts, tmp_path: Path
) -> None:
    """The pair's second turn was a stopgap: it is not trained on twice any more."""
    work(tmp_path, Person(stop_after=1), **human, late_labels="requeue")
    correct(tmp_path, 1)
    work(tmp_path)
    (extra,) = [t for t, p in pairs(tmp_path).items() if p.repeats == 1]
    first, second, third = trained_on(tmp_path)
    assert extra in second

    done = back(tmp_path, 0)
    work(tmp_path)

    assert (done.undone, done.batches) == (3, 2)
    assert second == {extra: second[extra]}
    redone = trained_on(tmp_path)[3:]
    assert redone[:2] == [{**first, 1: second[extra]}, third]
    # In place of the second turn's step there is a fresh one.
    assert min(redone[2]) > max(third)


def test_a_prompt_that_was_sampled_anew_is_trained_on_again(
    parts: Parts, tmp_path: Path
) -> None:
    """Its fresh pair is another one than the one that had waited for too long."""

    def third_fails(comparison: Comparison, shown: Shown) -> Winner:
        return None if comparison.ticket % 3 == 2 else "first"

    settings: dict[str, Any] = {
        **{"escalate_below": 0.5, "max_staleness": 1, "when_stale": "requeue"},
        "iters": 6,
    }
    before = work(tmp_path, Person(nothing), Scripted(third_fails), **parts, **settings)
    stood = standing(tmp_path)
    fresh = {t for t, p in pairs(tmp_path).items() if p.repeats is not None}
    assert fresh & {t for step in stood for t in step[1]}

    back(tmp_path, 0)
    after = work(tmp_path, Person(nothing), Scripted(third_fails))

    assert standing(tmp_path) == stood
    assert after.state == before.state


def test_a_run_can_be_made_longer_after_a_rewind(human: Parts, tmp_path: Path) -> None:
    """It goes on as a run that was never rewound."""
    run, whole = tmp_path / "run", tmp_path / "whole"
    longer = work(whole, **human, iters=5)
    work(run, **human)
    back(run, 1)

    assert work(run, iters=5).state == longer.state


def test_the_ledger_says_how_far_a_rewound_run_stands(
    human: Parts, tmp_path: Path
) -> None:
    """Right after the rewind, and after each step that is taken again."""
    work(tmp_path, **human)
    back(tmp_path, 1)
    with take_up(RunFolder(tmp_path), Silent()) as journal:
        ledger = journal.ledger
        assert ledger.steps == 1
        assert len(ledger.labelled()) == 6
        assert ledger.last_step is None

    ended = work(tmp_path, Listener(stop_after=1))

    assert ended.ledger.steps == 2
    assert len(ended.ledger.labelled()) == 3
