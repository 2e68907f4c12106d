"""What is kept of a panel: each judge by itself, and what they decide together."""

from __future__ import annotations

from typing import Any

import pytest

from onlinedpo.cli.audit.judge_figures import facts, lines
from onlinedpo.states.measuring.judge_figures import figure, together
from onlinedpo.states.measuring.judge_record import JudgeRecord
from onlinedpo.states.measuring.judged_pair import JudgedPair
from onlinedpo.states.records import Reason, Record, Verdict
from onlinedpo.states.verdicts.deciding import decide
from onlinedpo.states.verdicts.parsing import SCORES
from tests.states import facts as made
from tests.states.judges import (
    Rule,
    always,
    left,
    longest,
    pair_of,
    record_of,
    says,
    verdicts,
)

ONE, OTHER, THIRD = (
    {"kind": "model", "id": name, "weights": name, "frame": 1, "parser": 1}
    for name in ("one", "other", "third")
)


def judged(ticket: int, *rules: Rule, size: tuple[int, int] = (3, 2)) -> list[Record]:
    """A pair that a panel judges, each by its rule."""
    pair = pair_of(ticket, *size)
    said: list[Verdict] = []
    for judge, rule in zip((ONE, OTHER, THIRD), rules, strict=False):
        said += verdicts(pair, rule, judge=judge)
    return [pair, made.submitted(ticket), *said, decide(said, made.NOW)]


def panel_of(*lives: list[Record]) -> JudgeRecord:
    """What is kept of them."""
    return record_of(*lives)


def test_each_judge_is_counted_by_its_own_verdicts() -> None:
    """One that always says A does not spoil the figures of the others."""
    record = panel_of(*(judged(n, left, longest, longest) for n in range(40)))
    biased, fair, _ = record.judges.values()

    assert [judge.pairs().total() for judge in (biased, fair)] == [40, 40]
    assert figure("consistency", biased.pairs()).value == 0.0
    assert figure("consistency", fair.pairs()).value == 1.0
    assert [len(judge.seconds) for judge in record.judges.values()] == [80] * 3


@pytest.mark.parametrize(
    ("rules", "outcome"),
    [
        ((always("first"), always("first"), always("second")), "decided"),
        ((always("first"), always("second"), left), Reason.DISAGREED),
        ((always("first"), always("second")), Reason.DISAGREED),
        ((says("tie", "tie"), says("tie", "tie")), Reason.TIE),
        ((says(None, None), says(None, "first")), Reason.FAILED),
        ((says(None, None), says("tie", "tie")), Reason.DISAGREED),
    ],
)
def test_the_panel_is_counted_by_what_it_decides(
    rules: tuple[Rule, ...], outcome: str
) -> None:
    """A panel without a majority is divided, and neither tied nor failed."""
    record = panel_of(judged(0, *rules))

    assert record.panel is not None
    ((kind, times),) = record.panel.pairs().items()
    assert (kind.outcome, times) == (outcome, 1)


def test_a_panel_and_scores_have_no_first_place() -> None:
    """Nothing is said of what is shown first where nothing is."""
    record = panel_of(*(judged(n, longest, longest) for n in range(40)))
    assert record.panel is not None
    scored = JudgedPair.of(
        pair_of(0), verdicts(pair_of(0), longest, judge={**ONE, "parser": SCORES})[:1]
    )
    for pairs in (record.panel.pairs(), {scored: 40}):
        for name in ("consistency", "first_wins", "as_first"):
            assert figure(name, pairs).n == 0
        assert figure("longer_wins", pairs).value == 1.0
    text = "\n".join(lines(facts(record)))
    assert text.count("what is shown first wins") == 2


def test_two_judges_are_compared_where_both_choose() -> None:
    """Ties and contradictions are left out."""
    lives = [judged(n, always("first"), longest, size=(3, 2)) for n in range(30)]
    lives += [judged(30 + n, always("first"), longest, size=(2, 3)) for n in range(10)]
    lives += [judged(40 + n, left, longest) for n in range(5)]
    one, other = panel_of(*lives).judges.values()

    agrees = together(one, other)
    assert (agrees.raw.value, agrees.raw.n) == (0.75, 40)


def test_it_is_told_judge_by_judge_and_together() -> None:
    """In lines that fit, and as JSON; the cost is told of each judge."""
    lives = [judged(n, always("first"), longest, left) for n in range(60)]
    told = facts(panel_of(*lives))
    text = lines(told)

    titles = [line for line in text if line.startswith(("judge ", "the panel"))]
    assert [title[:12] for title in titles] == [
        *("judge 1: one", "judge 2: oth", "judge 3: thi"),
        "the panel: w",
    ]
    assert max(map(len, text)) <= 88
    assert "60 pairs: decided 100.0%, judges disagree 0.0%" in "\n".join(text)
    whole = "\n".join(text)
    assert "judges 1 and 2 agree: 100.0% [94.0%, 100.0%] (n=60)\n" in whole
    assert "judges 1 and 3 agree: too few (n=0; 30 are needed)" in whole
    assert whole.count(" verdicts: median") == 3
    panel: Any = told["panel"]
    assert [two["judges"] for two in panel["together"]] == [[1, 2], [1, 3], [2, 3]]


def test_one_judge_is_no_panel() -> None:
    """Nor is one that was asked again, or was changed for another."""
    again = [
        *verdicts(pair_of(0), says(None, None)),
        *verdicts(pair_of(0), longest, attempt=2),
    ]
    life: list[Record] = [
        pair_of(0),
        made.submitted(0),
        *again,
        decide(again, made.NOW),
    ]
    record = panel_of(life)

    assert record.panel is None and facts(record)["panel"] is None
    (judge,) = record.judges.values()
    ((kind, _),) = judge.pairs().items()
    assert (kind.outcome, judge.retried) == ("decided", 2)
