"""The model judge: both orders, the same answer however it is asked, and no guesses."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from onlinedpo.engine.judges.comparison import Comparison
from onlinedpo.engine.judges.model import ModelJudge
from onlinedpo.engine.models import policy as policies
from onlinedpo.engine.models.identity import identify
from onlinedpo.states.errors import UsageError
from onlinedpo.states.records import Shown
from onlinedpo.states.verdicts.parsing import MIN_MASS, letters
from tests.engine.kit import some_pairs
from tests.engine.runs import opened
from tests.toys import toy_model

WORDS = ["yes", "no, never", "~~~~~ a fence", "x" * 90, "<|im_end|>", "", "two\nlines"]


def comparison(ticket: int, first: str, second: str) -> Comparison:
    """Two texts about one question."""
    question = {"role": "user", "content": f"Question {ticket}?"}
    return Comparison(ticket, (question,), first, second)


ASKED = [
    comparison(i, WORDS[i], WORDS[(3 * i + 1) % len(WORDS)]) for i in range(len(WORDS))
]


def judge_of(model: Path, *, orders: int = 2, seed: int = 0) -> ModelJudge:
    """A judge with weights of its own."""
    base, tokenizer = policies.load(identify(str(model)))
    return ModelJudge(
        base,
        tokenizer,
        identity=identify(str(model)).as_dict(),
        rubric="Prefer the kinder answer.",
        orders=orders,
        seed=seed,
    )


@pytest.fixture(scope="module")
def judge(opinionated: Path) -> ModelJudge:
    """A judge that has an opinion on most pairs."""
    return judge_of(opinionated)


def test_every_pair_is_asked_about_in_both_orders(judge: ModelJudge) -> None:
    """One verdict each, and each shows the texts in the order it names."""
    for asked, verdicts in zip(ASKED[:2], judge.judge(ASKED[:2]), strict=True):
        assert [v.shown for v in verdicts] == ["first-second", "second-first"]
        for verdict in verdicts:
            assert verdict.ticket == asked.ticket
            shown = [asked.first, asked.second]
            a, b = shown if verdict.shown == "first-second" else shown[::-1]
            assert f"Answer A:\n~~~\n{a}\n~~~" in verdict.prompt
            assert f"Answer B:\n~~~\n{b}\n~~~" in verdict.prompt


def test_a_verdict_is_in_the_coordinates_of_the_pair(judge: ModelJudge) -> None:
    """Swapping the two texts swaps the winners, and asks the very same questions."""
    mirrored = [Comparison(c.ticket, c.messages, c.second, c.first) for c in ASKED]
    other = {"first": "second", "second": "first", "tie": "tie", None: None}

    verdicts, swapped = judge.judge(ASKED), judge.judge(mirrored)

    winners = set()
    for (one, two), (two_again, one_again) in zip(verdicts, swapped, strict=True):
        for before, after in ((one, one_again), (two, two_again)):
            assert before.prompt_tokens == after.prompt_tokens
            assert before.logprobs == pytest.approx(after.logprobs, abs=1e-4)
            assert other[before.winner] == after.winner
            winners.add(before.winner)
        a, b = one.logprobs
        if one.winner:
            assert (one.winner == "first") == (a > b)
    assert {"first", "second"} <= winners


def test_the_log_probabilities_are_those_of_the_whole_prompt(judge: ModelJudge) -> None:
    """The rubric's prefix, computed once, changes nothing; nor do padding and mates."""
    model, tokenizer = judge._scorer.model, judge._tokenizer
    letters = [tokenizer.encode("A")[0], tokenizer.encode("B")[0]]

    for verdict in [v for verdicts in judge.judge(ASKED) for v in verdicts]:
        logits = model(mx.array([verdict.prompt_tokens]))[0, -1]
        whole = np.array(nn.log_softmax(logits))
        assert verdict.logprobs == pytest.approx(whole[letters].tolist(), abs=1e-4)
        assert verdict.raw == tokenizer.decode([int(whole.argmax())])


def test_a_verdict_does_not_depend_on_batch_mates(judge: ModelJudge) -> None:
    """Alone, or among texts that need longer fences, a pair is judged the same."""
    together = judge.judge(ASKED)

    for asked, verdicts in zip(ASKED, together, strict=True):
        for alone, mate in zip(judge.judge([asked])[0], verdicts, strict=True):
            assert alone.winner == mate.winner
            assert alone.logprobs == pytest.approx(mate.logprobs, abs=1e-4)
            assert alone.prompt_tokens == mate.prompt_tokens


