"""Log-probabilities of sampled completions, as training and judging both need them.

Only the positions that predict a wanted token go through the LM head: with a large
vocabulary the head is most of the memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn


@dataclass(frozen=True, slots=True)
class Batch:
    """Prompt and completion token ids of several rows, padded on the right.

    `tokens` (B, T) int32; `positions` (B, C) int32: where each completion token is
    predicted; `targets` (B, C) int32: that token; `mask` (B, C) float32: 1 for real
    completion tokens.
    """

    tokens: mx.array
    positions: mx.array
    targets: mx.array
    mask: mx.array

    @property
    def lengths(self) -> mx.array:
        """Completion tokens per row, (B,) float32."""
        return self.mask.sum(axis=-1)


def batch_of(rows: Sequence[tuple[Sequence[int], Sequence[int]]]) -> Batch:
    """Pad (prompt, completion) rows into arrays."""
    width = max(len(p) + len(c) for p, c in rows)
    longest = max(len(c) for _, c in rows)

    def padded(ids: Sequence[int], size: int) -> list[int]:
        return [*ids, *[0] * (size - len(ids))]

    # Completion token j is predicted at len(prompt) - 1 + j; padding points at the end.
    return Batch(
        tokens=mx.array([padded([*p, *c], width) for p, c in rows], mx.int32),
        positions=mx.array(
            [[min(len(p) - 1 + j, width - 1) for j in range(longest)] for p, _ in rows],
            mx.int32,
        ),
        targets=mx.array([padded(c, longest) for _, c in rows], mx.int32),
        mask=mx.array(
            [[1.0] * len(c) + [0.0] * (longest - len(c)) for _, c in rows], mx.float32
        ),
    )


class Scorer:
    """Reads a model's opinion of given tokens."""

    def __init__(self, model: nn.Module) -> None:
        """See whether the model's head can be run by itself; most can."""
        self.model = model
        self._owner = model.language_model if "language_model" in model else model
        self._splits = "model" in self._owner and self._head_agrees()

    def completion_logps(self, batch: Batch) -> mx.array:
        """Summed log-probability of each completion, (B,) float32, at temperature 1.

        The softmax and the sum are taken in float32.
        """
        logits = self.logits_at(batch.tokens, batch.positions).astype(mx.float32)
        picked = mx.take_along_axis(logits, batch.targets[..., None], axis=-1)[..., 0]
        return ((picked - mx.logsumexp(logits, axis=-1)) * batch.mask).sum(axis=-1)

    def logits_at(
        self, tokens: mx.array, positions: mx.array, cache: Any = None
    ) -> mx.array:
        """Logits (B, C, V) at `positions` (B, C) of `tokens` (B, T)."""
        if not self._splits:
            return _pick(self.model(tokens, cache=cache), positions)
        owner, body = self._owner, self._owner["model"]
        states = _pick(body(tokens, cache=cache), positions)
        # The model itself then applies its head, soft caps and scales included.
        owner["model"] = _Computed(body, states)
        try:
            logits: mx.array = owner(tokens[:, :1])
        finally:
            owner["model"] = body
        return logits

    def _head_agrees(self) -> bool:
        """Whether head and body run apart give what the model gives whole."""
        # Ids that every vocabulary has: of others MLX reads what lies behind it.
        tokens = mx.array([[0, 0, 1]])
        positions = mx.array([[0, 2]])
        whole = _pick(self.model(tokens), positions)
        self._splits = True
        try:
            apart = self.logits_at(tokens, positions)
        except (TypeError, AttributeError, ValueError):
            return False
        return apart.shape == whole.shape and bool(
            mx.allclose(apart, whole, rtol=1e-2, atol=1e-2).item()
        )


def _pick(states: mx.array, positions: mx.array) -> mx.array:
    return mx.take_along_axis(states, positions[..., None], axis=1)


class _Computed(nn.Module):
    """Stands in for a model's body whose output is known already."""

    def __init__(self, body: nn.Module, output: mx.array) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        object.__setattr__(self, "_body", body)
        object.__setattr__(self, "_output", output)

    def __call__(self, *_: Any, **__: Any) -> mx.array:
        output: mx.array = object.__getattribute__(self, "_output")
        return output

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "_body"), name)
