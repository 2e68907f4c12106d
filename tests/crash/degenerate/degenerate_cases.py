"""Runs that cannot learn: how each is set, with which code it ends, and what it says.

To add one, add a row.  `@name` in a setting is a part of `degenerate.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.crash.degenerate.degenerate import Parts
from tests.engine.kit import LORA

USUAL: dict[str, Any] = {
    "model": "@model",
    "data": "@prompts",
    "judge": "python:dull:later",
    "iters": 2,
    "batch_size": 1,
    "max_completion_length": 2,
    "temperature": 1.0,
    "learning_rate": 1e-3,
    "lora_parameters": LORA,
    "val_prompts": 0,
    "save_every": 1,
}


@dataclass(frozen=True)
class Case:
    """A run, its exit code, what it says (a pattern), and the steps that it takes."""

    name: str
    code: int
    says: str
    settings: Mapping[str, Any]
    steps: int = 0
    begins: bool = True
    """Whether there is a run folder afterwards."""


def refused(name: str, says: str, **settings: Any) -> Case:
    """One that is not begun."""
    return Case(name, 2, says, settings, begins=False)


def diverges(name: str, says: str, **settings: Any) -> Case:
    """One whose first step is not taken."""
    return Case(name, 7, says, settings)


def barren(name: str, reason: str, **settings: Any) -> Case:
    """One that gives up after so many batches without a label."""
    why = rf"\({reason}: \d+(, identical: \d+)?\)$"
    says = rf"^20 batches in a row gave no label {why}"
    return Case(name, 8, says, settings)


def waits(name: str, says: str, **settings: Any) -> Case:
    """One that only people can go on with."""
    return Case(name, 3, says, settings)


def learns(name: str, says: str = "finished: 2 of 2 steps", **settings: Any) -> Case:
    """One that goes its way in spite of all."""
    return Case(name, 0, says, settings, steps=2)


def given(settings: Mapping[str, Any], parts: Parts) -> dict[str, Any]:
    """These settings and the usual ones, with the parts in place."""
    return {k: _filled(v, parts) for k, v in {**USUAL, **settings}.items()}


def _filled(value: Any, parts: Parts) -> Any:
    if not isinstance(value, str):
        return value
    return re.sub(r"@(\w+)", lambda found: parts.path(found[1]), value)


FULL = {"fine_tune_type": "full", "num_layers": -1}
NOT_TAKEN = r"step 1 was not taken: the policy would compute NaN or infinity after it"
NO_NUMBERS = r"^nothing can be sampled: .* not numbers \(NaN\)"
SOFT = {"ties": "soft", "soft_labels": True}
DRAWS = {"num_generations": 4}
NOTHING = "step 2 taught nothing: its gradient is 0"
AS_BEGUN = "after step 2 the policy is as it began: nothing was learned"
ASKED = {"escalate_below": 0.9, "max_waiting": 50}

NUMBERS = [
    diverges("an absurd learning rate", NOT_TAKEN, learning_rate=1e30),
    diverges("a whole model that diverges", NOT_TAKEN, learning_rate=1e30, **FULL),
    diverges("a last step that diverges", NOT_TAKEN, learning_rate=1e30, iters=1),
    diverges("an infinite gradient", "the gradient is not finite on pair", beta=1e38),
    diverges("a NaN loss", "the loss is not finite on pair", model="@hole",
             offline_pairs="@one_pair"),
    diverges("NaN while it samples", NO_NUMBERS, model="@hole"),
    refused("a model of NaN", "computes NaN or infinity", model="@nan"),
    refused("a model that overflows", "computes NaN or infinity", model="@infinite"),
    refused("a judge of NaN", "computes NaN or infinity", judge="@nan"),
    refused("a reference of NaN", "computes NaN", reference_model_path="@nan"),
    refused("beta 0", "beta is 0", beta=0.0),
    refused("an infinite beta", "beta is inf", beta=float("inf")),
    refused("a learning rate that is none", "learning_rate is nan",
            learning_rate=float("nan")),
    refused("no step at all", "iters is 0", iters=0),
    learns("a learning rate of 0", AS_BEGUN, learning_rate=0.0),
    learns("an adapter of scale 0", NOTHING, lora_parameters={**LORA, "scale": 0.0}),
]  # fmt: skip

JUDGES = [
    barren("NaN chances", "judge failed", judge="@hole"),
    barren("NaN while it reasons", "judge failed", judge="@hole",
           judge_mode="generate", judge_max_tokens=2, judge_retries=0),
    barren("NaN scores of a model", "judge failed", judge="reward:@reward"),
    barren("NaN scores", "judge failed", judge="python:dull:nan"),
    barren("no verdict", "judge failed", judge="python:dull:none"),
    barren("orders that disagree", "orders disagree", judge="python:dull:left"),
    barren("a panel that disagrees", "judges disagree", judge="python:dull:left",
           judge_panel=["python:dull:none"]),
    barren("ties", "tie", judge="python:dull:alike"),
    barren("ties in a round", "tie", judge="python:dull:alike", pairs_per_round=4),
    learns("ties by Rao and Kupper", NOTHING, judge="python:dull:alike",
           ties="rao-kupper"),
    learns("ties as soft labels", NOTHING, judge="python:dull:alike", **SOFT),
]  # fmt: skip

COMPLETIONS = [
    barren("temperature 0", "identical", temperature=0.0),
    barren("empty completions", "identical", model="@ends"),
    barren("both cut, such dropped", "truncated", model="@endless",
           truncated="drop-both"),
    learns("no end within reach", model="@endless"),
    learns("one token each", max_completion_length=1),
    learns("one token, with a penalty", max_completion_length=1,
           judge="python:dull:longest", missing_eos_penalty=1.0, ties="rao-kupper"),
    learns("a vocabulary of six tokens", model="@few", max_completion_length=4),
]  # fmt: skip

DATA = [
    learns("one prompt", data="@one"),
    learns("one prompt, win rates wanted", "too few prompts to hold any out",
           data="@one", val_prompts=5),
    learns("one prompt in rounds of six", data="@one", batch_size=2,
           pairs_per_round=6),
    learns("a batch larger than the data", batch_size=9),
    learns("the same prompt again and again", data="@same"),
    learns("a single prompt that fits", data="@long", max_seq_length=60),
    refused("no prompts", "has no rows in it", data="@empty"),
    Case("no prompt that fits", 2, "no prompt is shorter than max_seq_length",
         {"max_seq_length": 20}),
    Case("no pair that fits", 2, "no pair is shorter than max_seq_length",
         {"offline_pairs": "@long_pairs", "max_seq_length": 60}),
    barren("pairs of equals", "identical", offline_pairs="@equal_pairs"),
    learns("one pair that can be used", offline_pairs="@one_pair", max_seq_length=100),
]  # fmt: skip

PEOPLE = [
    waits("nobody answers", "^1 label file waits in", judge="human"),
    waits("all wait that may", "^(49|50) label files wait", human_share=1.0,
          max_waiting=50, batch_size=5),
    waits("more in a batch than may wait", "^4 label files wait", batch_size=4,
          judge="python:dull:none", escalate_below=0.9, max_waiting=1),
    waits("one waits, and the judge fails on all others", "^1 label file waits",
          judge="python:dull:none", label_budget=1, **ASKED),
    waits("too old at once, where no step is taken", "^1 label file waits",
          judge="human", max_staleness=0),
    Case("a budget of 0", 8, "^the label budget of 0 is spent after step 0$",
         {"judge": "human", "label_budget": 0}),
    barren("a budget of 0 beside a judge that fails", "judge failed",
           judge="python:dull:none", label_budget=0, **ASKED),
    learns("all that waits is too old", human_share=0.5, max_staleness=0,
           when_stale="requeue", batch_size=2, max_waiting=50),
]  # fmt: skip

OF_FOUR = [
    diverges("NaN while it draws four", NO_NUMBERS, model="@hole", **DRAWS),
    barren("no verdict on four", "judge failed", judge="python:dull:none", **DRAWS),
    barren("the same of four", "orders disagree", judge="python:dull:left", **DRAWS),
    barren("ties of four", "tie", judge="python:dull:alike", **DRAWS),
    barren("four at temperature 0", "identical", temperature=0.0, **DRAWS),
    barren("two of four by lot", "identical", temperature=0.0, pairing="random",
           **DRAWS),
]  # fmt: skip

ALIKE = [
    diverges("NaN held-out answers", NO_NUMBERS, model="@hole", val_prompts=2),
    diverges("an infinite update", NOT_TAKEN, learning_rate=3e38, optimizer="sgd"),
    barren("infinite scores", "judge failed", judge="python:dull:infinite"),
    learns("ties and weight decay", NOTHING, judge="python:dull:alike",
           ties="rao-kupper", optimizer="adamw"),
    barren("hardly any temperature", "identical", temperature=1e-30),
    barren("empty ones, with win rates", "identical", model="@ends", val_prompts=2),
    barren("all cut, cut ones dropped", "truncated", model="@endless",
           truncated="drop"),
    learns("a temperature without measure", temperature=1e30),
]  # fmt: skip

CASES = [*NUMBERS, *JUDGES, *COMPLETIONS, *DATA, *PEOPLE]
MORE = [*OF_FOUR, *ALIKE]
"""What comes to much the same, for the slow tier."""
