"""What is sampled, from which policy, and that this is what is trained."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onlinedpo.engine.loop import train
from onlinedpo.engine.sampler import Request
from onlinedpo.engine.tensors import Tensors
from onlinedpo.states import seeds
from onlinedpo.states.errors import UsageError
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import (
    Dropped,
    Label,
    Reason,
    Step,
)
from tests.engine.float64 import oracle_of
from tests.engine.kit import ENDS, LORA
from tests.engine.runs import (
    Listener,
    Scripted,
    by_text,
    opened,
    records,
    sampled,
    steps,
    trained,
)
from tests.toys import prompts_file, toy_model


class Keeping(Listener):
    """Keeps the policy as it was after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.run: Any = None
        self.policies: list[Tensors] = []

    def stepped(self, step: Step, ledger: Ledger) -> None:
        """Keep the adapter of this moment."""
        self.policies.append(self.run.policy.trainable())


def test_every_pair_of_a_step_is_from_the_policy_just_before_it(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """Sampling again from the policy after k-1 steps gives the pairs of step k.

    From an older policy it does not: the step is strictly on-policy.
    """
    watch = Keeping()
    wanted: dict[str, Any] = {**parts, "learning_rate": 0.3, "optimizer": "sgd"}
    with opened(tmp_path, watch, **wanted, max_grad_norm=None, beta=1.0) as run:
        watch.run = run
        run.judge = Scripted(by_text)
        train(run)

        policies = [run.policy.initial, *watch.policies]
        pairs = {p.ticket: p for p in sampled(tmp_path)}

        def again(policy: Tensors, ticket: int) -> list[tuple[int, ...]]:
            pair = pairs[ticket]
            draws = [
                seeds.derive(0, "draw", pair.epoch, pair.prompt, k) for k in (0, 1)
            ]
            run.policy.update(policy)
            (drawn,) = run.sampler.sample([Request(pair.prompt_tokens, draws)])
            return [completion.tokens for completion in drawn]

        stale = 0
        for step in steps(tmp_path):
            for ticket in step.tickets:
                pair = pairs[ticket]
                were = [pair.first.tokens, pair.second.tokens]
                assert pair.step == step.index - 1
                assert again(policies[step.index - 1], ticket) == were
                stale += again(policies[max(step.index - 2, 0)], ticket) != were
        assert stale


def test_what_is_trained_is_what_was_sampled(data: Path, tmp_path: Path) -> None:
    """A step's log-probabilities are those of the sampled ids, in float64 (D5, D6).

    The end of a turn counts where it was sampled, and is never added.
    """
    model = str(toy_model(tmp_path / "model", eos=ENDS))
    folder = tmp_path / "run"
    parts = {"model": model, "judge": model, "data": str(data)}
    with opened(folder, **parts, iters=1, batch_size=8) as run:
        run.judge = Scripted(by_text)
        oracle = oracle_of(run.policy, LORA["scale"])
        train(run)

    facts = records(folder)
    chosen = {r.ticket: r.chosen for r in facts if isinstance(r, Label) and r.chosen}
    (step,) = steps(folder)
    pairs = {p.ticket: p for p in sampled(folder)}
    logps = [
        oracle.logp(pairs[t].prompt_tokens, pairs[t].side(chosen[t]).tokens)
        for t in step.tickets
    ]
    assert step.metrics["logps/chosen"] == pytest.approx(np.mean(logps), abs=1e-4)
    completions = [c for p in pairs.values() for c in (p.first, p.second)]
    for completion in completions:
        assert (completion.tokens[-1] in ENDS) == (completion.finish == "stop")
    assert {"stop", "length"} == {c.finish for c in completions}


@pytest.mark.parametrize(("count", "batch"), [(7, 3), (2, 3), (1, 4)])
def test_every_prompt_is_asked_once_in_an_epoch(
    count: int, batch: int, toy: Path, tmp_path: Path
) -> None:
    """Also where the data is smaller than a batch, or no multiple of one (D7, D8)."""
    data = str(prompts_file(tmp_path / "data", count))
    folder = tmp_path / "run"
    trained(
        folder,
        Scripted(by_text),
        model=str(toy),
        judge=str(toy),
        data=data,
        batch_size=batch,
        iters=6,
    )

    pairs = sampled(folder)
    asked = Counter((p.epoch, p.prompt) for p in pairs)
    assert [p.ticket for p in pairs] == list(range(len(pairs)))
    assert set(asked.values()) == {1}
    for epoch in range(len(pairs) // count):
        assert {p for e, p in asked if e == epoch} == set(range(count))
    assert len({p.first.tokens for p in pairs}) == len(pairs)


def test_completions_do_not_depend_on_the_batch_size(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """With a policy that stands still, (epoch, prompt, draw) alone decides tokens."""
    drawn = []
    for size in (2, 5):
        folder = tmp_path / str(size)
        wanted: dict[str, Any] = {**parts, "learning_rate": 0.0, "batch_size": size}
        trained(folder, Scripted(by_text), **wanted, iters=20 // size)
        drawn.append(
            {(p.epoch, p.prompt): (p.first, p.second) for p in sampled(folder)}
        )

    assert len(drawn[0]) == 20
    assert drawn[0] == drawn[1]


def test_a_prompt_that_is_too_long_is_dropped_before_sampling(
    toy: Path, tmp_path: Path
) -> None:
    """It is named with its length; the others fill the batch."""
    data = tmp_path / "data.jsonl"
    words = ["Short?", "Long " * 60, "Also short?", "Brief?"]
    data.write_text("\n".join(json.dumps({"prompt": w}) for w in words))
    folder = tmp_path / "run"
    trained(
        folder,
        Scripted(by_text),
        model=str(toy),
        judge=str(toy),
        data=str(data),
        max_seq_length=100,
        iters=4,
    )

    long = [r for r in records(folder) if isinstance(r, Dropped)]
    assert long
    assert {r.reason for r in long} == {Reason.TOO_LONG}
    assert all("max_seq_length is 100" in r.detail for r in long)
    assert all(len(step.tickets) == 3 for step in steps(folder))
    for pair in sampled(folder):
        for completion in (pair.first, pair.second):
            assert len(pair.prompt_tokens) + len(completion.tokens) <= 100


def test_prompts_that_are_all_too_long_are_a_usage_error(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """There is nothing to wait for: no endless search."""
    with (
        pytest.raises(UsageError, match="max_seq_length, which is 5"),
        opened(tmp_path, **parts, max_seq_length=5) as run,
    ):
        train(run)


def test_a_seed_decides_every_bit_of_a_run(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """Twice the same seed, twice the same bytes; another seed, another run."""
    wanted: dict[str, Any] = {**parts, "lora_parameters": {**LORA, "dropout": 0.1}}

    ends = [
        trained(tmp_path / name, Scripted(by_text), **wanted, seed=seed)
        for name, seed in (("one", 0), ("same", 0), ("other", 1))
    ]

    assert ends[0] == ends[1] != ends[2]
    files = [
        (tmp_path / name / "adapters" / "adapters.safetensors").read_bytes()
        for name in ("one", "same", "other")
    ]
    assert files[0] == files[1] != files[2]
    tokens = [
        [(p.first.tokens, p.second.tokens) for p in sampled(tmp_path / name)]
        for name in ("one", "same")
    ]
    assert tokens[0] == tokens[1]
