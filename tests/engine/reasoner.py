"""A toy model that writes verdicts: with no sense in them, and a shrug now and then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_lm.utils import load

from onlinedpo.engine.judges.prompt import build
from onlinedpo.states.verdicts.framing import REASON
from tests.toys import CHATML, EOS, toy_model

THINKS = CHATML + "{% if add_generation_prompt and enable_thinking %}<think>{% endif %}"
"""A chat template with a thinking mode, which it begins."""

WORDS = ("Verdict: A", "Verdict: B", "Verdict: tie", "Hm.", "<think>", "</think>")
"""Each is a token of its own, after those of the plain toy."""
_PLAIN = 260


def reasoner(folder: Path, *, thinks: bool = False, shrugs: float = 0.0) -> Path:
    """A toy that says A or B, as it comes, and ends its turn.

    `shrugs` is the logit of an answer without a verdict, where those of A and B are
    near 9.  One that `thinks` ends the thinking first that its template begins.
    """
    toy_model(folder, opinionated=True, template=THINKS if thinks else CHATML)
    a, b, tie, shrug, _, end = range(_PLAIN, _PLAIN + len(WORDS))
    arrays = _with_words(folder)
    model, tokenizer = load(str(folder))[:2]
    states: list[mx.array] = []
    wanted: list[dict[int, float]] = []
    for number in range(6):
        texts = (f"Question {number}?", "yes " * number, "no" * (6 - number))
        asked = build(tokenizer, "Be kind.", *texts, frame=REASON).tokens
        if thinks:
            states.append(_state(model, asked))
            wanted.append({end: 12.0})
            asked = (*asked, end)
        states.append(_state(model, asked))
        wanted.append({a: 9.0, b: 9.0, shrug: shrugs})
        for word in (a, b, tie, shrug):
            states.append(_state(model, (*asked, word)))
            wanted.append({EOS: 12.0})
    arrays["lm_head.weight"] = _head(states, wanted)
    _save(folder, arrays)
    return folder


def _with_words(folder: Path) -> dict[str, Any]:
    """Teach the toy's tokenizer the words; the weights, with room for them."""
    spoken = {word: _PLAIN + i for i, word in enumerate(WORDS)}
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    plain = dict.fromkeys(
        ("special", "normalized", "single_word", "lstrip", "rstrip"), False
    )
    tokenizer["added_tokens"] += [
        {"id": number, "content": word, **plain} for word, number in spoken.items()
    ]
    tokenizer["model"]["vocab"] |= spoken
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    config = json.loads((folder / "config.json").read_text())
    config["vocab_size"] = _PLAIN + len(WORDS)
    (folder / "config.json").write_text(json.dumps(config))
    loaded: Any = mx.load(str(folder / "model.safetensors"))
    arrays: dict[str, Any] = dict(loaded)
    for name in ("lm_head.weight", "model.embed_tokens.weight"):
        more = mx.random.normal((len(WORDS), 32), key=mx.random.key(1))
        arrays[name] = mx.concatenate([arrays[name], more])
    _save(folder, arrays)
    return arrays


def _head(states: list[mx.array], wanted: list[dict[int, float]]) -> mx.array:
    """The head that gives these logits in these states, as nearly as one can."""
    logits = np.zeros((len(wanted), _PLAIN + len(WORDS)), np.float32)
    for row, targets in zip(logits, wanted, strict=True):
        for token, logit in targets.items():
            row[token] = logit
    inner = np.array(mx.stack(states))
    regular = inner.T @ inner + 1e-3 * np.eye(inner.shape[1])
    return mx.array(np.linalg.solve(regular, inner.T @ logits).T.astype(np.float32))


def _state(model: Any, tokens: tuple[int, ...]) -> mx.array:
    state: mx.array = model.model(mx.array([tokens]))[0, -1]
    return state


def _save(folder: Path, arrays: dict[str, Any]) -> None:
    mx.eval(arrays)
    into = str(folder / "model.safetensors")
    mx.save_safetensors(into, arrays, metadata={"format": "mlx"})
