"""What a judge said, as Inspect AI keeps it: in plain data, whatever was said."""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf, nan

import pytest

from onlinedpo.states.export import eval_log
from onlinedpo.states.export.outcomes import Outcome, Outcomes
from onlinedpo.states.records import Record
from onlinedpo.states.visible import json_line
from tests.states import facts

FIRST = Outcome(
    ticket=0,
    pair="000000-00000000",
    chosen="first",
    source="human",
    annotators=("anna",),
    judged="first",
    first=0.9,
    step=2,
    margin=0.5,
)
BOTH = (
    facts.verdict(0),
    facts.verdict(0, "second-first", logprobs=(-2.0, -0.2)),
)


def test_a_sample_holds_what_the_judge_read_and_said_in_both_orders() -> None:
    """A call for each verdict, with the letters' log-probabilities."""
    found = eval_log.sample(facts.sampled(0), BOTH, FIRST)

    assert [event["input"][0]["content"] for event in found["events"]] == ["Which?"] * 2
    assert [event["output"]["completion"] for event in found["events"]] == ["A", "A"]
    (token,) = found["events"][1]["output"]["choices"][0]["logprobs"]["content"]
    assert (token["token"], token["logprob"]) == ("B", -0.2)
    assert [t["token"] for t in token["top_logprobs"]] == ["A", "B"]
    assert [event["metadata"]["shown"] for event in found["events"]] == [
        "first-second",
        "second-first",
    ]
    assert [m["role"] for m in found["messages"]] == ["user", "assistant"] * 2
    assert found["model_usage"]["toy"] == {
        "input_tokens": 4,
        "output_tokens": 2,
        "total_tokens": 6,
    }


def test_a_sample_says_what_the_judge_decided_and_what_the_label_is() -> None:
    """They differ where a person overruled the judge."""
    overruled = replace(FIRST, chosen="second")
    found = eval_log.sample(facts.sampled(0), BOTH, overruled)

    assert found["target"] == "second"
    assert found["scores"]["verdict"]["value"] == "first"
    assert found["scores"]["label"]["value"] == "second"
    assert found["scores"]["label"]["explanation"] == "human, anna"
    assert found["scores"]["probability_first"]["value"] == 0.9
    assert found["metadata"]["step"] == 2


def test_a_failure_has_no_probability() -> None:
    """Nor is a label claimed while people are asked."""
    failed = facts.verdict(0, winner=None, failure="neither", logprobs=(nan, -inf))
    waits = Outcome(ticket=0, pair="0", judged="judge failed")
    found = eval_log.sample(facts.sampled(0), [failed], waits)

    assert [*found["scores"]] == ["verdict"]
    assert found["scores"]["verdict"]["value"] == "judge failed"
    assert "neither" in found["scores"]["verdict"]["explanation"]
    assert "logprobs" not in found["output"]["choices"][0]
    json.loads(json_line(found), parse_constant=pytest.fail)


def test_any_text_can_be_stored() -> None:
    """Lone surrogates are replaced, all else is as it was."""
    odd = replace(BOTH[0], raw="\ud800", prompt="\0\udfff", judge={"id": "j\ud800"})
    pair = replace(facts.sampled(0), messages=({"role": "x", "content": "\ud800?"},))
    found = eval_log.sample(pair, [odd], FIRST)
    opened = replace(facts.run_opened(), judge={"kind": "model", "id": "j\ud800"})
    head = eval_log.head(opened, [FIRST], 0.0)

    assert json.loads(json_line(found).encode())["input"] == "\ufffd?"
    assert json.loads(json_line(head).encode())["version"] == 2


def test_lists_show_little_of_a_sample() -> None:
    """Neither what the judge read nor long completions."""
    long = facts.sampled(0, replace(facts.completion(1), text="x" * 5000))
    found = eval_log.summary(eval_log.sample(long, BOTH, FIRST))

    assert len(json_line(found)) < 3000
    assert found["message_count"] == 4
    assert not {"events", "messages", "output"} & {*found}


def test_the_head_counts_the_pairs_and_the_decided_ones() -> None:
    """A pair on which the orders disagree was judged, and not decided."""
    split = replace(FIRST, judged="orders disagree")
    found = eval_log.head(facts.run_opened(), [FIRST, split], facts.NOW)

    assert found["results"]["total_samples"] == 2
    (score,) = found["results"]["scores"]
    assert score["metrics"]["decided"]["value"] == 0.5
    assert found["eval"]["model"] == "toy"


def test_judged_pairs_come_with_their_verdicts_once() -> None:
    """Whether they were labelled, dropped or sent to people; others do not come."""
    records: list[Record] = [
        *(facts.sampled(0), facts.sampled(1), facts.sampled(2), facts.sampled(3)),
        facts.submitted(0, 1, 2, 3),
        *(*BOTH, facts.verdict(1), facts.verdict(2)),
        *(facts.label(0), facts.dropped(1), facts.escalated(2), facts.escalated(3)),
        *(facts.vote(2), facts.people_say(2), facts.people_say(0)),
    ]
    outcomes = {
        n: replace(FIRST, ticket=n, judged="first" if n < 3 else "") for n in range(4)
    }
    found = [*eval_log.judged(records, outcomes)]

    assert [pair.ticket for pair, _, _ in found] == [0, 1, 2]
    assert [len(verdicts) for _, verdicts, _ in found] == [2, 1, 1]
    assert [outcome.ticket for _, _, outcome in found] == [0, 1, 2]


def test_of_a_pair_that_was_put_back_the_verdicts_that_it_has_now_count() -> None:
    """As where it was judged again: the last time that a rewind put it back."""
    new = facts.verdict(0, winner="second", logprobs=(-2.0, -0.1))
    old: list[Record] = [facts.sampled(0), facts.submitted(0), *BOTH, facts.label(0)]
    vain = facts.restored(facts.sampled(0), facts.label(0))
    back = replace(vain, verdicts=(new,))
    records: list[Record] = [*old, facts.step(1, 0), vain, back, facts.rewound(0, (0,))]
    outcomes = Outcomes()
    for record in (facts.run_opened(), *records):
        outcomes.take(record)
    found = [*eval_log.judged(records, outcomes.standing())]

    assert [(pair.ticket, verdicts) for pair, verdicts, _ in found] == [(0, (new,))]
