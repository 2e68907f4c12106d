"""Other families of models: caches, soft caps and scales of their own.

Most of what a run does to a model is in `test_logps`, `test_sampler` and `test_judge`,
on a Qwen3; here the same promises meet a sliding window (Gemma 3), soft caps (Gemma 2),
scaled logits (Granite), experts (Qwen3-MoE) and a recurrent state (Mamba 2).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from onlinedpo.engine.judges.comparison import Comparison
from onlinedpo.engine.judges.model import ModelJudge
from onlinedpo.engine.logps import batch_of
from onlinedpo.engine.sampler import Request, Sampler
from onlinedpo.engine.tensors import floats
from tests.engine.kit import some_pairs, trainer
from tests.families import FAMILIES, model_of


@pytest.mark.parametrize("family", FAMILIES)
def test_a_run_treats_a_family_of_models_as_it_is(family: str, tmp_path: Path) -> None:
    """Scores, samples and verdicts are those of plain passes over whole sequences."""
    built = trainer(
        model_of(family, tmp_path / "model"), temperature=0.0, max_completion_length=20
    )
    model: Any = built.policy.model
    tokenizer = built.policy.tokenizer
    pairs = some_pairs(3)

    assert built.learner.step(pairs, 1).margins == (0.0, 0.0, 0.0)
    assert built.learner.step(pairs, 2).loss < np.log(2)

    def logprobs(*tokens: int) -> Any:
        return np.array(nn.log_softmax(model(mx.array([tokens]))[0], axis=-1))

    rows = [(p.sampled.prompt_tokens, p.sampled.first.tokens) for p in pairs]
    rows.append((tuple(range(9, 39)), tuple(range(40, 60))))
    for row, scored in zip(
        rows, floats(built.scorer.completion_logps(batch_of(rows))), strict=True
    ):
        prompt, tokens = row
        places = np.arange(len(tokens)) + len(prompt) - 1
        whole = logprobs(*prompt, *tokens)[places, tokens].sum()
        assert scored == pytest.approx(whole, abs=1e-4)

    requests = [Request(p, [1, 2]) for p in ([3, 9, 8], [50], list(range(20, 50)))]
    drawn = Sampler(model, tokenizer, built.settings).sample(requests)
    for request, completions in zip(requests, drawn, strict=True):
        for completion in completions:
            whole = logprobs(*request.prompt, *completion.tokens)
            for row, token in zip(
                whole[len(request.prompt) - 1 :], completion.tokens, strict=False
            ):
                assert row[token] == pytest.approx(row.max(), abs=1e-5)

    judge = ModelJudge(
        model,
        tokenizer,
        identity={"id": family, "weights": ""},
        rubric="Prefer the shorter one.",
        orders=2,
        seed=0,
    )
    question = ({"role": "user", "content": "Why?"},)
    asked = [Comparison(i, question, "a" * 3 * i, "b" * 7 * i) for i in (1, 2, 3)]
    letters = [tokenizer.encode("A")[0], tokenizer.encode("B")[0]]
    for verdict in [v for verdicts in judge.judge(asked) for v in verdicts]:
        last = logprobs(*verdict.prompt_tokens)[-1]
        assert verdict.logprobs == pytest.approx(last[letters].tolist(), abs=1e-4)
