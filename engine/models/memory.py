"""How much memory a run will need, estimated before anything is loaded.

Held all the time are the weights (of the policy's base, and of a judge and a reference
that are other models) and what is trained: an adapter is there twice, as it is and as
it began, and once more as its gradient and for each moment of the optimizer.  Added is
the most that one of the three kinds of work takes:

    sampling    S rows: keys and values, 4 L K D (P + C) n, with P + C rounded up to
                256 (there are two of them while they are put together); logits, 12 V
    judging     R rows: half a layer on P + 2 C + 300 tokens (nothing is kept)
    training    R rows: L layers (two, with grad_checkpoint, and the inputs of all) on
                P + C tokens; logits, C V (2 n + 8)
    a layer     T (10 H + 5 I + 2 (A + 2 K) D) n, and scores, 2 A T T n, on T tokens

with S = num_generations batch_size, R = 2 micro_batch_size, P and C the tokens of the
longest prompt and completion, n bytes to a number, and of the model: L layers, H width,
I inner width, A heads, K of keys and values, D their width, V tokens in the vocabulary.

On the CPU, models of a few million numbers took 0.8 to 1.3 times this for batches of
that length, and the demo 0.7 times, since most of its completions are shorter.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx

from onlinedpo.engine.environment import on_cpu
from onlinedpo.engine.models.loading import Models
from onlinedpo.engine.models.locating import locate
from onlinedpo.engine.models.size import ModelSize
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError
from onlinedpo.states.records import Messages
from onlinedpo.states.settings.judging import kind_of

_GB = 1e9
_MOMENTS = {"adam": 2, "adamw": 2, "muon": 1, "sgd": 1, "adafactor": 1}
_HERE = ("model", "reward")
"""Kinds of judges that are models in this process."""
_RUBRIC = 300
"""Tokens of the judge's frame and rubric."""
_ROOM = 256
"""Tokens by which mlx-lm's caches grow."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes that a run needs, by what for, and bytes that it may have."""

    weights: int
    others: int
    """Weights of judges and of a reference that are models of their own."""
    trained: int
    work: int
    limit: int | None
    chosen: bool
    """Whether the limit is the user's, and not the device's."""

    @property
    def held(self) -> int:
        """What is there all the time."""
        return self.weights + self.others + self.trained

    @property
    def needed(self) -> int:
        """What is there at the most."""
        return self.held + self.work

    def line(self) -> str:
        """The estimate in one line."""
        parts = {
            "weights": self.weights,
            "judge and reference": self.others,
            "training": self.trained,
            "a batch": self.work,
        }
        shown = {name: size for name, size in parts.items() if size >= 1e6}
        told = ", ".join(f"{name} {_gb(size)}" for name, size in shown.items())
        of = f" of {_gb(self.limit)}" if self.limit else ""
        return f"memory: about {_gb(self.needed)} needed{of} ({told or 'little'})"


def estimate(models: Models, settings: Settings, prompt_tokens: int) -> Estimate:
    """What a run will need whose longest prompt has so many tokens.

    Judges on the Hub are downloaded.  Raises `UsageError` if a model is not found.
    """
    base = ModelSize.of(models.base.path)
    judges = [ModelSize.of(path) for path in _judges(models, settings)]
    apart = [ModelSize.of(models.apart.path)] if models.apart else []
    chosen = settings.memory_limit_gb
    return Estimate(
        weights=base.held(models.base.quantized),
        others=sum(size.held() for size in (*judges, *apart)),
        trained=_trained(base, settings),
        work=max(work(base, judges, settings, prompt_tokens)),
        limit=device_memory() if chosen is None else int(chosen * _GB),
        chosen=chosen is not None,
    )


def longest(conversations: Iterable[Messages]) -> int:
    """Tokens of the longest one, guessed before there is a tokenizer to count them."""
    letters = (sum(len(m["content"]) for m in each) for each in conversations)
    return max(letters, default=0) // 3 + 32


