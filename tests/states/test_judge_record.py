"""The judge's record: what is counted of a run, when, and how little is kept of it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest

from onlinedpo.states.errors import IllegalMove
from onlinedpo.states.measuring.judge_record import JudgeRecord
from onlinedpo.states.records import Reason, Record, Why
from tests.states import facts
from tests.states.judges import (
    STRONG,
    always,
    judge_of,
    judged,
    left,
    longest,
    pair_of,
    record_of,
    verdicts,
)
from tests.states.votes import asked, vote


def test_a_pair_is_counted_when_its_verdicts_are_acted_on() -> None:
    """Labelled, dropped or sent to people; while none of these is so it is not."""
    life = judged(pair_of(0), longest)
    drop = judged(pair_of(1), left)
    open_: list[Record] = [
        pair_of(2),
        facts.submitted(2),
        *verdicts(pair_of(2), longest),
    ]

    assert not record_of(life[:-1]).judges
    assert judge_of(life).pairs().total() == 1
    assert judge_of(life, drop).pairs().total() == 2
    assert judge_of(life, drop, open_).pairs().total() == 2
    assert judge_of(life, drop, [*open_, asked(2)]).pairs().total() == 3


def test_a_pair_is_counted_once_whatever_becomes_of_it() -> None:
    """People are asked, answer, take it back, and it is trained on and put back."""
    pair = pair_of(0)
    judge = judge_of(
        [*judged(pair, longest)[:-1], asked(0, 1, Reason.DISAGREED)],
        [vote(0, "first"), facts.people_say(0), vote(0, "undo"), facts.withdrawn(0)],
        [vote(0, "second"), facts.people_say(0, "second"), facts.step(1, 0)],
        [facts.restored(pair, facts.people_say(0)), facts.rewound(0, (0,))],
        [facts.step(1, 0)],
    )

    assert judge.pairs().total() == 1
    assert len(judge.seconds) == 2


def test_verdicts_that_come_with_a_restored_pair_are_not_counted() -> None:
    """Of another judge's only those with a winner come: it would seem to have no doubt.

    Here people had judged the pair, and then it is trained on as that judge has it.
    """
    pair = pair_of(0)
    record = record_of(
        [pair, facts.submitted(0), asked(0, 1, Why.HUMAN), vote(0)],
        [facts.people_say(0), facts.step(1, 0)],
        [facts.restored(pair, facts.label(0)), facts.rewound(0, (0,))],
        [facts.dropped(0, Reason.LEFT_OUT)],
    )

    assert not record.judges
    assert record.labels()["judge"] == 1


def test_pairs_that_no_model_judged_are_not_its_record() -> None:
    """Those of people, identical ones, and prompts that were too long."""
    record = record_of(
        [pair_of(0), facts.submitted(0), asked(0, 1, Why.HUMAN), vote(0)],
        [facts.people_say(0)],
        [pair_of(1), facts.dropped(1, Reason.IDENTICAL)],
        [facts.dropped(2, Reason.TOO_LONG)],
    )

    assert not record.judges
    assert record.labels()["human"] == 1


def test_each_judge_has_a_record_of_its_own() -> None:
    """One that was changed is another; but not by what no verdict depends on."""
    weak = STRONG | {"id": "weak"}
    again = STRONG | {"device": "gpu"}
    record = record_of(
        *(judged(pair_of(n), longest, judge=STRONG) for n in range(3)),
        *(judged(pair_of(n), left, judge=weak) for n in range(3, 5)),
        *(judged(pair_of(n), longest, judge=again) for n in range(5, 6)),
        *(judged(pair_of(6), longest, judge=STRONG | {"parser": 2}) for _ in range(1)),
    )

    found = [(j.identity["id"], j.pairs().total()) for j in record.judges.values()]
    assert found == [("strong", 4), ("weak", 2), ("strong", 1)]


def test_what_verdicts_cost_is_summed() -> None:
    """Seconds of each, tokens of the prompts, and how many were asked for again."""
    judge = judge_of(
        judged(pair_of(0), longest, seconds=0.5, prompt_tokens=(1, 2, 3)),
        judged(pair_of(1), longest, seconds=2.0, prompt_tokens=(1,), attempt=3),
    )

    assert list(judge.seconds) == [0.5, 0.5, 2.0, 2.0]
    assert (judge.prompt_tokens, judge.retried) == (8, 2)


def test_pairs_are_known_by_ticket_and_by_step() -> None:
    """Of which kind each is, and when the policy had sampled it."""
    lives = [judged(pair_of(n, 5, 2 + n, step=n // 2), longest) for n in range(4)]
    judge = judge_of(*lives)

    assert sorted(judge.of([3, 0, 9])) == [0, 3]
    assert judge.of([3])[3].winners == ["tie", "tie"]
    assert [step for (step, _), n in judge.at_steps().items() for _ in range(n)] == [
        *(0, 0, 1, 1)
    ]


def test_the_newest_label_says_whose_it_is() -> None:
    """A person's takes the place of the judge's; one taken back leaves none."""
    by_judge = judged(pair_of(0), longest)
    by_person: list[Record] = [vote(0, "second"), facts.people_say(0, "second")]

    def labels(*more: Record) -> dict[str, int]:
        found = record_of(by_judge, more).labels()
        return {name: count for name, count in found.items() if count}

    assert labels() == {"judge": 1}
    assert labels(*by_person) == {"human": 1}
    assert labels(*by_person, facts.label(0)) == {"judge": 1}
    assert labels(*by_person, facts.withdrawn(0)) == {}
    neither = facts.people_say(0, None, Reason.BAD)
    assert labels(*by_person, neither) == {"without_winner": 1}


def test_people_were_asked_for_reasons() -> None:
    """How often for each."""
    pairs = [judged(pair_of(n), longest)[:-1] for n in range(3)]
    record = record_of(
        [*pairs[0], asked(0, 1, Why.SHARE)],
        [*pairs[1], asked(1, 1, Why.UNSURE)],
        [*pairs[2], asked(2, 2, Why.UNSURE)],
    )

    assert record.asked == {Why.SHARE: 1, Why.UNSURE: 2}


def test_people_are_compared_with_the_judge_that_saw_the_pair() -> None:
    """Where both chose: also unasked and late answers, and by lot alone if wanted."""
    weak = STRONG | {"id": "weak"}
    record = record_of(
        [*judged(pair_of(0), longest)[:-1], asked(0, 1, Why.SHARE), vote(0, "second")],
        [*judged(pair_of(1), longest)[:-1], asked(1, 1, Why.UNSURE), vote(1, "tie")],
        [*judged(pair_of(2), left)[:-1], asked(2, 1, Why.SHARE), vote(2, "first")],
        [*judged(pair_of(3), longest), facts.step(1, 3), vote(3, "first")],
        [*judged(pair_of(4), longest, judge=weak), vote(4, "first")],
    )
    strong, other = record.judges.values()

    assert [side for side, _ in record.beside_people(strong)] == ["second", "first"]
    assert [p.chosen for _, p in record.beside_people(strong)] == ["first", "first"]
    assert len(record.beside_people(strong, at_random=True)) == 1
    assert len(record.beside_people(other)) == 1


@pytest.mark.parametrize("ticket", [-1, 2, 10**12])
def test_facts_on_pairs_that_there_are_not_are_left_to_the_ledger(ticket: int) -> None:
    """They are told as what they are, and cost no memory."""
    for fact in (facts.label(ticket), facts.withdrawn(ticket), facts.dropped(ticket)):
        with pytest.raises(IllegalMove):
            record_of(judged(pair_of(0), longest), [fact])


def test_no_text_is_kept() -> None:
    """1000 pairs with prompts of 5 kB take less than 100 bytes each."""

    def journal() -> Iterator[Record]:
        yield facts.run_opened()
        for n in range(1000):
            prompt = f"{n}" * 1000
            yield from judged(pair_of(n, 3 + n % 9, 4), always("first"), prompt=prompt)
            yield facts.step(n + 1, n)

    JudgeRecord.collect(journal())
    tracemalloc.start()
    try:
        record = JudgeRecord.collect(journal())
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(judge.pairs().total() for judge in record.judges.values()) == 1000
    assert kept < 1000 * 100
