"""The demo learns what its rubric asks for, judged by a rule that is not the judge."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from onlinedpo.engine import demo
from onlinedpo.engine.demo import corpus, pairs
from onlinedpo.engine.judges.comparison import Comparison
from onlinedpo.engine.judges.model import ModelJudge
from onlinedpo.engine.models import policy
from onlinedpo.engine.models.identity import identify
from onlinedpo.journal.reader import Reader
from onlinedpo.states.records import Completion, Messages
from tests.processes import onlinedpo

SEEDS = [
    0,
    pytest.param(1, marks=pytest.mark.slow),
    pytest.param(2, marks=pytest.mark.slow),
]


@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS)
def test_the_demo_learns_to_be_polite_and_stays_on_topic(
    seed: int, tmp_path: Path
) -> None:
    """From about 50 % its held-out win rate rises to 75 % at least.

    At least 90 % of the answers end by themselves and name what was asked about.  The
    politeness is scored by a rule of the corpus, not by the judge.
    """
    ended = onlinedpo("run", tmp_path / "run", "--demo", "--seed", str(seed))
    assert ended.code == 0, ended.output

    ledger = Reader(tmp_path / "run" / "journal").fold()
    before, after = ledger.evaluations[0], ledger.evaluations[-1]
    assert ledger.reference is not None
    prompts = ledger.reference.prompts

    assert (before.step, after.step) == (0, 60)
    assert 0.35 <= before.win_rate <= 0.65
    assert after.win_rate >= 0.75
    assert after.ended >= 0.9
    assert on_topic(prompts, after.completions) >= 0.9
    assert politeness(after.completions) >= politeness(before.completions) + 1.0


@pytest.mark.slow
def test_another_rubric_teaches_something_else(tmp_path: Path) -> None:
    """Judged by brevity, the same model learns to say less."""
    ended = onlinedpo(
        *("run", tmp_path / "run", "--demo", "--iters", "25", "--steps-per-eval", "25"),
        *("--judge-system", "Prefer the answer that is shorter."),
    )
    assert ended.code == 0, ended.output
    before, after = Reader(tmp_path / "run" / "journal").fold().evaluations

    assert after.mean_length < 0.85 * before.mean_length
    assert after.win_rate > 0.6


@pytest.mark.parametrize("aim", corpus.RUBRICS)
def test_the_shipped_model_judges_by_the_rubric_it_is_given(aim: str) -> None:
    """On held-out questions it is right on 97 % and consistent on 95 %, in both orders.

    A rubric asks for politeness or for brevity; some answers say "pick me", and lose.
    """
    identity = identify(str(demo.MODEL))
    model, tokenizer = policy.load(identity)
    rng = Random(11)
    drawn = [
        pairs.draw_pair(rng, held=True, aim=aim, contrast=contrast)
        for contrast in ["style"] * 108 + ["hostile"] * 12
    ]
    judge = ModelJudge(
        model,
        tokenizer,
        identity=identity.as_dict(),
        rubric=corpus.RUBRICS[aim][0],
        orders=2,
        seed=0,
    )
    verdicts = judge.judge(
        [
            Comparison(i, ({"role": "user", "content": p.question},), p.better, p.worse)
            for i, p in enumerate(drawn)
        ]
    )
    winners = [[verdict.winner for verdict in both] for both in verdicts]

    assert sum(w.count("first") for w in winners) / (2 * len(drawn)) >= 0.97
    assert sum(a == b for a, b in winners) / len(drawn) >= 0.95


def on_topic(
    prompts: tuple[Messages, ...], completions: tuple[Completion, ...]
) -> float:
    """The share of answers that name what was asked about."""
    named = [
        corpus.on_topic(prompt[-1]["content"], completion.text)
        for prompt, completion in zip(prompts, completions, strict=True)
    ]
    return sum(named) / len(named)


def politeness(completions: tuple[Completion, ...]) -> float:
    """The mean score, from -3 to 3."""
    scores = [corpus.politeness(completion.text) for completion in completions]
    return sum(scores) / len(scores)