def must_fit(found: Estimate, said: Callable[[str], None]) -> None:
    """Raise `UsageError` where a run cannot fit; where it may not, it is `said`."""
    said(found.line())
    if found.limit is None or found.needed <= found.limit:
        return
    hint = (
        "Smaller: --quantize 4bits, a smaller model or judge, a lower batch_size,"
        " micro_batch_size, max_completion_length or num_layers, --grad-checkpoint."
    )
    if found.chosen:
        raise UsageError(
            f"the run needs about {_gb(found.needed)} of memory, and memory_limit_gb is"
            f" {found.limit / _GB:g}",
            hint=hint,
        )
    if found.held > found.limit:
        raise UsageError(
            f"the models and what is trained take {_gb(found.held)} of memory, and this"
            f" device has {_gb(found.limit)}",
            hint=hint,
        )
    said(f"this may be more than the device has. {hint}")


def device_memory() -> int | None:
    """Bytes that this process may use, as far as that can be known."""
    if not on_cpu():
        info = mx.device_info()
        for name in ("max_recommended_working_set_size", "total_memory", "memory_size"):
            if size := info.get(name):
                return int(size)
        return None
    known = []
    with suppress(ValueError, OSError, AttributeError):
        known.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    # A container may have less; version 2 writes "max" where it has not.
    for file in ("memory.max", "memory/memory.limit_in_bytes"):
        with suppress(ValueError, OSError):
            known.append(int(Path("/sys/fs/cgroup", file).read_text()))
    return min(known, default=None)


def _judges(models: Models, settings: Settings) -> Sequence[Path]:
    """Where the judges lie that are models of their own."""
    paths = set()
    for name in settings.judges if settings.needs_a_judge else ():
        kind = kind_of(name)
        if kind in _HERE:
            same = name == settings.model and settings.judge_revision is None
            found = name.partition(":")[2] if kind == "reward" else name
            paths |= set() if same else {locate(found, settings.judge_revision)}
    return sorted(path for path in paths if not path.samefile(models.base.path))


def _trained(base: ModelSize, settings: Settings) -> int:
    moments = _MOMENTS.get(settings.optimizer, 2)
    if settings.fine_tune_type == "full":
        # The weights themselves are counted already.
        count = base.in_layers(settings.num_layers)
        return count * base.number * (2 + moments)
    shape = settings.lora_parameters
    dora = settings.fine_tune_type == "dora"
    keys = shape.get("keys")
    count = base.adapters(settings.num_layers, shape["rank"], keys, dora=dora)
    return count * 4 * (3 + moments)


def work(
    base: ModelSize, judges: Sequence[ModelSize], settings: Settings, prompt: int
) -> tuple[int, int, int]:
    """Bytes for sampling, for judging, and for training."""
    prompt = min(prompt, settings.max_seq_length)
    completion = min(settings.max_completion_length, settings.max_seq_length - prompt)
    tokens = prompt + completion
    rows = 2 * (settings.micro_batch_size or settings.batch_size)
    drawn = settings.num_generations * settings.batch_size
    room = -(-tokens // _ROOM) * _ROOM
    keys = 2 * base.layers * base.kv_heads * base.head * room * base.number
    sampling = drawn * (2 * keys + 3 * base.vocabulary * 4)
    shown = prompt + 2 * completion + _RUBRIC
    here = any(kind_of(name) in _HERE for name in settings.judges)
    asked = [*judges, base] if here else []
    judging = max((rows * _layer(size, shown) // 2 for size in asked), default=0)
    one = rows * _layer(base, tokens)
    inputs = rows * tokens * base.hidden * base.number * base.layers
    layers = 2 * one + inputs if settings.grad_checkpoint else one * base.layers
    logits = rows * completion * base.vocabulary * (2 * base.number + 8)
    return sampling, judging, layers + logits


def _layer(size: ModelSize, tokens: int) -> int:
    """Bytes that one layer keeps of a row of tokens for the way back."""
    width = 10 * size.hidden + 5 * size.inner
    width += 2 * (size.heads + 2 * size.kv_heads) * size.head
    return (tokens * width + 2 * size.heads * tokens * tokens) * size.number


def _gb(size: int) -> str:
    return f"{size / _GB:.1f} GB" if size >= 0.1 * _GB else f"{size / 1e6:.0f} MB"
