"""Rounds (iterative DPO): sampled from one policy, judged whole, then trained on."""

from __future__ import annotations

import shutil
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.engine.fork import fork
from onlinedpo.engine.loop import train
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.engine.training.learner import Learner
from onlinedpo.engine.training.logps import Scorer
from onlinedpo.journal.audit.auditing import audit
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import AuditFailed, UsageError
from onlinedpo.states.records import Label, Record, Sampled, Step, Verdict
from tests.engine.runs import (
    Listener,
    Scripted,
    by_text,
    go_on,
    opened,
    records,
    sampled,
    state,
    steps,
    trained,
    unreliable,
)
from tests.journal.forging import Forger
from tests.people.kit import Person, Stages, answer, in_a_hurry, said
from tests.people.runs import back, trained_on, work

ROUND = {"pairs_per_round": 7, "iters": 6}
"""Of batches of 3: not a multiple."""


class Impatient(Listener):
    """Stops a run after one operation."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def asked_to_stop(self) -> bool:
        """Whether it was asked before."""
        self.asked += 1
        return self.asked > 1


def told(folder: Path) -> list[Any]:
    """What was sampled and trained on, in order."""
    return [
        (fact.prompt, fact.first, fact.second, fact.step)
        if isinstance(fact, Sampled)
        else (fact.tickets, fact.loss, fact.grad_norm)
        for fact in records(folder)
        if isinstance(fact, Sampled | Step)
    ]


def kinds(folder: Path, *wanted: type[Record]) -> list[tuple[str, int]]:
    """Runs of facts of these kinds, in the order in which they came."""
    names = [type(r).__name__ for r in records(folder) if isinstance(r, wanted)]
    return [(name, len([*same])) for name, same in groupby(names)]


def test_a_round_is_sampled_and_judged_whole_before_it_is_trained_on(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """Seven pairs from one policy give steps of 3, 3 and 1; then come the next seven.

    Each round is drawn from the policy that the round before it left.
    """
    trained(tmp_path, Scripted(by_text), **parts, **ROUND)

    assert kinds(tmp_path, Sampled, Step) == 2 * [("Sampled", 7), ("Step", 3)]
    assert [len(step.tickets) for step in steps(tmp_path)] == 2 * [3, 3, 1]
    assert [p.step for p in sampled(tmp_path)] == 7 * [0] + 7 * [3]
    # A kill in the midst of a round loses a batch at most.
    assert kinds(tmp_path, Sampled, Verdict)[:3] == [
        ("Sampled", 3),
        ("Verdict", 6),
        ("Sampled", 3),
    ]
    audit(tmp_path)


def test_pairs_without_a_label_shorten_a_round(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """What the judge did not decide is not replaced: a round is what was sampled."""
    trained(tmp_path, Scripted(unreliable), **parts, pairs_per_round=7, iters=8)

    whole = [(k, n) for k, n in kinds(tmp_path, Sampled, Step) if k == "Sampled"]
    assert {n % 7 for _, n in whole} == {0}
    assert len([r for r in records(tmp_path) if isinstance(r, Label)]) < len(
        sampled(tmp_path)
    )
    audit(tmp_path)


@pytest.mark.parametrize("pairs", [3, None])
def test_a_round_of_one_step_is_online_dpo(
    pairs: int | None, parts: dict[str, Any], tmp_path: Path
) -> None:
    """The default: to the byte."""
    online = trained(tmp_path / "online", Scripted(by_text), **parts)
    rounds = trained(
        tmp_path / "rounds", Scripted(by_text), **parts, pairs_per_round=pairs
    )
    assert online == rounds
    assert told(tmp_path / "online") == told(tmp_path / "rounds")


def test_a_round_is_not_smaller_than_a_step() -> None:
    """It is refused before anything is loaded."""
    with pytest.raises(UsageError, match=r"pairs_per_round is 5.* 6 pairs") as caught:
        Settings(batch_size=3, grad_accumulation_steps=2, pairs_per_round=5)
    assert "pairs_per_round" in caught.value.hint


def test_a_run_in_rounds_resumes_exactly(own: dict[str, Any], tmp_path: Path) -> None:
    """Stopped within a round and between two, it ends like one left alone.

    Started from its adapter alone, without the optimizer's state, it does not.
    """
    wanted = {**own, **ROUND}
    whole = go_on(tmp_path / "whole", **wanted)

    run = tmp_path / "run"
    go_on(run, Listener(stop_after=2), **wanted)
    go_on(run, Listener(stop_after=1))
    go_on(run, Listener(stop_after=1))
    cold = Path(shutil.copytree(run, tmp_path / "cold"))
    resumed = go_on(run)
    with opened(cold) as alone:
        alone.judge = Scripted(by_text)
        fresh = Learner(alone.policy, Scorer(alone.policy.model), alone.settings)
        alone.learner = fresh
        train(alone)
        started_cold = state(alone)

    assert whole == resumed != started_cold
    assert told(run) == told(tmp_path / "whole")
    audit(run)


def test_stopped_after_every_operation_a_round_goes_on_with_the_next(
    own: dict[str, Any], tmp_path: Path
) -> None:
    """Nothing is sampled or judged twice, and no round begins anew."""
    run, whole = tmp_path / "run", tmp_path / "whole"
    wanted = {**own, "pairs_per_round": 5, "iters": 3, "val_prompts": 0}
    ended = go_on(whole, **wanted)

    while not run.exists() or len(steps(run)) < 3:
        go_on(run, Impatient(), **({} if run.exists() else wanted))

    assert go_on(run) == ended
    assert told(run) == told(whole)


def test_without_checkpoints_a_run_in_rounds_is_rebuilt(
    own: dict[str, Any], tmp_path: Path
) -> None:
    """From the journal, in the midst of a round."""
    whole, run = go_on(tmp_path / "whole", **{**own, **ROUND}), tmp_path / "run"
    go_on(run, Listener(stop_after=4), **{**own, **ROUND})
    shutil.rmtree(run / "checkpoints")

    assert go_on(run) == whole


def test_the_figures_of_a_round_stand_at_each_of_its_steps(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """How sampling and judging went is said of the round; the rest of the step."""
    trained(tmp_path, Scripted(unreliable), **parts, pairs_per_round=12, iters=6)

    drawn: list[Sampled] = []
    of_rounds = []
    for fact in records(tmp_path):
        if isinstance(fact, Sampled):
            drawn = [fact, *(p for p in drawn if p.step == fact.step)]
        elif isinstance(fact, Step):
            ended = [c.finish == "stop" for p in drawn for c in (p.first, p.second)]
            assert fact.metrics["val/contain_eos_token"] == sum(ended) / len(ended)
            assert 0 < fact.metrics["judge/agreement"] < 1
            age = fact.metrics["label/age_steps_mean"]
            assert age == fact.index - 1 - drawn[0].step
            of_rounds.append(drawn[0].step)
    assert len({*of_rounds}) < len(of_rounds)


# -- people


PEOPLE = {"judge": "human", "pairs_per_round": 6, "iters": 4}


def test_where_people_judge_a_round_waits_whole(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """All of it is offered at once, and no step is taken before all is answered."""

    def most(labels: Path) -> None:
        """Answer the first four of them."""
        for path in sorted((labels / "todo").glob("*.md"))[:4]:
            answer(path, said(path))

    with in_a_hurry():
        left = Stages(most)
        work(tmp_path, left, **{**parts, **PEOPLE})
        assert left.waits == [6, 2] and not left.steps
        ended = work(tmp_path, Person())

    assert ended.ledger.steps == 4
    assert kinds(tmp_path, Sampled, Step) == 2 * [("Sampled", 6), ("Step", 2)]
    audit(tmp_path)


def test_a_rewound_run_takes_the_steps_of_its_rounds_again(
    own: dict[str, Any], tmp_path: Path
) -> None:
    """On the same pairs in the same batches, then it goes on with the next round."""
    run = tmp_path / "run"
    work(run, None, Scripted(by_text), **{**own, **ROUND, "iters": 5})
    before = trained_on(run)

    back(run, 1)
    work(run, None, Scripted(by_text), iters=7)

    assert trained_on(run)[5:9] == before[1:5]
    assert kinds(run, Sampled, Step) == [
        *(("Sampled", 7), ("Step", 3)),
        *(("Sampled", 7), ("Step", 2 + 4 + 1)),
        *(("Sampled", 7), ("Step", 1)),
    ]
    audit(run)


def test_a_round_goes_on_without_the_pairs_that_wait_for_people(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """A model judges and some pairs go to people: what is labelled is trained on.

    What nobody has answered joins a later round, and not more of it than may wait.
    """
    unasked = Stages()
    wanted = {**parts, **ROUND, "iters": 20, "human_share": 0.2, "max_waiting": 14}
    with in_a_hurry():
        stood = work(tmp_path, unasked, Scripted(by_text), **wanted)
        assert 7 < len(stood.ledger.waiting()) <= 14
        assert len({p.step for p in sampled(tmp_path)}) > 1
        work(tmp_path, Person(), Scripted(by_text))

    whole = [n for name, n in kinds(tmp_path, Sampled, Step) if name == "Sampled"]
    assert {n % 7 for n in whole} == {0}
    assert len(steps(tmp_path)) == 20
    audit(tmp_path)


def test_a_fork_within_a_round_goes_on_with_its_pairs(
    own: dict[str, Any], tmp_path: Path
) -> None:
    """What was sampled is trained on as in the other run; the next round is its own."""
    run, new = tmp_path / "run", tmp_path / "new"
    go_on(run, **{**own, **ROUND})
    fork(RunFolder(run), RunFolder(new), {"learning_rate": 0.05}, at=2)
    go_on(new)

    assert [step.tickets for step in steps(new)] == [s.tickets for s in steps(run)]
    assert sampled(new)[:7] == sampled(run)[:7]
    assert sampled(new)[7:] != sampled(run)[7:]
    audit(new)


# -- lies


def too_early(forger: Forger) -> int:
    """A step before its round was whole."""
    step = forger.get(Step)
    number, batch, place = forger.find(Sampled, 3)
    assert place == 0 and len(batch) == 3
    early = replace(step, tickets=(0, 1, 2), metrics={}, margins=(0.0, 0.0, 0.0))
    return forger.insert(number, early)


def too_few(forger: Forger) -> int:
    """A round whose last pair is missing."""
    number, _, _ = forger.find(Sampled, 6)
    forger.drop(number)
    return number


def too_many(forger: Forger) -> int:
    """A round of one pair more than were wanted."""
    number, batch, _ = forger.find(Sampled, 6)
    batch.append(replace(forger.get(Sampled, 7), step=0))
    return number


@pytest.mark.parametrize("lie", [too_early, too_few, too_many])
def test_a_lie_about_a_round_is_caught(
    lie: Any, parts: dict[str, Any], tmp_path: Path
) -> None:
    """An audit knows from the journal alone when a round is whole."""
    trained(tmp_path / "run", Scripted(by_text), **parts, **ROUND)
    forger = Forger(tmp_path / "run")
    number = lie(forger)
    with pytest.raises(AuditFailed) as caught:
        audit(forger.write())
    assert caught.value.facts["frame"] in (number, number + 1)
