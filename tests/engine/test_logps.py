"""Log-probabilities of completions: whose tokens count, and what they cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from onlinedpo.engine.tensors import floats
from onlinedpo.engine.training.logps import Scorer, batch_of
from tests.engine.float64 import oracle_of
from tests.engine.kit import some_pairs, trainer
from tests.toys import EOS

Row = tuple[tuple[int, ...], tuple[int, ...]]
CLOSE = 5e-5
"""float32 sums of a dozen log-probabilities near -5: the oracle agrees to 1e-5."""


def rows(count: int = 8) -> list[Row]:
    """Prompts and completions of many lengths."""
    pairs = [pair.sampled for pair in some_pairs(count // 2)]
    return [(p.prompt_tokens, c.tokens) for p in pairs for c in (p.first, p.second)]


def logps(scorer: Scorer, rows: list[Row]) -> list[float]:
    """Of each row's completion."""
    return floats(scorer.completion_logps(batch_of(rows)))


class Counting(nn.Module):
    """An LM head that counts the positions it is asked for."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.head = head
        self.positions = 0

    def __call__(self, states: mx.array) -> mx.array:
        """Count, then do as the head does."""
        self.positions += states.size // states.shape[-1]
        logits: mx.array = self.head(states)
        return logits


class Capped(nn.Module):
    """A model in the usual two parts whose logits are capped, as Gemma's are."""

    def __init__(self, inner: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.model, self.lm_head = inner.model, inner.lm_head

    def __call__(self, tokens: mx.array, cache: Any = None) -> mx.array:
        """Logits within two of zero."""
        return 2.0 * mx.tanh(self.lm_head(self.model(tokens, cache=cache)) / 2.0)


class Peeking(Capped):
    """A model whose head also looks at the tokens: it cannot be run by itself."""

    def __call__(self, tokens: mx.array, cache: Any = None) -> mx.array:
        """Logits that favour the token just seen."""
        logits = super().__call__(tokens, cache)
        return logits + 3.0 * (mx.arange(logits.shape[-1]) == tokens[..., None])


def whole_sequence(model: nn.Module, row: Row) -> float:
    """A completion's log-probability the naive way: everything, then pick."""
    prompt, completion = row
    logits = model(mx.array([[*prompt, *completion]]))[0]
    logprobs = np.array(nn.log_softmax(logits, axis=-1)).astype(np.float64)
    return float(
        sum(logprobs[len(prompt) - 1 + j, t] for j, t in enumerate(completion))
    )


def test_completion_tokens_and_no_others_count(toy: Path) -> None:
    """The sum runs over the completion, seen after the whole prompt (D5)."""
    built = trainer(toy)
    oracle = oracle_of(built.policy, 2.0)

    wanted = [oracle.logp(prompt, completion) for prompt, completion in rows()]

    np.testing.assert_allclose(logps(built.scorer, rows()), wanted, atol=CLOSE)


def test_padding_and_batch_mates_do_not_count(toy: Path) -> None:
    """A completion scores the same alone, in company, and beside a very long one."""
    scorer, many = trainer(toy).scorer, rows()
    longest: Row = (tuple(range(5, 60)), tuple(range(60, 160)))

    alone = [logps(scorer, [row])[0] for row in many]

    np.testing.assert_allclose(logps(scorer, many), alone, atol=CLOSE)
    np.testing.assert_allclose(logps(scorer, [longest, *many])[1:], alone, atol=CLOSE)


def test_only_completion_positions_go_through_the_head(opinionated: Path) -> None:
    """The head, most of the memory, sees no prompt (D5)."""
    built = trainer(opinionated)
    model: Any = built.policy.model
    model.lm_head = head = Counting(model.lm_head)
    scorer = Scorer(model)
    prompt = tuple(range(10, 50))
    head.positions = 0

    scorer.completion_logps(batch_of([(prompt, (7, 8, 9)), (prompt, (7, EOS))]))

    assert head.positions == 2 * 3


@pytest.mark.parametrize("kind", [Capped, Peeking])
def test_whatever_a_model_does_after_its_head_is_done(
    kind: type[Capped], opinionated: Path
) -> None:
    """Soft caps are kept; a head that needs the tokens is not run without them."""
    model = kind(trainer(opinionated).policy.model)

    scored = logps(Scorer(model), rows())

    wanted = [whole_sequence(model, row) for row in rows()]
    np.testing.assert_allclose(scored, wanted, atol=CLOSE)


def test_the_end_of_turn_is_scored_once_where_it_was_sampled(toy: Path) -> None:
    """It adds its own log-probability, and nothing where a completion has none (D6)."""
    built = trainer(toy)
    prompt, words = (9, 8, 7), (20, 21, 22)
    oracle = oracle_of(built.policy, 2.0)
    ends = oracle.logprobs([*prompt, *words])[-1, EOS]

    cut, ended = logps(built.scorer, [(prompt, words), (prompt, (*words, EOS))])

    assert cut == pytest.approx(oracle.logp(prompt, words), abs=CLOSE)
    assert ended - cut == pytest.approx(ends, abs=CLOSE)
