"""What a degenerate run is made of: models that compute NaN, judges without a verdict.

The runs themselves stand in `tests.crash.degenerate.degenerate_cases`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import mlx.core as mx

from tests.engine.scorers import reweighed, toy_reward, weights_of
from tests.tables.errors import Told, told
from tests.toys import SPECIALS, prompts_file, toy_model

FUNCTIONS = '''
"""Judges of little use."""


def later(prompts, completions):
    """Pairwise: what comes later in the alphabet; it always has a verdict."""
    return [int(b > a) for a, b in completions]


def left(prompts, completions):
    """Pairwise: whatever is shown first; in the other order it says the opposite."""
    return [0 for _ in completions]


def none(prompts, completions):
    """Pairwise: never has a verdict."""
    return [None for _ in completions]


def alike(completions, **kwargs):
    """Reward: the same for all."""
    return [0.5 for _ in completions]


def nan(completions, **kwargs):
    """Reward: no number."""
    return [float("nan") for _ in completions]


def infinite(completions, **kwargs):
    """Reward: beyond all numbers."""
    return [float("-inf") for _ in completions]


def longest(completions, **kwargs):
    """Reward: a point for each character."""
    return [float(len(c)) for c in completions]
'''

NEVER = "<|never|>"

MOST_BYTES = 2_000_000
"""What a file may grow to: far more than any of these runs needs."""


class Parts:
    """Models, prompts and pairs, each made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> str:
        """A part by its name."""
        return str(getattr(self, name))

    @cached_property
    def model(self) -> Path:
        """A small model with a head of its own, which as a judge answers A or B."""
        return toy_model(self.folder / "model", layers=1, opinionated=True)

    @cached_property
    def nan(self) -> Path:
        """One that computes NaN, whatever it is given."""
        return self._spoilt("nan", {"model.norm.weight": float("nan")})

    @cached_property
    def infinite(self) -> Path:
        """One whose sums overflow."""
        return self._spoilt("infinite", {"model.norm.weight": 3e38})

    @cached_property
    def hole(self) -> Path:
        """One that computes NaN only where it has read a Q: all prompts have one."""
        folder = toy_model(self.folder / "hole", layers=1, opinionated=True)
        tokenizer = json.loads((folder / "tokenizer.json").read_text())
        letter = tokenizer["model"]["vocab"]["Q"]
        weights = weights_of(folder)
        name = "model.embed_tokens.weight"
        rows = mx.arange(weights[name].shape[0])[:, None]
        weights[name] = mx.where(rows == letter, float("nan"), weights[name])
        reweighed(folder, weights)
        return folder

    @cached_property
    def ends(self) -> Path:
        """One that ends whatever it says at once: each of its tokens is an EOS."""
        every = tuple(range(260))
        return toy_model(self.folder / "ends", layers=1, opinionated=True, eos=every)

    @cached_property
    def endless(self) -> Path:
        """One that can never end: it has no logit for its EOS."""
        folder = toy_model(self.folder / "endless", layers=1, eos=(260,))
        _changed(folder / "tokenizer_config.json", eos_token=NEVER)
        added = json.loads((folder / "tokenizer.json").read_text())["added_tokens"]
        added.append({**added[0], "id": 260, "content": NEVER})
        _changed(folder / "tokenizer.json", added_tokens=added)
        return folder

    @cached_property
    def few(self) -> Path:
        """One with a vocabulary of six tokens."""
        folder = toy_model(self.folder / "few", layers=1, opinionated=True)
        tokens = {token: i for i, token in enumerate((*SPECIALS, "Q", "?"))}
        bytes_pairs = {"type": "BPE", "vocab": tokens, "merges": []}
        _changed(folder / "config.json", vocab_size=len(tokens))
        _changed(folder / "tokenizer.json", model=bytes_pairs)
        weights = weights_of(folder)
        for name in ("model.embed_tokens.weight", "lm_head.weight"):
            weights[name] = weights[name][: len(tokens)]
        reweighed(folder, weights)
        return folder

    @cached_property
    def reward(self) -> Path:
        """A reward model whose scores are NaN."""
        head = mx.full((1, 32), float("nan"))
        return toy_reward(self.folder / "reward", head=head)

    @cached_property
    def prompts(self) -> Path:
        """Six prompts, and two held out."""
        return prompts_file(self.folder / "prompts", 6, held_out=2)

    @cached_property
    def one(self) -> Path:
        """A single prompt."""
        return self._rows("one", {"prompt": "Quite?"})

    @cached_property
    def same(self) -> Path:
        """The same prompt four times."""
        return self._rows("same", *[{"prompt": "Quite?"}] * 4)

    @cached_property
    def long(self) -> Path:
        """One short prompt among many that are far too long."""
        long = [{"prompt": letter * 200} for letter in "bcdefgh"]
        return self._rows("long", *long, {"prompt": "Q"})

    @cached_property
    def empty(self) -> Path:
        """A file without any prompt."""
        return self._rows("empty")

    @cached_property
    def equal_pairs(self) -> Path:
        """Pairs of which both completions are the same."""
        return self._pairs("equal", ("yes", "yes"), ("no", "no"))

    @cached_property
    def long_pairs(self) -> Path:
        """Pairs that are too long."""
        return self._pairs("too-long", ("yes" * 100, "no" * 100), ("no" * 100, "yes"))

    @cached_property
    def one_pair(self) -> Path:
        """A single pair that can be used, among others."""
        return self._pairs("one-pair", ("yes", "yes"), ("yes", "no"), ("y" * 300, "no"))

    def _rows(self, name: str, *rows: Mapping[str, str]) -> Path:
        file = self.folder / f"{name}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return file

    def _pairs(self, name: str, *pairs: tuple[str, str]) -> Path:
        keys = ("prompt", "chosen", "rejected")
        asked = [(f"Q{i}?", *pair) for i, pair in enumerate(pairs)]
        return self._rows(name, *(dict(zip(keys, row, strict=True)) for row in asked))

    def _spoilt(self, name: str, values: Mapping[str, float]) -> Path:
        folder = toy_model(self.folder / name, layers=1, opinionated=True)
        weights = weights_of(folder)
        for key, value in values.items():
            weights[key] = mx.full(weights[key].shape, value)
        reweighed(folder, weights)
        return folder


def _changed(file: Path, **entries: object) -> None:
    """Give a JSON file other entries."""
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, **entries}))


def begun(run: Path, *more: str | Path) -> Told:
    """Begin a run, or take it up; each fact of it follows from those before it."""
    ended = told([*map(str, ("run", run, "--no-wait", *more))], MOST_BYTES)
    assert "Traceback" not in ended.message + ended.rest
    assert ended.code == 0 or (ended.message and ended.hint), ended
    if run.exists():
        audited = told(["audit", str(run)])
        assert audited.code == 0, audited
    return ended
