"""Verdicts, read again: what passes, what is named, and what is only told."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from onlinedpo.states.config import Settings
from onlinedpo.states.errors import JournalNewer
from onlinedpo.states.records import Completion, Sampled, Shown, Verdict
from onlinedpo.states.rederive.judging import Verdicts
from onlinedpo.states.rederive.mismatch import Mismatch
from onlinedpo.states.verdicts.framing import FRAMES, REASON, fence_for, fenced
from onlinedpo.states.verdicts.parsing import GENERATED, letters
from onlinedpo.states.verdicts.texts import generated
from tests.states import facts

JUDGE: dict[str, Any] = {"kind": "model", "id": "j", "weights": "12"}
JUDGE |= {"frame": 1, "parser": 1}
OPENED = replace(facts.run_opened(), judge={**JUDGE, "rubric": "\nBe brief. "})
TWO = Settings(judge="j")
ONE = Settings(judge="j", judge_orders=1)
BOTH: tuple[Shown, Shown] = ("first-second", "second-first")


def pair(ticket: int = 0, one: str = "yes", two: str = "no ~~~~ no") -> Sampled:
    """A pair of two texts."""
    first, second = (
        Completion(tokens=(n,), text=text, finish="stop")
        for n, text in enumerate((one, two))
    )
    return facts.sampled(ticket, first, second)


def asked(
    of: Sampled, shown: Shown, before: str = "<s>Be brief.\n", **more: Any
) -> Any:
    """A verdict on a pair, as its judge put it out."""
    logprobs = (-0.1, -3.0) if shown == "first-second" else (-3.0, -0.1)
    raw = "A" if shown == "first-second" else "B"
    winner, failure = letters(logprobs, shown, raw)
    one, two = of.first.text, of.second.text
    a, b = (one, two) if shown == "first-second" else (two, one)
    words = fenced(fence_for("?", one, two), "?", a, b)
    verdict = facts.verdict(of.ticket, shown, winner, logprobs=logprobs)
    plain: dict[str, Any] = {
        "raw": raw,
        "failure": failure,
        "judge": JUDGE,
        "prompt": f"{before}{words}</s>",
    }
    return replace(verdict, **(plain | more))


def both(of: Sampled, **more: Any) -> list[Verdict]:
    """In both orders."""
    return [asked(of, shown, **more) for shown in BOTH]


def read(
    verdicts: list[Verdict],
    *pairs: Sampled,
    settings: Settings = TWO,
    by: Verdicts | None = None,
    where: object = None,
) -> Verdicts:
    """Read verdicts on pairs again."""
    reader = by or Verdicts()
    if by is None:
        reader.judged_by(OPENED, settings)
    reader.check(verdicts, {p.ticket: p for p in pairs}, settings, where)
    return reader


def differs(named: str, *arguments: Any, **more: Any) -> Mismatch:
    """Reading them fails so."""
    with pytest.raises(Mismatch, match=named) as found:
        read(*arguments, **more)
    return found.value


def test_what_a_judge_put_out_passes() -> None:
    """Every verdict is counted."""
    found = read([*both(pair()), *both(pair(1))], pair(), pair(1))

    assert found.checked == {"read_verdicts": 4}


def test_the_order_of_a_single_verdict_is_drawn_by_the_seed() -> None:
    """The other one is not what was to be asked."""
    orders: set[str] = set()
    for ticket in range(20):
        for shown in BOTH:
            try:
                read([asked(pair(ticket), shown)], pair(ticket), settings=ONE)
                orders.add(shown)
            except Mismatch as found:
                assert found.field == "shown"
    assert orders == set(BOTH)


def test_what_was_not_asked_and_what_is_missing_are_named() -> None:
    """A verdict on no pair of the frame, a third one, and none at all."""
    one, two = pair(), pair(1)
    third = [*both(one), asked(one, "first-second")]
    differs("000000-.*: first-second: 'first-second' is recorded, nothing", third, one)
    differs("000007: ", [*both(one), *both(pair(7))], one)
    differs("000001-.*: first-second: nothing is recorded", both(one), one, two)


def test_the_likeliest_token_must_fit_the_chances_of_the_letters() -> None:
    """A raw output that could not have been the likeliest."""
    verdicts = [asked(pair(), "first-second", raw="B"), asked(pair(), "second-first")]

    found = differs("raw: 'B' is recorded", verdicts, pair())
    assert "log-probabilities -0.1" in str(found)


@pytest.mark.parametrize(
    ("key", "value"), [("kind", "people"), ("id", "x"), ("weights", "34"), ("extra", 1)]
)
def test_the_judge_is_the_one_of_the_run(key: str, value: object) -> None:
    """By what it is; the setting may name where its files are now."""
    other = {**JUDGE, key: value}
    differs(f"judge.{key}: {value!r} is recorded", both(pair(), judge=other), pair())


def test_a_judge_whose_files_were_moved_is_the_same() -> None:
    """A resumed run names another path."""
    moved = replace(TWO, judge="elsewhere")
    there = {**JUDGE, "id": "elsewhere"}

    read([*both(pair(), judge=there), *both(pair(1))], pair(), pair(1), settings=moved)


@pytest.mark.parametrize("what", ["parser", "frame"])
def test_an_unknown_version_is_an_error_of_its_own(what: str) -> None:
    """Whether the verdict is right, this version cannot tell."""
    reader = Verdicts()
    newer = {**JUDGE, what: 99}
    reader.judged_by(replace(OPENED, judge={**newer, "rubric": ""}), TWO)

    with pytest.raises(JournalNewer, match=f"its {what} has version 99"):
        read(both(pair(), judge=newer), pair(), by=reader)


def test_a_judge_that_is_no_model_cannot_be_read_again() -> None:
    """That is told; in which orders it is asked is its own affair."""
    scripted = [asked(pair(), "second-first", judge={"kind": "scripted"}, prompt="")]

    assert +read(scripted, pair()).checked == {"unread_verdicts": 1}


def test_the_prompt_has_the_completions_in_the_order_shown() -> None:
    """Between fences that are longer than any run of tildes in them."""
    swapped = [asked(pair(), "first-second"), asked(pair(), "second-first")]
    swapped[0] = replace(swapped[0], prompt=swapped[1].prompt)
    differs("prompt: ", swapped, pair())
    short = [replace(v, prompt=v.prompt.replace("~~~~~", "~~~")) for v in both(pair())]
    differs("prompt: ", short, pair())
    differs("prompt: ", both(pair(), prompt="Which?"), pair())


def test_the_rubric_stands_before_them() -> None:
    """As it is in the run's opening, but for blanks around it."""
    differs(r"prompt \(rubric\): ", both(pair(), before="<s>Be long.\n"), pair())


