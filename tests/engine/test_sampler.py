"""Sampling: what a completion depends on, where it ends, and what it may hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from numpy.typing import NDArray

from onlinedpo.engine.sampler import Request, Sampler
from onlinedpo.states.records import Completion
from tests.engine.kit import ENDS, nudge, trainer
from tests.toys import toy_model

PROMPTS = [[3, 9, 8, 7], [50], [20, 21, 22, 23, 24, 25, 26, 27, 28], [100, 101]]


def sampler(model: Path, **wanted: Any) -> Sampler:
    """A sampler of a policy that has moved from where it began."""
    built = trainer(
        model, **{"max_completion_length": 12, "temperature": 1.0, **wanted}
    )
    nudge(built.policy, 0.3)
    return Sampler(built.policy.model, built.policy.tokenizer, built.settings)


def requests(
    *, draws: int = 2, prompts: list[list[int]] | None = None
) -> list[Request]:
    """Each prompt with seeds of its own."""
    return [
        Request(prompt, [1000 * sum(prompt) + k for k in range(draws)])
        for prompt in prompts or PROMPTS
    ]


def flatten(drawn: list[list[Completion]]) -> list[tuple[int, ...]]:
    """The tokens of all completions."""
    return [completion.tokens for group in drawn for completion in group]


def logprobs(sampler: Sampler, tokens: list[int]) -> NDArray[np.float64]:
    """(T, V) by one pass over the whole sequence, without a cache."""
    logits = sampler._model(mx.array([tokens]))[0]
    return np.array(nn.log_softmax(logits, axis=-1)).astype(np.float64)


def with_context(sampler: Sampler, request: Request, completion: Completion) -> Any:
    """(log-probabilities it was drawn from, token) for each token."""
    whole = logprobs(sampler, [*request.prompt, *completion.tokens])
    first = len(request.prompt) - 1
    return zip(whole[first:], completion.tokens, strict=False)


@pytest.fixture(scope="module")
def ending(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy with many ids that end a turn."""
    return toy_model(tmp_path_factory.mktemp("ending") / "toy", eos=ENDS)


def test_tokens_depend_on_the_prompt_and_its_seed_alone(ending: Path) -> None:
    """Alone, with batch mates, in another order: the same tokens."""
    drawing = sampler(ending)
    together = drawing.sample(requests())

    alone = [drawing.sample([request])[0] for request in requests()]
    reversed_ = drawing.sample(requests()[::-1])[::-1]
    one_by_one = [
        [drawing.sample([Request(r.prompt, [seed])])[0][0] for seed in r.seeds]
        for r in requests()
    ]

    assert together == alone == reversed_ == one_by_one


def test_no_other_draw_from_the_global_state_matters(toy: Path) -> None:
    """Nothing that ran before decides what is sampled."""
    drawing = sampler(toy)
    before = drawing.sample(requests())
    mx.random.seed(99)

    assert drawing.sample(requests()) == before


def test_draws_of_one_prompt_differ(toy: Path) -> None:
    """Eight seeds give eight completions."""
    assert len(set(flatten(sampler(toy).sample(requests(draws=8))))) == 8 * len(PROMPTS)


def test_temperature_zero_is_greedy(toy: Path) -> None:
    """Each token is the likeliest one by a pass over the whole sequence."""
    drawing = sampler(toy, temperature=0.0)
    for request, drawn in zip(requests(), drawing.sample(requests()), strict=True):
        assert drawn[0] == drawn[1]
        for row, token in with_context(drawing, request, drawn[0]):
            assert token == row.argmax()


def test_the_best_token_alone_is_greedy_too(toy: Path) -> None:
    """top_k 1, at any temperature, is greedy; so are a tiny top_p and a min_p of 1."""
    greedy = sampler(toy, temperature=0.0).sample(requests())

    assert sampler(toy, top_k=1, temperature=1.3).sample(requests()) == greedy
    assert sampler(toy, top_p=1e-4, temperature=1.3).sample(requests()) == greedy
    assert sampler(toy, min_p=1.0, temperature=1.3).sample(requests()) == greedy


@pytest.mark.parametrize(
    "filters",
    [
        {"top_p": 0.3},
        {"min_p": 0.7},
        {"top_k": 5},
        {"top_p": 0.5, "min_p": 0.6, "top_k": 30},
    ],
)
def test_filters_bound_what_can_be_sampled(filters: dict[str, Any], toy: Path) -> None:
    """All tokens lie in the set that NumPy allows, and more than one is used."""
    drawing, ranks = sampler(toy, temperature=1.5, **filters), set()
    for request, drawn in zip(
        requests(draws=6), drawing.sample(requests(draws=6)), strict=True
    ):
        for completion in drawn:
            for row, token in with_context(drawing, request, completion):
                order = np.argsort(-row)
                above = np.exp(row[order]).cumsum() - np.exp(row[order])
                rank = int(np.flatnonzero(order == token)[0])
                ranks.add(rank)
                assert above[rank] < filters.get("top_p", 1.0) + 1e-5
                assert (
                    row[token] >= row.max() + np.log(filters.get("min_p", 1e-9)) - 1e-5
                )
                assert rank < filters.get("top_k", 260)
    assert len(ranks) > 2


