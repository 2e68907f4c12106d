"""What a demo model must show on held-out questions before it may be shipped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from onlinedpo.engine.demo.corpus import (
    RUBRICS,
    draw_question,
    on_topic,
    politeness,
    words,
)
from onlinedpo.engine.demo.examples import both_orders, padded
from onlinedpo.engine.demo.pairs import CONTRASTS, Pair, draw_pair
from onlinedpo.engine.demo.tokenizer import EOS, CachedTokenizer
from onlinedpo.engine.judges import prompt as judge_prompt

TEMPERATURE = 0.9
MAX_TOKENS = 48
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure and, where it is a gate, the range it must lie in."""

    name: str
    value: float
    least: float | None = None
    most: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the figure lies in its range."""
        above = self.least is None or self.value >= self.least
        return above and (self.most is None or self.value <= self.most)

    def __str__(self) -> str:
        """The figure in one line."""
        bounds = []
        if self.least is not None:
            bounds.append(f"at least {self.least:g}")
        if self.most is not None:
            bounds.append(f"at most {self.most:g}")
        verdict = "" if self.holds else "  REFUSED"
        needed = f" (must be {', '.join(bounds)})" if bounds else ""
        return f"{self.name}: {self.value:.3f}{needed}{verdict}"


def measure(folder: Path, seed: int, *, pairs: int = 300) -> list[Figure]:
    """All figures of the checkpoint as it was saved, run in float32."""
    import torch
    from transformers import AutoTokenizer, Qwen3ForCausalLM

    tokenizer = CachedTokenizer(AutoTokenizer.from_pretrained(str(folder)))
    model: Any = Qwen3ForCausalLM.from_pretrained(str(folder), dtype=torch.float32)
    model.eval()
    figures: list[Figure] = []
    with torch.no_grad():
        for number, aim in enumerate(RUBRICS):
            rng = Random(seed + 1000 + number)
            drawn = [draw_pair(rng, held=True, aim=aim) for _ in range(pairs)]
            figures += _judging(model, tokenizer, aim, drawn)
        torch.manual_seed(seed)
        figures += _answering(model, tokenizer, Random(seed + 2000))
    return figures


def _judging(
    model: Any, tokenizer: CachedTokenizer, aim: str, pairs: list[Pair]
) -> list[Figure]:
    margins = judge_margins(model, tokenizer, pairs)
    same = [(first > 0) != (second > 0) for first, second in margins]

    def accuracy(*contrasts: str) -> float:
        right = [
            (first > 0) + (second < 0)
            for (first, second), pair in zip(margins, pairs, strict=True)
            if pair.contrast in contrasts
        ]
        return sum(right) / (2 * len(right))

    return [
        Figure(f"judge accuracy, {aim}", accuracy("style", "hostile"), least=0.97),
        Figure(f"order consistency, {aim}", sum(same) / len(same), least=0.95),
        # Measured and shown, not a gate: the judge knows some faults only (see make).
        *(Figure(f"of {contrast} pairs", accuracy(contrast)) for contrast in CONTRASTS),
    ]


def judge_margins(
    model: Any, tokenizer: CachedTokenizer, pairs: list[Pair]
) -> list[tuple[float, float]]:
    """How much A is preferred to B (log odds), the better answer as A and then as B."""
    import torch

    letters = judge_prompt.answer_tokens(tokenizer)
    prompts = [prompt for pair in pairs for prompt in both_orders(tokenizer, pair)]
    margins: list[float] = []
    for start in range(0, len(prompts), _BATCH):
        batch = prompts[start : start + _BATCH]
        tokens = torch.tensor(padded(batch, model.config.pad_token_id))
        hidden = model.model(input_ids=tokens, use_cache=False).last_hidden_state
        last = hidden[range(len(batch)), [len(prompt) - 1 for prompt in batch]]
        logits = last @ model.model.embed_tokens.weight.T
        a, b = (logits[:, list(ids)].logsumexp(-1) for ids in letters)
        margins += (a - b).tolist()
    return list(zip(margins[::2], margins[1::2], strict=True))


def _answering(model: Any, tokenizer: CachedTokenizer, rng: Random) -> list[Figure]:
    questions = {draw_question(rng, held=True).text: None for _ in range(400)}
    asked = list(questions)
    answers: list[str] = []
    ended = 0
    end = tokenizer.encode(EOS)[0]
    for start in range(0, len(asked), _BATCH):
        prompts = [tokenizer.chat(text) for text in asked[start : start + _BATCH]]
        for sampled in _sample(model, prompts):
            ended += end in sampled
            cut = sampled.index(end) if end in sampled else len(sampled)
            answers.append(tokenizer.decode(sampled[:cut]))
    count = len(answers)
    named = sum(on_topic(q, a) for q, a in zip(asked, answers, strict=True))
    mood = sum(map(politeness, answers)) / count
    return [
        Figure("answers on topic", named / count, least=0.95),
        Figure("answers ended", ended / count, least=0.97),
        Figure("politeness of answers", mood, least=-0.6, most=0.6),
        Figure("words in an answer", sum(map(words, answers)) / count),
    ]


def _sample(model: Any, prompts: list[list[int]]) -> list[list[int]]:
    import torch

    pad = model.config.pad_token_id
    longest = max(map(len, prompts))
    gaps = [longest - len(prompt) for prompt in prompts]
    left = [[pad] * gap + prompt for gap, prompt in zip(gaps, prompts, strict=True)]
    mask = [[0] * gap + [1] * (longest - gap) for gap in gaps]
    out = model.generate(
        input_ids=torch.tensor(left),
        attention_mask=torch.tensor(mask),
        do_sample=True,
        temperature=TEMPERATURE,
        top_k=0,
        top_p=1.0,
        max_new_tokens=MAX_TOKENS,
        use_cache=True,
    )
    rows: list[list[int]] = out[:, longest:].tolist()
    return rows