def test_a_template_with_a_date_may_change_its_words() -> None:
    """From one day to the next, and that is told; but not back again."""
    monday, tuesday = "<s>Monday. Be brief.\n", "<s>Tuesday. Be brief.\n"
    reader = read(both(pair(), before=monday), pair(), where="frame 1")
    read(both(pair(1), before=tuesday), pair(1), by=reader, where="frame 2")
    read(both(pair(2), before=tuesday), pair(2), by=reader, where="frame 3")
    assert reader.checked["template_changes"] == 1

    found = differs(
        r"000001-.*: prompt \(template\): .*Tuesday.* is recorded, .*Monday",
        both(pair(3), before=monday),
        pair(3),
        by=reader,
        where="frame 4",
    )
    assert found.where == "frame 2"


WRITES: dict[str, Any] = {**JUDGE, "frame": REASON, "parser": GENERATED}
"""A judge that writes its answer."""


def written(of: Sampled, shown: Shown, *raws: str) -> list[Verdict]:
    """What it wrote, in one order, one attempt after the other."""
    one, two = of.first.text, of.second.text
    a, b = (one, two) if shown == "first-second" else (two, one)
    words = FRAMES[REASON](fence_for("?", one, two), "?", a, b)
    found = []
    for attempt, raw in enumerate(raws, start=1):
        winner, failure = generated((), shown, raw)
        verdict = facts.verdict(of.ticket, shown, winner)
        plain: dict[str, Any] = {"raw": raw, "failure": failure, "judge": WRITES}
        plain |= {"prompt": f"Be brief.\n{words}", "attempt": attempt, "logprobs": ()}
        found.append(replace(verdict, **plain))
    return found


def read_written(*verdicts: Verdict, retries: int = 2) -> Verdicts:
    """Read what it wrote of a pair."""
    settings = replace(TWO, judge_retries=retries)
    reader = Verdicts()
    reader.judged_by(replace(OPENED, judge={**WRITES, "rubric": ""}), settings)
    return read([*verdicts], pair(), settings=settings, by=reader)


HUMS, SAYS_A = (
    json.dumps({"content": content, "finish_reason": "stop"})
    for content in ("Hmm.", "Verdict: A")
)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([SAYS_A], [SAYS_A]),
        ([HUMS, SAYS_A], [HUMS, HUMS, SAYS_A]),
        ([HUMS, HUMS, HUMS], [SAYS_A]),
    ],
)
def test_a_judge_is_asked_until_it_can_be_read(
    first: list[str], second: list[str]
) -> None:
    """And not more often than `judge_retries` says, in each order by itself."""
    said = [*written(pair(), BOTH[0], *first), *written(pair(), BOTH[1], *second)]

    assert read_written(*said).checked["read_verdicts"] == len(said)


@pytest.mark.parametrize(
    ("first", "second", "retries"),
    [
        ([HUMS], [SAYS_A], 2),
        ([HUMS, HUMS], [SAYS_A], 2),
        ([SAYS_A, SAYS_A], [SAYS_A], 2),
        ([SAYS_A, HUMS], [SAYS_A], 2),
        ([HUMS, HUMS], [SAYS_A], 0),
        ([HUMS, SAYS_A], [SAYS_A], 0),
        ([SAYS_A], [HUMS, HUMS], 2),
        ([SAYS_A], [HUMS, HUMS, HUMS, SAYS_A], 2),
    ],
)
def test_attempts_too_many_and_too_few_are_named(
    first: list[str], second: list[str], retries: int
) -> None:
    """Nobody asks again until the answer pleases, nor gives up before it is time."""
    said = [*written(pair(), BOTH[0], *first), *written(pair(), BOTH[1], *second)]

    with pytest.raises(Mismatch):
        read_written(*said, retries=retries)


def test_attempts_are_counted_from_one() -> None:
    """One that is left out is noticed by the number of the next."""
    said = written(pair(), BOTH[0], HUMS, SAYS_A)[1:]

    with pytest.raises(Mismatch, match="attempt: 2 is recorded, 1"):
        read_written(*said, *written(pair(), BOTH[1], SAYS_A))
