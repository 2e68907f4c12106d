"""Preference pairs as rows that other trainers load, and pairs without a winner.

The rows have TRL's shape with an explicit prompt, as messages (conversational) or as
texts (plain); what onlinedpo knows beyond it is in columns of its own, `odpo_*`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from onlinedpo.states.export.outcomes import Outcome
from onlinedpo.states.people.label_file import text_of
from onlinedpo.states.records import Completion, Messages, Record, Sampled
from onlinedpo.states.visible import storable

Style = Literal["conversational", "plain"]
STYLES: tuple[Style, Style] = ("conversational", "plain")

PAIR = ("prompt", "chosen", "rejected")
"""The columns that trainers read."""

UNDECIDED = ("prompt", "first", "second")
"""The same of a pair without a winner, in the order in which it was sampled."""

_OURS: dict[str, type] = {
    "odpo_run": str,
    "odpo_pair": str,
    "odpo_sampled_step": int,
    "odpo_truncated": bool,
    "odpo_source": str,
    "odpo_annotators": str,
}

PAIR_COLUMNS: dict[str, type] = {
    **_OURS,
    "odpo_step": int,
    "odpo_margin": float,
    "odpo_confidence": float,
    "odpo_judge_probability": float,
}
"""The types of our columns; a number may be missing.

- `odpo_run`, `odpo_pair`: the run's id and the pair's name, as `onlinedpo show` has it
- `odpo_sampled_step`: steps that the policy had taken when it wrote the pair
- `odpo_truncated`: whether `max_completion_length` cut a completion short
- `odpo_source`, `odpo_annotators`: judge, human or file; the names behind the label
- `odpo_step`, `odpo_margin`: the step that trained on the pair, if one has, and the
  reward margin before it
- `odpo_confidence`: the label's; of people's, the share of answers that agree
- `odpo_judge_probability`: the judge's that the chosen one is better, if it was asked
"""

UNDECIDED_COLUMNS: dict[str, type] = {
    "reason": str,
    **_OURS,
    "odpo_judge_probability_first": float,
}
"""The same of a pair without a winner, and why it has none."""


class OneTurnOnly(ValueError):
    """A prompt with more turns than a format holds; the text says how many."""


def labelled(
    records: Iterable[Record], outcomes: Mapping[int, Outcome]
) -> Iterator[tuple[Sampled, Outcome]]:
    """Each pair that is labelled or undecided, once, in the order of the journal.

    `outcomes` are the standing ones, by ticket.
    """
    for record in records:
        if isinstance(record, Sampled):
            outcome = outcomes.get(record.ticket)
            if outcome and outcome.ticket == record.ticket and not outcome.open:
                yield record, outcome


def row(run: str, pair: Sampled, outcome: Outcome, style: Style) -> dict[str, Any]:
    """A pair as a row of `PAIR` and `PAIR_COLUMNS`, or of those of an undecided one."""
    ours = {
        "odpo_run": run,
        "odpo_pair": outcome.pair,
        "odpo_sampled_step": pair.step,
        "odpo_truncated": pair.truncated,
        "odpo_source": outcome.source,
        "odpo_annotators": storable(", ".join(outcome.annotators)),
    }
    first, second = _said(pair.first, style), _said(pair.second, style)
    prompt = _prompt(pair.messages, style)
    if outcome.chosen is None:
        return {
            **dict(zip(UNDECIDED, (prompt, first, second), strict=True)),
            "reason": outcome.reason,
            **ours,
            "odpo_judge_probability_first": _number(outcome.first),
        }
    better, worse = (first, second) if outcome.chosen == "first" else (second, first)
    return {
        **dict(zip(PAIR, (prompt, better, worse), strict=True)),
        **ours,
        "odpo_step": outcome.step,
        "odpo_margin": _number(outcome.margin),
        "odpo_confidence": _number(outcome.confidence),
        "odpo_judge_probability": _number(outcome.probability),
    }


def mlx_lm_lora(run: str, pair: Sampled, outcome: Outcome) -> dict[str, Any]:
    """A labelled pair as mlx-lm-lora's modes `dpo` and `cpo` read it.

    They make a user's turn of `prompt`, after one of `system` where there is one;
    raises `OneTurnOnly` where a prompt is more than that.
    """
    roles = [message["role"] for message in pair.messages]
    if roles not in (["user"], ["system", "user"]):
        raise OneTurnOnly(f"it has the turns {', '.join(roles)}")
    *system, asked = pair.messages
    plain = row(run, pair, outcome, "plain")
    plain["prompt"] = storable(asked["content"])
    return {"system": storable(system[0]["content"]), **plain} if system else plain


def _prompt(messages: Messages, style: Style) -> Any:
    if style == "plain":
        return storable(text_of(messages))
    return [{key: storable(text) for key, text in m.items()} for m in messages]


def _said(completion: Completion, style: Style) -> Any:
    text = storable(completion.text)
    return text if style == "plain" else [{"role": "assistant", "content": text}]


def _number(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
