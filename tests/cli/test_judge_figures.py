"""What an audit tells of the judge: figures, warnings, and a text that fits."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest

from onlinedpo.cli.audit.judge_figures import facts, lines
from onlinedpo.states.measuring.judge_record import JudgeRecord
from onlinedpo.states.records import Reason, Record, Side, Why
from tests.states.facts import people_say, submitted
from tests.states.judges import (
    STRONG,
    Rule,
    always,
    judged,
    left,
    longest,
    pair_of,
    record_of,
    says,
)
from tests.states.votes import asked, vote

HOSTILE = "\x1b[2Jmodel\n\u202e" + "x" * 200


def fair(n: int) -> Rule:
    """A judge without fault: it takes the better one, which a coin made the longer."""
    return always("first" if n * 7 % 10 < 5 else "second")


def pairs_of(rules: Sequence[Rule], **wanted: Any) -> JudgeRecord:
    """One pair at each step, each judged by its rule; lengths alternate."""
    return record_of(
        *(
            judged(pair_of(n, 9 + n % 2, 10 - n % 2, step=n), rule, **wanted)
            for n, rule in enumerate(rules)
        )
    )


def beside(count: int, person: Side, why: str = Why.SHARE) -> list[list[Record]]:
    """So many pairs: the judge takes the first, and so do people in three of four."""
    return [
        [
            *judged(pair_of(n, 9, 3, step=n), longest)[:-1],
            asked(n, 1, why),
            vote(n, person if n % 4 == 0 else "first"),
            people_say(n, person if n % 4 == 0 else "first"),
        ]
        for n in range(count)
    ]


def warned(record: JudgeRecord) -> str:
    """The warnings on the only judge."""
    (judge,) = facts(record)["judges"]
    return "\n".join(judge["warnings"])


def test_a_judge_without_fault_gives_no_cause_for_warnings() -> None:
    """200 pairs: it keeps its choice, and takes the longer as often as not."""
    assert warned(pairs_of([fair(n) for n in range(200)])) == ""


@pytest.mark.parametrize(
    ("rules", "says_so"),
    [
        ([left] * 15 + [fair(n) for n in range(25)], "its choice in only 62.5%"),
        ([left] * 60, "drawn to what it is shown first, which wins 100.0%"),
        ([says("second", "first")] * 60, "drawn to what it is shown second"),
        ([says(None, "first")] * 60, "50.0% of its verdicts name no winner"),
        ([longest] * 60, "chooses the longer completion in 100.0% of the pairs, "),
        ([longest] * 60, "pairs whose lengths are nearly equal"),
        (
            [fair(n) for n in range(160)] + [left] * 40,
            "keeps its choice when swapped in 100.0% of the first part and 0.0% of the",
        ),
    ],
)
def test_a_judge_with_a_fault_is_warned_of(rules: Sequence[Rule], says_so: str) -> None:
    """What it does, and how often."""
    assert says_so in warned(pairs_of(rules))


def test_a_judge_that_takes_the_shorter_is_warned_of() -> None:
    """Length is no merit, and no fault either."""
    record = record_of(
        *(judged(pair_of(n, 3, 9, step=n), always("first")) for n in range(60))
    )

    assert "chooses the shorter completion in 100.0% of the pairs, " in warned(record)


@pytest.mark.parametrize("rule", [left, longest, says(None, None), says("tie", "tie")])
def test_on_fewer_than_thirty_pairs_nobody_is_warned(rule: Rule) -> None:
    """So few say nothing, and the lines say that."""
    record = pairs_of([rule] * 29)

    assert warned(record) == ""
    text = "\n".join(lines(facts(record)))
    assert "keeps its choice when swapped" in text
    assert "too few (n=29; 30 are needed)" in text
    assert "over the run: too few pairs" in text


def test_a_judge_that_is_no_better_than_the_longest_is_warned_of() -> None:
    """On pairs drawn by lot if there are thirty of them, else on all."""
    by_lot = warned(record_of(*beside(40, "second")))
    assert "On 40 pairs drawn by lot, it agrees with people in 75.0%" in by_lot
    assert "always choosing the longer one would in 75.0%" in by_lot
    in_doubt = warned(record_of(*beside(40, "second", Why.UNSURE)))
    assert "On 40 pairs, most of which it was in doubt of" in in_doubt
    assert "agrees with people" not in warned(record_of(*beside(29, "second")))


def test_a_judge_that_beats_the_longest_is_not() -> None:
    """It says what people say, and length does not."""
    lives = [
        [*judged(pair_of(n, 3 + n % 2, 4 - n % 2), always("first"))[:-1], asked(n)]
        for n in range(40)
    ]
    record = record_of(*([*life, vote(n, "first")] for n, life in enumerate(lives)))

    assert "agrees with people" not in warned(record)
    text = "\n".join(lines(facts(record)))
    assert "judge     agrees in 100.0% [91.2%, 100.0%]" in text
    assert "longest   agrees in 50.0%" in text
    assert "kappa undefined: all answers are the same" in text
    assert "random    agrees in 50.0%; judge - longest +50 [" in text


def test_everything_is_told_as_json() -> None:
    """Plain data: every judge's figures, drift, people, cost; labels and reasons."""
    told = json.loads(json.dumps(facts(record_of(*beside(200, "second")))))
    (judge,) = told["judges"]

    assert (judge["pairs"], judge["verdicts"]) == (200, 400)
    assert judge["judge"] == STRONG
    assert judge["figures"]["consistency"]["value"] == 1.0
    assert judge["figures"]["consistency"]["enough"] is True
    assert [part["pairs"] for part in judge["drift"]["parts"]] == [40] * 5
    assert judge["drift"]["parts"][1]["from_step"] == 40
    assert judge["drift"]["last_minus_first"]["failures"]["flagged"] is False
    assert judge["people"]["all"]["judge"]["raw"]["value"] == 0.75
    assert judge["people"]["random_share"]["random"]["raw"] == {"value": 0.5}
    assert judge["cost"]["mean_prompt_tokens"] == 2.0
    assert told["labels"] == {"judge": 0, "human": 200, "file": 0, "without_winner": 0}
    assert told["escalations"] == {Why.SHARE: 200}


