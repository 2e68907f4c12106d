"""Lies in the journal of a run that a model judged: each is caught, and named.

The chain is made anew after each, to the very end, and the checkpoints are gone: so
the bytes are in order, and only what they say is not.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.journal.audit.auditing import audit
from onlinedpo.states.errors import AuditFailed, JournalError
from onlinedpo.states.records import (
    Completion,
    Dropped,
    Evaluated,
    HeldOut,
    Label,
    ProcessStarted,
    Record,
    RunOpened,
    Sampled,
    Step,
    Submitted,
    Verdict,
)
from tests.journal.forging import Forger
from tests.states import facts

Lie = Callable[[Forger], int]
"""Puts a lie into a journal; returns the number of the frame that is to be named."""

OTHER = {"first": "second", "second": "first"}


@pytest.fixture
def run(judged: Path, tmp_path: Path) -> Path:
    """A copy of a run."""
    shutil.copytree(judged, tmp_path / "run")
    return tmp_path / "run"


def changed(kind: type[Record], nth: int = 0, **fields: Any) -> Lie:
    """A record with other fields."""
    return lambda forger: forger.change(kind, nth, **fields)


def metric(name: str, by: float) -> Lie:
    """One figure of a step that is off by so much."""
    return changed(
        Step,
        1,
        metrics=lambda old: {**old, name: old[name] + by * (1 + abs(old[name]))},
    )


def flipped(kind: type[Record], field: str, nth: int = 0) -> Lie:
    """The other side."""
    return changed(kind, nth, **{field: lambda side: OTHER[side]})


def reworded(side: str) -> Lie:
    """A completion that reads otherwise than the judge was shown."""

    def other(completion: Completion) -> Completion:
        return replace(completion, text=completion.text + "!")

    fields: dict[str, Any] = {side: other}
    return lambda forger: _named_at(
        forger, Verdict, forger.change(Sampled, 1, **fields)
    )


def _named_at(forger: Forger, kind: type[Record], after: int) -> int:
    """The first frame with a record of a kind from a frame on."""
    return next(
        number
        for number, batch in forger.frames
        if number >= after and any(isinstance(record, kind) for record in batch)
    )


def prompted(change: Callable[[str], str]) -> Lie:
    """Another prompt than the one that was asked."""
    return changed(Verdict, 7, prompt=change)


def judge(**brief: Any) -> Lie:
    """A verdict of another judge."""
    return changed(Verdict, 5, judge=lambda old: {**old, **brief})


def a_label_more(forger: Forger) -> int:
    """For a pair that the judge dropped: labelled in a frame of its own before."""
    number, batch, place = forger.find(Dropped)
    drop = batch.pop(place)
    assert isinstance(drop, Dropped)
    label = forger.get(Label)
    forger.insert(number + 1, replace(label, ticket=drop.ticket))
    return number


def a_label_again(forger: Forger) -> int:
    """A pair is labelled once more, otherwise, before the step."""
    number, batch, place = forger.find(Label)
    label = batch[place]
    assert isinstance(label, Label)
    forger.insert(number + 1, replace(label, chosen="second"))
    return number + 1


def a_label_less(forger: Forger) -> int:
    """A pair of a judged frame goes without a decision."""
    number, batch, place = forger.find(Label)
    del batch[place]
    return number


def a_step_more(forger: Forger) -> int:
    """A step on a pair that was never labelled."""
    step = forger.get(Step)
    drop = forger.get(Dropped)
    return forger.change(Step, 1, tickets=(*step.tickets[:1], drop.ticket))


def a_verdict_twice(forger: Forger) -> int:
    """Asked in the same order two times, and the answers agree."""
    number, batch, place = forger.find(Verdict, 3)
    batch[place] = replace(batch[place - 1])
    return number


def a_verdict_less(forger: Forger) -> int:
    """The order in which the judge said otherwise is gone."""
    number, batch, _ = forger.find(Dropped)
    del batch[1]
    return number


def a_verdict_moved(forger: Forger) -> int:
    """The verdicts of two pairs have changed places."""
    number, batch, _ = forger.find(Verdict)
    batch[0:2], batch[2:4] = batch[2:4], batch[0:2]
    return number


def a_pair_left_out(forger: Forger) -> int:
    """A fresh pair is not handed to the judge."""
    return forger.change(Submitted, tickets=lambda tickets: tickets[:-1])


def a_step_left_out(forger: Forger) -> int:
    """As if it had not been taken: the next one has its number."""
    number, _, _ = forger.find(Step)
    forger.drop(number)
    return number


def a_setting_changed(forger: Forger) -> int:
    """One that decides what comes out."""
    return forger.change(ProcessStarted, -1, changed={"beta": 0.5})


def sampled_at_will(forger: Forger) -> int:
    """Another prompt than the one whose turn it is."""
    return forger.change(Sampled, 2, prompt=lambda number: (number + 1) % 12)


def another_question(forger: Forger) -> int:
    """In its second turn a prompt has other words."""
    again = forger.find(Sampled, -1)[0]
    old = forger.get(Sampled, -1)
    assert old.epoch == 1
    words = ({"role": "user", "content": "Who?"},)
    forger.change(Sampled, -1, messages=words)
    return again


def a_win_rate_more(forger: Forger) -> int:
    """After a step after which none is taken."""
    number, _, _ = forger.find(Step)
    rate = forger.get(Evaluated)
    return forger.insert(number + 1, replace(rate, step=1))


def a_win_rate_again(forger: Forger) -> int:
    """It is taken once."""
    number, _, _ = forger.find(Evaluated)
    return forger.insert(number + 1, forger.get(Evaluated))


def a_reference_more(forger: Forger) -> int:
    """Its answers are drawn once."""
    number, _, _ = forger.find(HeldOut)
    return forger.insert(number + 1, forger.get(HeldOut))


def no_reference(forger: Forger) -> int:
    """Nothing to be compared with."""
    number, _, _ = forger.find(HeldOut)
    forger.drop(number)
    return number


def a_tie_won(forger: Forger) -> int:
    """The policy says what the reference said, word for word."""
    held_out = forger.get(HeldOut)
    rate = forger.get(Evaluated)
    same = (held_out.completions[0], *rate.completions[1:])
    outcomes = ("win", *rate.outcomes[1:])
    return forger.change(Evaluated, 2, completions=same, outcomes=outcomes)


def a_pair_less(forger: Forger) -> int:
    """Two prompts were sampled where three are for a step."""
    number, batch, _ = forger.find(Sampled, -1)
    del batch[-1]
    return number


def a_drop_among_samples(forger: Forger) -> int:
    """A prompt whose turn ends as if it had been judged."""
    number, batch, place = forger.find(Sampled, 3)
    pair = batch[place]
    assert isinstance(pair, Sampled)
    batch[place] = facts.dropped(pair.ticket)
    return number


def no_opening(forger: Forger) -> int:
    """A process takes up what nobody began."""
    forger.drop(1)
    return 1


def nothing_before_the_first_pair(forger: Forger) -> int:
    """Neither a run nor a process."""
    forger.drop(1)
    forger.drop(1)
    return 3


def a_fact_out_of_place(forger: Forger) -> int:
    """A pair is put back in the frame in which a process starts."""
    number, batch, _ = forger.find(ProcessStarted, -1)
    pair = forger.get(Sampled)
    batch.append(facts.restored(pair, forger.get(Label)))
    return number


def no_numbers(forger: Forger) -> int:
    """The codec takes what no run can have."""
    return forger.change(Verdict, logprobs=("likely", None))


LIES: dict[str, tuple[Lie, str]] = {
    "win rate inserted": (a_win_rate_more, "evaluated: 'evaluated' is recorded, noth"),
    "win rate repeated": (a_win_rate_again, "evaluated: 'evaluated' is recorded, noth"),
    "reference repeated": (a_reference_more, "held-out: 'held-out' is recorded, nothi"),
    "reference missing": (no_reference, "evaluated: 'evaluated' is recorded, nothing"),
    "win rate's completions": (
        changed(Evaluated, completions=()),
        "evaluated: completions: 0 is recorded, 3 is derived",
    ),
    "win rate's tie": (a_tie_won, "evaluated: outcomes.0: 'win' is recorded, 'tie'"),
    "pair not sampled": (a_pair_less, "sampled: pairs: 2 is recorded, 3 is derived"),
    "drop among samples": (
        a_drop_among_samples,
        "dropped: 'dropped' is recorded, 'sam",
    ),
    "opening missing": (no_opening, "run-opened: nothing is recorded, 'run-opened'"),
    "openings missing": (nothing_before_the_first_pair, "run-opened: nothing is rec"),
    "fact out of place": (a_fact_out_of_place, "restored: 'restored' is recorded, not"),
    "chances above all numbers": (
        changed(Verdict, logprobs=(1e308, 0.0)),
        r"no run can have \(OverflowError: math range error\)",
    ),
    "impossible value": (no_numbers, "a field has a value that no run can have"),
    "winner flipped": (
        flipped(Verdict, "winner"),
        r"verdict of pair 000000-\w{8}: winner: 'second' is recorded, 'first' is de",
    ),
    "failure reworded": (changed(Verdict, 12, failure="?"), "verdict .*: failure: "),
    "raw output": (changed(Verdict, raw="B"), "verdict of pair .*: raw: 'B' is recor"),
    "raw output of a failure": (changed(Verdict, 12, raw="A"), "000006-.*: failure: "),
    "log-probabilities": (
        changed(Verdict, logprobs=lambda old: old[::-1]),
        "winner: 'first' is recorded, 'second' is derived",
    ),
    "order shown": (
        changed(Verdict, shown="second-first"),
        "shown: 'second-first' is recorded, 'first-second'",
    ),
    "judge's weights": (judge(weights="0" * 64), "judge.weights: '0000.* is recorded"),
    "judge's name": (judge(id="gpt"), "verdict .*: judge.id: 'gpt' is recorded"),
    "prompt's answer": (
        prompted(lambda text: text.replace("Answer A", "The better answer A")),
        "verdict of pair .*: prompt: ",
    ),
    "prompt's question": (
        prompted(lambda text: text.replace("better?", "worse?")),
        "prompt",
    ),
    "prompt's rubric": (
        prompted(lambda text: text.replace("careful", "careless")),
        r"prompt \(rubric\): ",
    ),
    "prompt's template": (
        prompted(lambda text: text.replace("user", "root")),
        r"prompt \(template\): ",
    ),
    "completion's text": (reworded("first"), "verdict of pair 000001-.*: prompt: "),
    "other one's text": (reworded("second"), "verdict of pair 000001-.*: prompt: "),
    "label inserted": (a_label_more, "dropped of pair 000003-.*nothing is recorded"),
    "label repeated": (
        a_label_again,
        "label of pair 000000-.*: 'label' is recorded, n",
    ),
    "label missing": (
        a_label_less,
        "label of pair 000000-.*: nothing is recorded, 'label' is derived",
    ),
    "label flipped": (
        flipped(Label, "chosen"),
        "label of pair 000000-.*: chosen: 'second' is recorded, 'first' is derived",
    ),
    "confidence": (
        changed(Label, confidence=0.5),
        "label of .*: confidence: 0.5 is rec",
    ),
    "a person's label": (
        changed(Label, source="human"),
        "label .*: source: 'human' is",
    ),
    "drop's reason": (
        changed(Dropped, reason="tie"),
        "dropped .*: reason: 'tie' is rec",
    ),
    "drop's detail": (
        changed(Dropped, detail=""),
        "dropped of .*: detail: '' is record",
    ),
    "verdict twice": (a_verdict_twice, "verdict of pair 000001-.*: shown: "),
    "verdict missing": (a_verdict_less, "verdict of pair 000003-.*second-first"),
    "verdicts moved": (a_verdict_moved, "verdict of pair 000000-"),
    "pair not submitted": (
        a_pair_left_out,
        r"submitted: tickets: \(0, 1\) is recorded",
    ),
    "step's pairs": (a_step_more, r"step 2: tickets: \(0, 3\) is recorded, \(7, 8\)"),
    "step left out": (a_step_left_out, "operation: 'sample' is recorded, 'apply' is d"),
    "sampled of another prompt": (sampled_at_will, "sampled of pair .*: prompt: "),
    "sampled in another epoch": (
        changed(Sampled, epoch=1),
        "sampled .*: epoch: 1 is r",
    ),
    "sampled after another step": (changed(Sampled, -1, step=1), "sampled .*: step: 1"),
    "repeats": (
        changed(Sampled, 1, repeats=0),
        "sampled of .*: repeats: 0 is recorded",
    ),
    "prompt's words": (another_question, "sampled of pair .*: messages: "),
    "setting": (
        a_setting_changed,
        "process-started: changed.beta: 0.5 is recorded, noth",
    ),
    "run's id": (changed(RunOpened, run_id="ab" * 16), "run-opened: run_id: 'abab"),
    "win rate's step": (
        changed(Evaluated, 1, step=1),
        "evaluated: step: 1 is recorded, 2",
    ),
    "win rate's outcomes": (
        changed(Evaluated, outcomes=()),
        "evaluated: outcomes: 0 is",
    ),
    "loss": (changed(Step, 1, loss=lambda loss: loss + 1e-4), "step 2: loss: "),
    "margin": (
        changed(Step, 1, margins=lambda old: (old[0] + 1e-3, *old[1:])),
        "step 2: rewards/margins: ",
    ),
    "margins, one less": (
        changed(Step, 1, margins=()),
        "step 2: margins: 0 is recorded",
    ),
    "longer": (
        metric("pairs/longer_chosen_frac", 0.5),
        "step 2: pairs/longer_chosen_frac",
    ),
    "agreement": (metric("judge/agreement", 0.1), "step 2: judge/agreement: "),
    "failures": (metric("judge/failure_rate", 0.1), "step 2: judge/failure_rate: "),
    "pending": (metric("label/pending", 1), "step 2: label/pending: "),
    "accuracy": (metric("rewards/accuracies", -0.3), "step 2: rewards/accuracies: "),
    "mean margin": (metric("rewards/margins", 1e-5), "step 2: rewards/margins: "),
    "mean reward": (metric("rewards/chosen", 1e-3), "step 2: rewards/margins: "),
    "divergence": (metric("objective/kl", 1e-3), "step 2: objective/kl: "),
    "beta": (metric("beta", 0.1), "step 2: beta: "),
    "learning rate": (metric("learning_rate", 1e-5), "step 2: learning_rate: "),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_caught_and_named(lie: str, run: Path) -> None:
    """By frame, record, pair and field, with what is recorded and what follows."""
    plant, named = LIES[lie]
    forger = Forger(run)
    frame = plant(forger)
    forger.write()

    with pytest.raises(AuditFailed, match=named) as failed:
        audit(run)

    assert str(failed.value).startswith(str(run / "journal" / "00000"))
    assert f": frame {frame}: " in str(failed.value)
    assert failed.value.facts["frame"] == frame


def test_the_truth_passes(run: Path) -> None:
    """What is written as it was is no lie: the chain is the very same."""
    before = audit(run)
    Forger(run).write()

    assert audit(run).head == before.head


def test_a_parser_that_is_not_known_is_an_error_of_its_own(run: Path) -> None:
    """The verdict may be right: this version cannot tell."""
    forger = Forger(run)
    opened = forger.get(RunOpened)
    forger.change(RunOpened, judge={**opened.judge, "parser": 99})
    for nth in range(30):
        forger.change(Verdict, nth, judge=lambda old: {**old, "parser": 99})
    forger.write()

    with pytest.raises(
        JournalError, match=r"frame 7: .*parser has version 99"
    ) as failed:
        audit(run)

    assert not isinstance(failed.value, AuditFailed)
    assert "version of onlinedpo" in failed.value.hint
