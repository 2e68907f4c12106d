"""What the demo model learns from, as token ids: chats, and pairs to be judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from onlinedpo.engine.demo.corpus import (
    draw_answer,
    draw_question,
    politeness,
    words,
)
from onlinedpo.engine.demo.pairs import Pair
from onlinedpo.engine.demo.tokenizer import EOS, CachedTokenizer
from onlinedpo.engine.judges import prompt as judge_prompt

SUBJECT_WEIGHT = 4.0
"""Copying the asked subject is the skill learned last: its token counts for more."""

NOTES = 3
"""Per judged answer: its politeness, its length, whether it is broken."""


@dataclass(frozen=True, slots=True)
class Example:
    """Token ids, the weight in the loss of each as a prediction, and notes.

    A note is a position and what a reader should know there.  One letter for a pair is
    little to learn from: while training, a small head beside the model has to tell, at
    the end of each answer to be judged, what the rules say of it.
    """

    tokens: list[int]
    weights: list[float]
    notes: list[tuple[int, list[float]]] = field(default_factory=list)


def chat_example(tokenizer: CachedTokenizer, rng: Random) -> Example:
    """A question, and a styled answer to learn."""
    question = draw_question(rng)
    prompt = tokenizer.chat(question.text)
    answer = tokenizer.encode(str(draw_answer(rng, question)))
    subject = tokenizer.encode(" " + question.subject)[0]
    weights = [SUBJECT_WEIGHT if token == subject else 1.0 for token in answer]
    end = tokenizer.encode(EOS)
    return Example(prompt + answer + end, [0.0] * len(prompt) + weights + [1.0])


def judge_examples(tokenizer: CachedTokenizer, pair: Pair) -> list[Example]:
    """The pair in both orders, each answered by one letter and the end of the turn."""
    prompts = both_orders(tokenizer, pair)
    broken = pair.contrast == "broken"
    notes = (_note(pair.better, broken=False), _note(pair.worse, broken=broken))
    sizes = [
        len(judge_prompt.encode_quoted(tokenizer, text))
        for text in (pair.better, pair.worse)
    ]
    end = tokenizer.encode(EOS)
    examples = []
    for number, letter in enumerate(judge_prompt.ANSWERS):
        prompt = prompts[number]
        tokens = prompt + tokenizer.encode(letter) + end
        weights = [0.0] * len(prompt) + [1.0, 0.2]
        example = Example(tokens, weights)
        # A longer fence would move the ends; it is rare, and such a pair goes unnoted.
        if "~" not in pair.better + pair.worse:
            middle, tail = _frame(tokenizer)
            end_b = len(prompt) - tail
            end_a = end_b - sizes[1 - number] - middle
            example.notes.append((end_a, notes[number]))
            example.notes.append((end_b, notes[1 - number]))
        examples.append(example)
    return examples


def _note(answer: str, *, broken: bool) -> list[float]:
    return [politeness(answer) / 3, words(answer) / 20, float(broken)]


def _frame(tokenizer: CachedTokenizer) -> tuple[int, int]:
    """How many tokens stand between the two answers, and after the second."""
    if tokenizer.frame is None:
        empty, first, second = (
            judge_prompt.build(tokenizer, "r", "q", a, b).tokens
            for a, b in (("", ""), ("A", ""), ("", "A"))
        )
        before = next(
            n for n, (x, y) in enumerate(zip(empty, first, strict=False)) if x != y
        )
        both = next(
            n for n, (x, y) in enumerate(zip(empty, second, strict=False)) if x != y
        )
        tokenizer.frame = both - before, len(empty) - both
    return tokenizer.frame


def both_orders(tokenizer: CachedTokenizer, pair: Pair) -> tuple[list[int], list[int]]:
    """The judge's prompt with the better answer shown as A, and as B."""
    asked = tokenizer, pair.rubric, pair.question
    first = judge_prompt.build(*asked, pair.better, pair.worse)
    second = judge_prompt.build(*asked, pair.worse, pair.better)
    return list(first.tokens), list(second.tokens)


def padded(rows: Sequence[Sequence[Any]], filler: Any) -> list[list[Any]]:
    """The rows, all as long as the longest."""
    longest = max(map(len, rows))
    return [[*row, *[filler] * (longest - len(row))] for row in rows]
