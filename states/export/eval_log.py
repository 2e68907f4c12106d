"""What a model judge said, as a log that Inspect AI opens: a sample for each pair.

Only what version 2 of its log format has always had is written, with plain data.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from onlinedpo.states import records as r
from onlinedpo.states.export.outcomes import Outcome
from onlinedpo.states.people.label_file import text_of
from onlinedpo.states.verdicts.judges import name_of
from onlinedpo.states.verdicts.parsing import SCORES
from onlinedpo.states.visible import storable

Json = dict[str, Any]

_SHOWN = 1000
"""Characters of a text in a list, as Inspect cuts them."""


def judged(
    records: Iterable[r.Record], outcomes: Mapping[int, Outcome]
) -> Iterator[tuple[r.Sampled, Sequence[r.Verdict], Outcome]]:
    """Each pair that a model judged, its verdicts, and what became of it.

    Only pairs on their way to a label are held.  `outcomes` are the standing ones, by
    ticket.
    """
    sampled: dict[int, r.Sampled] = {}
    said: dict[int, list[r.Verdict]] = {}
    restored: Counter[int] = Counter()
    for record in records:
        if isinstance(record, r.Sampled):
            outcome = outcomes.get(record.ticket)
            if outcome and outcome.judged and not outcome.restored:
                sampled[record.ticket] = record
        elif isinstance(record, r.Verdict):
            said.setdefault(record.ticket, []).append(record)
        elif isinstance(record, r.Label | r.Dropped | r.Escalated):
            # The verdicts on a pair are decided on together, once.
            pair = sampled.pop(record.ticket, None)
            verdicts = said.pop(record.ticket, [])
            if pair:
                yield pair, verdicts, outcomes[pair.ticket]
        elif isinstance(record, r.Restored):
            # A pair that was put back may have another judge's verdicts.
            ticket = record.sampled.ticket
            restored[ticket] += 1
            outcome = outcomes.get(ticket)
            if outcome and outcome.judged and outcome.restored == restored[ticket]:
                yield record.sampled, record.verdicts, outcome


def head(opened: r.RunOpened, outcomes: Iterable[Outcome], ended: float) -> Json:
    """All of the log but its samples.

    `outcomes` are those of the judged pairs; `ended` is when the last fact was noted.
    """
    pairs = list(outcomes)
    decided = sum(pair.judged in ("first", "second") for pair in pairs)
    began = _time(opened.time)
    return {
        "version": 2,
        "status": "success",
        "eval": {
            "eval_id": opened.run_id,
            "run_id": opened.run_id,
            "created": began,
            "task": "onlinedpo judge",
            "task_id": opened.run_id,
            "task_version": 0,
            "dataset": {
                "name": storable(str(opened.settings.get("data", ""))),
                "samples": len(pairs),
                "shuffled": False,
            },
            "model": model_of(opened.judge),
            "config": {},
            "packages": {"onlinedpo": opened.version},
            "metadata": {"judge": _plain(opened.judge)},
        },
        "plan": {"name": "plan", "steps": [], "config": {}},
        "results": {
            "total_samples": len(pairs),
            "completed_samples": len(pairs),
            "scores": [
                {
                    "name": "verdict",
                    "scorer": "verdict",
                    "params": {},
                    "metrics": {
                        "decided": {
                            "name": "decided",
                            "value": decided / max(len(pairs), 1),
                            "params": {},
                        }
                    },
                }
            ],
        },
        "stats": {"started_at": began, "completed_at": _time(ended)},
    }


def sample(pair: r.Sampled, verdicts: Sequence[r.Verdict], outcome: Outcome) -> Json:
    """A judged pair: what the judge read and put out, and what came of it."""
    outputs = [_output(verdict) for verdict in verdicts]
    usage: dict[str, Json] = {}
    for verdict, output in zip(verdicts, outputs, strict=True):
        used = usage.setdefault(model_of(verdict.judge), {})
        for name, tokens in output["usage"].items():
            used[name] = used.get(name, 0) + tokens
    return {
        "id": pair.pair,
        "epoch": 1,
        "input": storable(text_of(pair.messages)),
        "choices": [storable(pair.first.text), storable(pair.second.text)],
        "target": outcome.chosen or outcome.reason,
        "messages": [
            message
            for verdict, output in zip(verdicts, outputs, strict=True)
            for message in (_question(verdict), output["choices"][0]["message"])
        ],
        "output": outputs[0],
        "scores": _scores(verdicts, outcome),
        "metadata": {
            "ticket": pair.ticket,
            "sampled_step": pair.step,
            "step": outcome.step,
            "margin": outcome.margin,
        },
        "events": [
            _event(verdict, output)
            for verdict, output in zip(verdicts, outputs, strict=True)
        ],
        "model_usage": usage,
        "started_at": _time(pair.time),
        "completed_at": _time(verdicts[-1].time),
        "total_time": sum(verdict.seconds for verdict in verdicts),
    }


def summary(sample: Json) -> Json:
    """What lists show of a sample."""
    large = ("messages", "output", "events")
    rest = {key: value for key, value in sample.items() if key not in large}
    texts = [text[:_SHOWN] for text in sample["choices"]]
    count = len(sample["messages"])
    return {
        **rest,
        "input": sample["input"][:_SHOWN],
        "choices": texts,
        "completed": True,
        "message_count": count,
    }


def model_of(judge: Mapping[str, Any]) -> str:
    """The name of a judge's model, as a run or a verdict has it."""
    return storable(name_of(judge))


