"""Other families of models: caches, soft caps and scales of their own.

Most of what a run does to a model is in `test_logps`, `test_sampler` and `test_judge`,
on a Qwen3; here the same promises meet sliding windows, soft caps, scaled logits,
experts, and states that are carried on.
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
from onlinedpo.engine.models import policy as policies
from onlinedpo.engine.models.identity import identify
from onlinedpo.engine.models.policy import Policy
from onlinedpo.engine.sampler import Request, Sampler
from onlinedpo.engine.tensors import floats
from onlinedpo.engine.training.learner import Learner
from onlinedpo.engine.training.logps import Scorer, batch_of
from onlinedpo.states.errors import UsageError
from tests.engine.kit import DROPOUT, some_pairs, trainer
from tests.engine.runs import Listener, go_on
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


class Watched(nn.Module):
    """A part of a model that notes whether it is being trained when it is called."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.inner = inner
        object.__setattr__(self, "seen", [])

    def __call__(self, *given: Any, **named: Any) -> Any:
        """Compute what it stands for."""
        self.seen.append(self.training)
        return self.inner(*given, **named)


def test_policy_and_reference_are_scored_by_the_same_kernels(toy: Path) -> None:
    """Layers that compute otherwise while they are trained do so for both."""
    settings = trainer(toy, lora_parameters=DROPOUT).settings
    model, tokenizer = policies.load(identify(str(toy)))
    layer: Any = model.layers[0]
    layer.mlp = Watched(layer.mlp)
    policy = Policy(model, tokenizer, settings)
    learner = Learner(policy, Scorer(model), settings)
    seen: list[bool] = layer.mlp.seen
    seen.clear()

    learner.step(some_pairs(3), 1)
    # What comes last is the look at the policy after the update.
    assert seen == [True, True, False]
    Sampler(model, tokenizer, settings).sample([Request([3, 9, 8], [1])])
    assert set(seen[2:]) == {False}


@pytest.mark.parametrize("family", ["gemma3_text", "mixtral", "lfm2", "qwen3_next"])
def test_a_run_on_a_family_of_models_resumes_to_the_byte(
    family: str, data: Path, tmp_path: Path
) -> None:
    """Windows, experts and carried states begin again as they were."""
    model = str(model_of(family, tmp_path / "model"))
    wanted = {"model": model, "judge": model, "data": str(data), "iters": 2}

    whole = go_on(tmp_path / "whole", **wanted)
    go_on(tmp_path / "run", Listener(stop_after=1), **wanted)

    assert go_on(tmp_path / "run") == whole


@pytest.mark.parametrize(
    ("family", "told"),
    [
        ("recurrent_gemma", "mlx-lm cannot train this model"),
        ("llama4", "cannot sample from several prompts of this model together"),
    ],
)
def test_a_family_that_mlx_lm_cannot_train_is_refused(
    family: str, told: str, data: Path, tmp_path: Path
) -> None:
    """In one line, before anything is written."""
    model = str(model_of(family, tmp_path / "model"))

    with pytest.raises(UsageError, match=told):
        go_on(tmp_path / "run", model=model, judge=model, data=str(data))
    assert not (tmp_path / "run").exists()


def test_dora_on_experts_is_refused(tmp_path: Path) -> None:
    """mlx-lm has none; it says which layers, and that lora can."""
    with pytest.raises(UsageError, match=r"cannot train dora .*SwitchLinear") as caught:
        trainer(model_of("mixtral", tmp_path / "model"), fine_tune_type="dora")
    assert "use lora" in caught.value.hint
