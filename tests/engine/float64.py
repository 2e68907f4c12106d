"""The toy's forward pass once more, in NumPy and float64: an oracle without MLX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten
from numpy.typing import NDArray

from onlinedpo.engine.models.policy import Policy
from onlinedpo.states.ledger import LabelledPair

Array = NDArray[np.float64]
Weights = dict[str, Array]
_HEADS, _EPS, _BASE = 2, 1e-6, 10000.0


def weights_of(model: nn.Module) -> Weights:
    """All parameters of a model, as float64."""
    leaves: dict[str, mx.array] = dict(tree_flatten(model.parameters()))
    return {name: np.array(leaf).astype(np.float64) for name, leaf in leaves.items()}


class Oracle:
    """A toy Qwen3, adapters included."""

    def __init__(self, weights: Weights, scale: float) -> None:
        """`scale` is that of LoRA; DoRA's norms are constants, as its authors say."""
        self.weights = weights
        self._scale = scale
        self._norms = {
            name[: -len(".m")]: np.linalg.norm(
                self._adapted(name[: -len(".m")]), axis=1
            )
            for name in weights
            if name.endswith(".m")
        }

    def with_changes(self, changed: Mapping[str, Array]) -> Oracle:
        """The same model with some weights replaced; DoRA's norms stay."""
        oracle = Oracle({}, self._scale)
        oracle.weights = {**self.weights, **changed}
        oracle._norms = self._norms
        return oracle

    def logprobs(self, tokens: Sequence[int]) -> Array:
        """(T, V) log-probabilities of the token after each position."""
        w = self.weights
        x = w["model.embed_tokens.weight"][list(tokens)]
        layers = {name.split(".")[2] for name in w if name.startswith("model.layers.")}
        for layer in sorted(layers, key=int):
            name = f"model.layers.{layer}"
            x = x + self._attention(
                f"{name}.self_attn", _normed(x, w[f"{name}.input_layernorm.weight"])
            )
            inner = _normed(x, w[f"{name}.post_attention_layernorm.weight"])
            gate = self._linear(f"{name}.mlp.gate_proj", inner)
            up = self._linear(f"{name}.mlp.up_proj", inner)
            swished = gate / (1.0 + np.exp(-gate)) * up
            x = x + self._linear(f"{name}.mlp.down_proj", swished)
        x = _normed(x, w["model.norm.weight"])
        logits = x @ w.get("lm_head.weight", w["model.embed_tokens.weight"]).T
        logits -= logits.max(axis=-1, keepdims=True)
        return np.asarray(logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True)))

    def logp(self, prompt: Sequence[int], completion: Sequence[int]) -> float:
        """Summed log-probability of a completion's tokens after a prompt."""
        logprobs = self.logprobs([*prompt, *completion])
        return float(
            sum(logprobs[len(prompt) - 1 + j, t] for j, t in enumerate(completion))
        )

    def _adapted(self, name: str) -> Array:
        w = self.weights
        update = (w[f"{name}.lora_a"] @ w[f"{name}.lora_b"]).T
        return np.asarray(w[f"{name}.linear.weight"] + self._scale * update)

    def _linear(self, name: str, x: Array) -> Array:
        if f"{name}.weight" in self.weights:
            return x @ self.weights[f"{name}.weight"].T
        out = x @ self._adapted(name).T
        if f"{name}.m" in self.weights:
            out *= self.weights[f"{name}.m"] / self._norms[name]
        return out

    def _attention(self, name: str, x: Array) -> Array:
        length = len(x)

        def heads(part: str) -> Array:
            out = self._linear(f"{name}.{part}_proj", x)
            return out.reshape(length, _HEADS, -1).transpose(1, 0, 2)

        w = self.weights
        q = _rotated(_normed(heads("q"), w[f"{name}.q_norm.weight"]))
        k = _rotated(_normed(heads("k"), w[f"{name}.k_norm.weight"]))
        scores = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])
        scores[:, np.triu(np.ones((length, length), bool), 1)] = -np.inf
        share = np.exp(scores - scores.max(axis=-1, keepdims=True))
        share /= share.sum(axis=-1, keepdims=True)
        mixed = (share @ heads("v")).transpose(1, 0, 2).reshape(length, -1)
        return self._linear(f"{name}.o_proj", mixed)


def margins(
    policy: Oracle, reference: Oracle, pairs: Sequence[LabelledPair]
) -> list[float]:
    """h of each pair: the log-ratio of the chosen minus that of the rejected."""

    def ratio(pair: LabelledPair, *, chosen: bool) -> float:
        sampled = pair.sampled
        first = (pair.label.chosen == "first") == chosen
        tokens = (sampled.first if first else sampled.second).tokens
        prompt = sampled.prompt_tokens
        return policy.logp(prompt, tokens) - reference.logp(prompt, tokens)

    return [ratio(p, chosen=True) - ratio(p, chosen=False) for p in pairs]


def sigmoid_loss(differences: Sequence[float], beta: float) -> float:
    """Mean DPO loss."""
    return float(np.mean([np.logaddexp(0.0, -beta * h) for h in differences]))


def oracle_of(policy: Policy, scale: float) -> Oracle:
    """The policy as it stands."""
    return Oracle(weights_of(policy.model), scale)


def _normed(x: Array, weight: Array) -> Array:
    return np.asarray(x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + _EPS) * weight)


def _rotated(x: Array) -> Array:
    """Rotary positions, halves rotated against each other."""
    half = x.shape[-1] // 2
    angles = np.arange(x.shape[-2])[:, None] * _BASE ** (-np.arange(half) / half)
    a, b = x[..., :half], x[..., half:]
    cos, sin = np.cos(angles), np.sin(angles)
    return np.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)