def test_cost_is_told_by_its_middle_and_its_worst() -> None:
    """Median, 95th percentile by rank, and in all."""
    record = record_of(
        *(judged(pair_of(n), longest, seconds=n / 100) for n in range(100)),
        judged(pair_of(100), longest, seconds=9.0, attempt=2),
    )
    (judge,) = facts(record)["judges"]

    assert judge["cost"]["median_seconds"] == 0.5
    assert judge["cost"]["p95_seconds"] == 0.95
    assert judge["cost"]["total_seconds"] == pytest.approx(2 * 4950 / 100 + 18)
    text = "\n".join(lines(facts(record)))
    assert "202 verdicts, 2 asked for more than once: median 500 ms" in text
    assert "prompts of 2 tokens on average, 404 in all" in text


def test_lines_fit_the_terminal_and_have_what_was_counted() -> None:
    """88 columns, about forty lines, also where all is warned of."""
    record = record_of(
        *beside(100, "second"),
        *(judged(pair_of(n, 3, 3, step=n), left) for n in range(100, 200)),
    )
    told = lines(facts(record))

    assert max(map(len, told)) <= 88
    assert len(told) <= 50
    text = "\n".join(told)
    assert "200 pairs: decided 50.0%, orders disagree 50.0%, tie 0.0%" in text
    assert "keeps its choice when swapped   50.0% [43.1%, 56.9%] (n=200)" in text
    assert re.search(r"keeps its choice when swapped +100% +100% +50% +0% +0%", text)
    assert "-100 [-100, -84] !" in text
    assert "labels: 0 by a judge, 100 by people, 0 from files" in text
    assert "pairs sent to people: random share 100" in text


def test_a_run_without_a_model_judge_says_so() -> None:
    """People judge all, or nothing was judged yet."""
    asks: list[Record] = [
        pair_of(0),
        submitted(0),
        asked(0, 1, Why.HUMAN),
        vote(0, "tie"),
    ]
    for told in (
        facts(record_of()),
        facts(record_of([*asks, people_say(0, None, Reason.TIE)])),
    ):
        assert told["judges"] == []
        assert lines(told)[0] == "nothing but people has judged a pair in this run"
    assert "0 from files and 1 without a winner" in "\n".join(lines(told))


def test_each_judge_has_lines_of_its_own_and_its_name_is_safe() -> None:
    """A name comes from outside: no control characters, and cut to fit."""
    hostile = STRONG | {"id": HOSTILE, "weights": HOSTILE, "parser": HOSTILE}
    record = record_of(
        judged(pair_of(0), longest), judged(pair_of(1), longest, judge=hostile)
    )
    told = lines(facts(record))

    names = [line for line in told if line.startswith("judge ")]
    assert names[0] == "judge strong (weights abababab, frame 1, parser 1)"
    assert len(names) == 2
    assert all(line.isprintable() and len(line) <= 88 for line in told)


def test_a_judge_that_says_nothing_of_itself_has_lines_too() -> None:
    """Its verdicts bear no name."""
    record = record_of(judged(pair_of(0), longest, judge={}))

    assert lines(facts(record))[0] == "judge (no name)"