def test_one_order_is_drawn_by_the_seed(opinionated: Path) -> None:
    """With one order, which one depends on seed and pair alone, and both occur."""
    asked = [comparison(i, "yes", "no") for i in range(40)]

    def shown(seed: int, asked: list[Comparison]) -> list[str]:
        verdicts = judge_of(opinionated, orders=1, seed=seed).judge(asked)
        assert all(len(each) == 1 for each in verdicts)
        return [each[0].shown for each in verdicts]

    assert shown(0, asked) == shown(0, asked[::-1])[::-1]
    assert shown(0, asked) != shown(1, asked)
    assert 10 < shown(0, asked).count("first-second") < 30


def test_a_verdict_says_all_that_an_auditor_needs(
    judge: ModelJudge, opinionated: Path
) -> None:
    """Who judged, what exactly was read, and what came out."""
    verdict = judge.judge(ASKED[:1])[0][0]

    assert verdict.judge["id"] == str(opinionated)
    assert verdict.judge["weights"] == identify(str(opinionated)).weights
    assert {"kind", "frame", "parser"} <= set(verdict.judge)
    assert judge.identity["rubric"] == "Prefer the kinder answer."
    assert judge._tokenizer.decode(list(verdict.prompt_tokens)) == verdict.prompt


def test_the_judge_does_not_learn_with_the_policy(
    opinionated: Path, data: Path, tmp_path: Path
) -> None:
    """Sharing its base, it judges with the adapters off: after training as before."""
    model = str(opinionated)
    with opened(tmp_path / "run", model=model, judge=model, data=str(data)) as run:
        assert run.judge is not None
        before = run.judge.judge(ASKED)
        for index in (1, 2, 3):
            run.learner.step(some_pairs(4, seed=index), index)
        after = run.judge.judge(ASKED)
        trained = run.policy.trainable()

    for one, other in zip(before, after, strict=True):
        assert [v.logprobs for v in one] == [v.logprobs for v in other]
    assert any(mx.any(v != run.policy.initial[k]).item() for k, v in trained.items())


LOW = math.log(MIN_MASS / 4)


@pytest.mark.parametrize(
    ("logprobs", "shown", "winner"),
    [
        ((-0.1, -3.0), "first-second", "first"),
        ((-0.1, -3.0), "second-first", "second"),
        ((-3.0, -0.1), "first-second", "second"),
        ((-3.0, -0.1), "second-first", "first"),
        ((0.0, -math.inf), "first-second", "first"),
        ((-0.7, -0.7), "first-second", "tie"),
        ((-0.7, -0.7), "second-first", "tie"),
        ((LOW, LOW - 1), "first-second", None),
        ((-math.inf, -math.inf), "first-second", None),
        ((math.nan, -0.1), "first-second", None),
        ((-0.1, math.nan), "second-first", None),
    ],
)
def test_a_verdict_is_read_and_never_guessed(
    logprobs: tuple[float, float], shown: Shown, winner: str | None
) -> None:
    """The likelier letter wins; where neither is likely, or a number, no one does."""
    read, failure = letters(logprobs, shown, "Hm")

    assert read == winner
    assert bool(failure) == (winner is None)


def test_a_judge_that_answers_something_else_has_no_verdict(
    toy: Path,
) -> None:
    """A random model says neither A nor B: a failure, with what it would say."""
    verdicts = [v for each in judge_of(toy).judge(ASKED) for v in each]
    unsure = [v for v in verdicts if np.exp(v.logprobs).sum() < MIN_MASS]

    assert unsure
    for verdict in unsure:
        assert verdict.winner is None
        assert repr(verdict.raw) in verdict.failure


def test_a_judge_without_tokens_for_its_answers_is_a_usage_error(
    tmp_path: Path,
) -> None:
    """It is refused when the run begins, by name."""
    folder = toy_model(tmp_path / "toy")
    file = folder / "tokenizer.json"
    written: Any = json.loads(file.read_text())
    vocabulary = written["model"]["vocab"]
    vocabulary["AA"] = vocabulary.pop("A")
    file.write_text(json.dumps(written))

    with pytest.raises(UsageError, match=r"toy' has no single tokens for A and B"):
        judge_of(folder)