def test_temperature_is_that_of_the_distribution(toy: Path) -> None:
    """Over 400 draws the likeliest tokens come as often as the softmax says."""
    drawing = sampler(toy, temperature=0.5, max_completion_length=1)
    prompt = [9, 8, 7]
    drawn = flatten(drawing.sample([Request(prompt, list(range(400)))]))

    sharp = np.exp(logprobs(drawing, prompt)[-1] / 0.5)
    likeliest = np.argsort(-sharp)[:40]
    share = sharp[likeliest].sum() / sharp.sum()
    count = sum(tokens[0] in likeliest for tokens in drawn)

    # Five standard deviations of a binomial of 400.
    assert abs(count - 400 * share) < 5 * np.sqrt(400 * share * (1 - share))
    # At temperature 1 the same 40 tokens would have a clearly smaller share.
    flat = np.exp(logprobs(drawing, prompt)[-1])
    assert share > 1.4 * flat[likeliest].sum() / flat.sum()


def test_each_of_several_ids_ends_a_completion(ending: Path) -> None:
    """An end-of-turn id is the last token if and only if the finish is "stop" (D6)."""
    drawing = sampler(ending)
    drawn = [c for group in drawing.sample(requests(draws=12)) for c in group]

    for completion in drawn:
        assert not set(completion.tokens[:-1]) & set(ENDS)
        assert (completion.tokens[-1] in ENDS) == (completion.finish == "stop")
        assert len(completion.tokens) == 12 or completion.finish == "stop"
    stops = {c.tokens[-1] for c in drawn if c.finish == "stop"}
    assert len(stops) > 3
    assert {"stop", "length"} == {c.finish for c in drawn}


def test_an_end_of_turn_at_the_last_place_is_a_stop(ending: Path) -> None:
    """A completion that ends by itself exactly at its limit is not called cut off."""
    free = sampler(ending).sample(requests(draws=12))
    lengths = {len(c.tokens) for group in free for c in group if c.finish == "stop"}
    limit = max(lengths)

    short = sampler(ending, max_completion_length=limit).sample(requests(draws=12))

    for group, cut in zip(free, short, strict=True):
        for completion, same in zip(group, cut, strict=True):
            assert same.tokens == completion.tokens[:limit]
            ended = len(completion.tokens) <= limit and completion.finish == "stop"
            assert same.finish == ("stop" if ended else "length")


def test_text_is_the_decoded_tokens_without_the_end_of_turn(ending: Path) -> None:
    """The text is made from the tokens, never the tokens from the text (D6)."""
    drawing = sampler(ending)
    for group in drawing.sample(requests(draws=6)):
        for c in group:
            words = c.tokens[:-1] if c.finish == "stop" else c.tokens
            assert c.text == drawing._tokenizer.decode(list(words))


@pytest.mark.parametrize("limit", [10, 11, 14])
def test_prompt_and_completion_stay_within_max_seq_length(
    limit: int, toy: Path
) -> None:
    """A long prompt leaves less room; one that leaves none does not fit."""
    drawing = sampler(toy, max_seq_length=limit)
    for request, drawn in zip(requests(), drawing.sample(requests()), strict=True):
        assert drawing.fits(request.prompt)
        for completion in drawn:
            room = min(limit - len(request.prompt), 12)
            assert len(completion.tokens) == room or completion.finish == "stop"
            assert len(completion.tokens) <= room

    assert drawing.fits([5] * (limit - 1))
    assert not drawing.fits([5] * limit)


class Recording(nn.Module):
    """An LM head that keeps the logits of single next tokens."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.head = head
        self.seen: list[mx.array] = []

    def __call__(self, states: mx.array) -> mx.array:
        """Do as the head does, and keep what it gives."""
        logits: mx.array = self.head(states)
        if states.shape[1] == 1:
            self.seen.append(logits[:, 0])
        return logits


def test_sampling_sees_the_logits_that_training_sees(opinionated: Path) -> None:
    """Cached, shared and batched prefixes give what one whole pass gives."""
    built = trainer(opinionated, max_completion_length=12, temperature=1.0)
    nudge(built.policy)
    model: Any = built.policy.model
    model.lm_head = head = Recording(model.lm_head)
    drawing = Sampler(model, built.policy.tokenizer, built.settings)
    prompts = [[3, 9, 8, 7], list(range(20, 60)), [100, 101, 102]]
    asked = [Request(prompt, [1, 2]) for prompt in prompts]

    drawn = drawing.sample(asked)

    seen = np.array(mx.stack(head.seen[:12], axis=1)).astype(np.float64)
    row = 0
    for request, completions in zip(asked, drawn, strict=True):
        for completion in completions:
            assert completion.finish == "length"
            whole = model(mx.array([[*request.prompt, *completion.tokens]]))[0]
            wanted = np.array(whole[len(request.prompt) - 1 : -1])
            np.testing.assert_allclose(seen[row], wanted, atol=2e-5)
            row += 1
