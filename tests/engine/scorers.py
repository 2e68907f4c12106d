"""Judges that score or choose, for tests: toy reward models, and functions in files."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from onlinedpo.engine.judges.choosing import candidate
from onlinedpo.engine.judges.comparison import Comparison, Judge
from onlinedpo.states.config import Settings
from onlinedpo.states.records import Verdict
from tests.toys import CHATML, toy_model

FUNCTIONS = '''
from __future__ import annotations

ASKED = []


def shorter(prompts, completions):
    """Pairwise: the shorter one."""
    ASKED.append((prompts, completions))
    return [int(len(two) < len(one)) for one, two in completions]


def left(prompts, completions):
    """Pairwise: whatever is shown first."""
    return [0 for _ in completions]


def length(prompts, completions, **kwargs):
    """Reward: a point for each character."""
    ASKED.append((prompts, completions))
    return [float(len(completion)) for completion in completions]


def later(prompts, completions):
    """Pairwise: what comes later in the alphabet, but no tie is broken."""
    return [int(b > a) if a[:1] != b[:1] else -1 for a, b in completions]


def alike(completions, **kwargs):
    """Reward: the same for all."""
    return [0.0 for _ in completions]


def chosen_by(text, among):
    """One that depends on the texts alone."""
    return sum(map(ord, "".join(text))) % among


def unsure(prompts, completions):
    """Pairwise: has no verdict on a third of the pairs; else the alphabet decides."""
    return [int(b > a) if chosen_by((a, b), 3) else None for a, b in completions]


def patchy(completions, **kwargs):
    """Reward: has none for a third of the completions."""
    holes = (None, float("nan"), float("inf"), 1.0, 2.0, 3.0, 4.0, 5.0)
    return [holes[chosen_by(text, 8)] for text in completions]


def raises(prompts, completions):
    """Pairwise: cannot do it."""
    return completions[0]["better"]


def gives_up(prompts, completions):
    """Pairwise: once is enough."""
    ASKED.append(prompts)
    return [0 for _ in completions] if len(ASKED) == 1 else completions[0]["better"]


def talks(completions, **kwargs):
    """Reward: of messages, as many of TRL's are."""
    return [float(len(completion[0]["content"])) for completion in completions]


def short_of_one(prompts, completions):
    """Pairwise: forgets a pair."""
    return [0 for _ in completions][1:]


def second_best(prompts, completions):
    """Pairwise: counts from 1."""
    return [2 for _ in completions]


def wordy(prompts, completions):
    """Pairwise: says it in words."""
    return ["first" for _ in completions]


def text(completions, **kwargs):
    """Reward: as text."""
    return ["1.0" for _ in completions]


async def in_future(prompts, completions):
    """It has no time now."""
    return [0 for _ in completions]


def with_truth(prompts, completions, truth):
    """It needs a column that nobody has."""
    return []


class Shorter:
    """As a judge of TRL's is: an object with a method."""

    def judge(self, prompts, completions, shuffle_order=True):
        """The shorter one; swapped at random, had it been asked to."""
        assert not shuffle_order
        return shorter(prompts, completions)


READY = Shorter()
NOT_A_FUNCTION = 3
'''


@contextmanager
def module(
    folder: Path, source: str = FUNCTIONS, name: str = "prefer"
) -> Iterator[Any]:
    """A module in the working directory, for as long as the block lasts."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(source)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", [*sys.path])
        patch.delitem(sys.modules, name, raising=False)
        patch.setattr(sys, "dont_write_bytecode", True)
        try:
            yield folder
        finally:
            sys.modules.pop(name, None)


def judge_of(name: str, **wanted: Any) -> Judge:
    """The judge of a name, by itself."""
    return candidate(Settings(judge=name, **wanted)).load()


def verdicts_of(judge: Judge, *comparisons: Comparison) -> list[list[Verdict]]:
    """What it says."""
    return judge.judge(comparisons)


def compare(ticket: int, first: str, second: str, *, asked: str = "Why?") -> Comparison:
    """Two answers to a question."""
    return Comparison(ticket, ({"role": "user", "content": asked},), first, second)


def toy_reward(
    folder: Path, *, seed: int = 0, head: mx.array | None = None, template: str = CHATML
) -> Path:
    """A random Qwen3 with a score head, as transformers saves one.

    It has no LM head; `head` are the score's weights, else they are random.
    """
    toy_model(folder, seed=seed, template=template)
    if head is None:
        head = mx.random.normal((1, 32), key=mx.random.key(seed))
    reweighed(folder, {**weights_of(folder), "score.weight": head})
    config = json.loads((folder / "config.json").read_text())
    config |= {"architectures": ["Qwen3ForSequenceClassification"]}
    # As transformers writes it where the LM head was not tied.
    config |= {"tie_word_embeddings": False, "id2label": {"0": "LABEL_0"}}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def weights_of(folder: Path) -> dict[str, mx.array]:
    """A model's weights, in memory."""
    loaded: Any = mx.load(str(folder / "model.safetensors"))
    mx.eval(loaded)
    return dict(loaded)


def reweighed(folder: Path, weights: dict[str, mx.array]) -> None:
    """Give a model other weights."""
    file = str(folder / "model.safetensors")
    mx.save_safetensors(file, weights, metadata={"format": "mlx"})
