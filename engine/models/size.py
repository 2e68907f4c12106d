"""How much memory a model takes, from its config and the headers of its files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onlinedpo.engine.environment import on_cpu
from onlinedpo.engine.models import weights
from onlinedpo.engine.models.identity import config_of
from onlinedpo.engine.models.quantizing import WAYS, group_size
from onlinedpo.engine.models.weights import Tensor

_FLOATS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1}
_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.(.+)\.weight$")


@dataclass(frozen=True, slots=True)
class ModelSize:
    """The dimensions of a transformer; what it does not say is taken as usual."""

    tensors: list[Tensor]
    quantization: Mapping[str, Any]
    hidden: int
    inner: int
    """Width between the two halves of a feed-forward layer, of all experts at work."""
    layers: int
    heads: int
    kv_heads: int
    head: int
    vocabulary: int
    number: int
    """Bytes of a number that it computes with."""

    @classmethod
    def of(cls, folder: Path) -> ModelSize:
        """Read a model's config and headers; raises `UsageError`."""
        whole = config_of(folder)
        config = {**whole, **(whole.get("text_config") or {})}
        tensors = weights.tensors(folder)

        def told(*names: str, usual: int = 1) -> int:
            found = (config.get(name) for name in names)
            return next((n for n in found if isinstance(n, int) and n > 0), usual)

        hidden = told("hidden_size", "n_embd", "d_model", "model_dim", usual=1024)
        heads = told("num_attention_heads", "n_head", "num_heads", usual=16)
        at_work = told("num_experts_per_tok", "num_experts_per_token", usual=1)
        inner = told("intermediate_size", "n_inner", "block_ff_dim", usual=4 * hidden)
        if experts := told("moe_intermediate_size", usual=0):
            inner = experts * at_work + told("shared_expert_intermediate_size", usual=0)
        elif at_work > 1:
            inner *= at_work
        floats = [_FLOATS[t.dtype] for t in tensors if t.dtype in _FLOATS]
        return cls(
            tensors=tensors,
            quantization=whole.get("quantization") or {},
            hidden=hidden,
            inner=inner,
            layers=told("num_hidden_layers", "n_layer", "n_layers", usual=24),
            heads=heads,
            kv_heads=told("num_key_value_heads", usual=heads),
            head=told("head_dim", usual=max(1, hidden // heads)),
            vocabulary=told("vocab_size", usual=32_000),
            number=4 if on_cpu() else min(4, max(floats, default=2)),
        )

    def held(self, quantized: str = "") -> int:
        """Bytes of its weights in memory, as they are or quantized there."""
        return sum(self._held(tensor, quantized) for tensor in self.tensors)

    def _held(self, tensor: Tensor, quantized: str) -> int:
        if tensor.dtype not in _FLOATS:
            return tensor.nbytes
        number = 4 if on_cpu() else _FLOATS[tensor.dtype]
        size = group_size(tensor.shape[-1], quantized) if quantized else None
        if size is None or not _is_matrix(tensor):
            return tensor.size * number
        bits, mode, _ = WAYS[quantized]
        # A scale and a bias for each group; mxfp4 has a scale of one byte.
        beside = 1 if mode == "mxfp4" else 2 * number
        return tensor.size * bits // 8 + tensor.size // size * beside

    def in_layers(self, last: int) -> int:
        """Numbers in its last layers, -1: all: what a full fine-tune trains."""
        return sum(t.size for t, _ in self._layers(last, matrices=False))

    def adapters(self, last: int, rank: int, keys: Any, *, dora: bool) -> int:
        """Numbers of adapters beside the matrices of its last layers."""
        names = {str(key).rsplit(".", 1)[-1] for key in keys or ()}
        count = 0
        for tensor, path in self._layers(last, matrices=True):
            if names and path.rsplit(".", 1)[-1] not in names:
                continue
            *experts, wide, _ = tensor.shape
            narrow = self._width(tensor)
            count += (experts or [1])[0] * (rank * (wide + narrow) + dora * wide)
        return count

    def _layers(self, last: int, *, matrices: bool) -> Iterator[tuple[Tensor, str]]:
        for tensor in self.tensors:
            found = _LAYER.search(tensor.name)
            if found is None or (matrices and not _is_matrix(tensor)):
                continue
            if last <= 0 or int(found[1]) >= self.layers - last:
                yield tensor, found[2]

    def _width(self, tensor: Tensor) -> int:
        """Input width of a matrix, which may be packed into integers of 32 bits."""
        if tensor.dtype in _FLOATS:
            return tensor.shape[-1]
        own = self.quantization.get(tensor.name.removesuffix(".weight"))
        told = own if isinstance(own, dict) else self.quantization
        return tensor.shape[-1] * 32 // int(told.get("bits", 4))


def _is_matrix(tensor: Tensor) -> bool:
    """Whether it is what can be quantized and adapted: no norm, no convolution."""
    name = tensor.name
    return name.endswith(".weight") and len(tensor.shape) > 1 and "conv" not in name
