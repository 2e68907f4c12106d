"""Trains the demo model: two skills, styled answers and judging, in one small network.

PyTorch is needed to make the model, never to use it: it is imported inside.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from onlinedpo.engine.demo.examples import (
    NOTES,
    Example,
    chat_example,
    judge_examples,
    padded,
)
from onlinedpo.engine.demo.pairs import draw_pair
from onlinedpo.engine.demo.tokenizer import EOS, MAX_POSITIONS, PAD, CachedTokenizer


@dataclass(frozen=True, slots=True)
class Recipe:
    """How long and how hard to train."""

    steps: int = 1500
    rate: float = 3e-3
    floor: float = 0.02
    warmup: int = 50
    chats: int = 44
    pairs: int = 18
    plain: float = 0.15
    """Share of the steps in which no answer to judge is broken: style comes first."""
    threads: int = 2


def train(
    tokenizer: CachedTokenizer,
    seed: int,
    recipe: Recipe,
    report: Callable[[str], None],
) -> Any:
    """A model trained from nothing; the same seed and PyTorch give the same weights."""
    import torch

    torch.set_num_threads(recipe.threads)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
    rng = Random(seed + 1)
    model = new_model(tokenizer)
    head = torch.nn.Linear(model.config.hidden_size, NOTES)
    learned = [*model.parameters(), *head.parameters()]
    groups = [
        {"params": [p for p in learned if p.dim() >= 2], "weight_decay": 0.05},
        {"params": [p for p in learned if p.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=recipe.rate, betas=(0.9, 0.98))
    began = time.monotonic()
    means = [0.0, 0.0, 0.0]
    for step in range(recipe.steps):
        for group in optimizer.param_groups:
            group["lr"] = _rate(recipe, step)
        contrast = "style" if step < recipe.plain * recipe.steps else None
        chats = [chat_example(tokenizer, rng) for _ in range(recipe.chats)]
        pairs = [draw_pair(rng, contrast=contrast) for _ in range(recipe.pairs)]
        asked = [example for p in pairs for example in judge_examples(tokenizer, p)]
        answering, _ = _losses(model, head, chats)
        judging, noting = _losses(model, head, asked)
        optimizer.zero_grad()
        (answering + judging + noting).backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        for at, loss in enumerate((answering, judging, noting)):
            means[at] += (loss.item() - means[at]) / min(step + 1, 50)
        if (step + 1) % 50 == 0:
            said = ", ".join(f"{mean:.3f}" for mean in means)
            took = time.monotonic() - began
            report(f"step {step + 1} of {recipe.steps}: losses {said} ({took:.0f} s)")
    return model.eval()


def new_model(tokenizer: CachedTokenizer) -> Any:
    """The untrained network, 0.98 M parameters."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config_type: Any = Qwen3Config
    config = config_type(
        vocab_size=len(tokenizer.inner),
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=32,
        intermediate_size=384,
        tie_word_embeddings=True,
        max_position_embeddings=MAX_POSITIONS,
        rope_theta=10_000.0,
        attention_bias=False,
        bos_token_id=None,
        eos_token_id=tokenizer.encode(EOS)[0],
        pad_token_id=tokenizer.encode(PAD)[0],
        use_cache=False,
    )
    return Qwen3ForCausalLM(config)


def _rate(recipe: Recipe, step: int) -> float:
    warm = min(1.0, (step + 1) / recipe.warmup)
    cosine = 0.5 + 0.5 * math.cos(math.pi * step / recipe.steps)
    return recipe.rate * warm * (recipe.floor + (1 - recipe.floor) * cosine)


def _losses(model: Any, head: Any, examples: list[Example]) -> tuple[Any, Any]:
    """Of the next tokens, and of the notes (zero where there are none)."""
    import torch

    pad = model.config.pad_token_id
    tokens = torch.tensor(padded([e.tokens for e in examples], pad))
    weights = torch.tensor(padded([e.weights for e in examples], 0.0))[:, 1:]
    hidden = model.model(input_ids=tokens[:, :-1], use_cache=False).last_hidden_state
    learned = weights > 0
    # The output matrix is large beside the rest: only for positions that are learned.
    logits = hidden[learned] @ model.model.embed_tokens.weight.T
    each = torch.nn.functional.cross_entropy(
        logits, tokens[:, 1:][learned], reduction="none"
    )
    loss = (each * weights[learned]).sum() / weights[learned].sum()
    notes = [(row, *note) for row, e in enumerate(examples) for note in e.notes]
    if not notes:
        return loss, torch.zeros(())
    rows, positions, truth = (list(column) for column in zip(*notes, strict=True))
    told = head(hidden[rows, positions])
    return loss, torch.nn.functional.mse_loss(told, torch.tensor(truth))