def _scores(verdicts: Sequence[r.Verdict], outcome: Outcome) -> Json:
    """What the judge decided, and the label that the pair has now."""
    told = [
        f"{v.shown}: {v.winner or v.failure} (P(first) {v.probability_first():.4f})"
        for v in verdicts
    ]
    scores: Json = {
        "verdict": {"value": outcome.judged, "explanation": storable("; ".join(told))},
    }
    if outcome.first is not None:
        scores["probability_first"] = {"value": outcome.first}
    if not outcome.open:
        scores["label"] = {
            "value": outcome.chosen or outcome.reason,
            "explanation": storable(", ".join((outcome.source, *outcome.annotators))),
        }
    return scores


def _event(verdict: r.Verdict, output: Json) -> Json:
    """One call of the judge."""
    return {
        "event": "model",
        "timestamp": _time(verdict.time),
        "working_start": 0.0,
        "working_time": verdict.seconds,
        "model": output["model"],
        "role": "judge",
        "input": [_question(verdict)],
        "tools": [],
        "tool_choice": "none",
        "config": {},
        "output": output,
        "metadata": {
            "shown": verdict.shown,
            "winner": verdict.winner,
            "failure": storable(verdict.failure),
            "attempt": verdict.attempt,
            "judge": _plain(verdict.judge),
        },
    }


def _question(verdict: r.Verdict) -> Json:
    return {"role": "user", "content": storable(verdict.prompt)}


def _output(verdict: r.Verdict) -> Json:
    model, asked = model_of(verdict.judge), len(verdict.prompt_tokens)
    choice: Json = {
        "message": {
            "role": "assistant",
            "content": storable(verdict.raw),
            "source": "generate",
            "model": model,
        },
        # The judge's answer is read from one token: it did not get to stop.
        "stop_reason": "unknown",
    }
    # Those of scores are the chances of the completions, and of no letters.
    lettered = len(verdict.logprobs) == 2 and verdict.judge.get("parser") != SCORES
    if lettered and all(map(math.isfinite, verdict.logprobs)):
        letters = [
            {"token": letter, "logprob": logprob}
            for letter, logprob in zip("AB", verdict.logprobs, strict=True)
        ]
        a, b = verdict.logprobs
        likelier = letters[a < b]
        choice["logprobs"] = {"content": [{**likelier, "top_logprobs": letters}]}
    # How long what it wrote is, in tokens, is not kept.
    put = int(lettered)
    usage = {"input_tokens": asked, "output_tokens": put, "total_tokens": asked + put}
    return {
        "model": model,
        "choices": [choice],
        "completion": storable(verdict.raw),
        "usage": usage,
        "time": verdict.seconds,
    }


def _plain(value: Any) -> Any:
    """What is said of a judge, or of each judge of a panel."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [*map(_plain, value)]
    return storable(value) if isinstance(value, str) else value


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
