"""The words a model judge reads, and why no completion can speak in its place.

The rubric (`judge_system`) is data; the frame around it is fixed, so a rubric cannot
lose the request or the answers.  Quoted text (request and completions) stands between
fence lines longer than any run of tildes inside it, and is tokenised by itself with
every control token taken apart, so that it can neither end its fence nor the turn.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from jinja2 import TemplateError

from onlinedpo.engine.judges.comparison import Comparison
from onlinedpo.states.records import Shown
from onlinedpo.states.verdicts.framing import FRAME_VERSION as FRAME_VERSION
from onlinedpo.states.verdicts.framing import FRAMES, REASON
from onlinedpo.states.verdicts.framing import fence_for as fence_for

ANSWERS = ("A", "B")

# Private-use characters stand for the quoted texts while the chat template is rendered.
_RUBRIC = "\ue000\ue000"
_MARKS = ("\ue000\ue001", "\ue000\ue002", "\ue000\ue003")


@dataclass(frozen=True, slots=True)
class JudgePrompt:
    """One question to the judge: its exact text and its exact token ids."""

    text: str
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """What a model is asked of two completions, in one order."""

    comparison: Comparison
    shown: Shown
    prompt: JudgePrompt


def ask(
    tokenizer: Any,
    rubric: str,
    comparison: Comparison,
    shown: Shown,
    *,
    frame: int = FRAME_VERSION,
) -> Question:
    """The question about a comparison, its answers shown in this order."""
    request, (a, b) = comparison.request, comparison.answers(shown)
    prompt = build(tokenizer, rubric, request, a, b, frame=frame)
    return Question(comparison, shown, prompt)


def build(
    tokenizer: Any,
    rubric: str,
    request: str,
    shown_a: str,
    shown_b: str,
    *,
    frame: int = FRAME_VERSION,
) -> JudgePrompt:
    """The judge's prompt for two answers, in the order they are shown.

    Only the rubric, the frame and the chat template are tokenised with control tokens.
    Where the frame asks for reasons, a template that has a thinking mode turns it on.
    """
    quoted = (request, shown_a, shown_b)
    rendered = _render(tokenizer, rubric, fence_for(*quoted), frame)
    pieces = re.split("(" + "|".join(_MARKS) + ")", rendered)
    text: list[str] = []
    tokens: list[int] = []
    for piece in pieces:
        if piece in _MARKS:
            piece = quoted[_MARKS.index(piece)]
            tokens += encode_quoted(tokenizer, piece)
        elif piece:
            tokens += tokenizer.encode(piece, add_special_tokens=False)
        text.append(piece)
    return JudgePrompt("".join(text), tuple(tokens))


def encode_quoted(tokenizer: Any, text: str) -> list[int]:
    """Token ids of text that must not act: control tokens are spelled out.

    Each written control token ("<|im_end|>") is cut after its first character and the
    parts are encoded apart, so that the tokenizer never sees it whole.
    """
    controls = _controls(tokenizer)
    cuts = {0, len(text)}
    if controls:
        pattern = "(?=(" + "|".join(map(re.escape, controls)) + "))"
        cuts |= {match.start() + 1 for match in re.finditer(pattern, text)}
    tokens = _encode_pieces(tokenizer, [text[a:b] for a, b in pairwise(sorted(cuts))])
    if set(tokens) & set(controls.values()):
        # A tokenizer that normalises reads look-alikes as the token: then letter by
        # letter, in which no token of several can arise.
        tokens = _encode_pieces(tokenizer, text)
    return tokens


def answer_tokens(tokenizer: Any) -> tuple[Sequence[int], Sequence[int]]:
    """The single-token spellings of the letters ("A", " A"): those of A, those of B."""
    spellings = []
    for letter in ANSWERS:
        encoded = (
            tokenizer.encode(written, add_special_tokens=False)
            for written in (letter, " " + letter)
        )
        # A tokenizer that lacks the letter may still give one token, for the space.
        single = {
            ids[0]
            for ids in encoded
            if len(ids) == 1 and tokenizer.decode(ids).strip() == letter
        }
        spellings.append(sorted(single))
    return spellings[0], spellings[1]


def _render(tokenizer: Any, rubric: str, fence: str, frame: int) -> str:
    user, thinking = FRAMES[frame](fence, *_MARKS), frame == REASON
    # Some templates refuse a system turn and some drop it in silence: then the rubric
    # opens the user's turn instead.
    system = [{"role": "system", "content": _RUBRIC}, {"role": "user", "content": user}]
    with suppress(TemplateError):
        rendered = _apply(tokenizer, system, thinking)
        if _RUBRIC in rendered:
            return rendered.replace(_RUBRIC, rubric)
    alone = {"role": "user", "content": f"{rubric}\n\n{user}"}
    return _apply(tokenizer, [alone], thinking)


def _apply(tokenizer: Any, messages: list[dict[str, str]], thinking: bool) -> str:
    rendered = tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True, enable_thinking=thinking
    )
    return str(rendered)


def _controls(tokenizer: Any) -> dict[str, int]:
    """The tokens that the tokenizer looks for in text as wholes, and their ids."""
    added = tokenizer.get_added_vocab()
    return {w: int(i) for w, i in added.items() if len(w.strip()) > 1}


def _encode_pieces(tokenizer: Any, pieces: Iterable[str]) -> list[int]:
    tokens: list[int] = []
    for piece in pieces:
        tokens += tokenizer.encode(piece, add_special_tokens=False)
    return tokens
