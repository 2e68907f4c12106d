"""Several people on one pair: a file for each, and what counts where they differ."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.states.answers import Ask
from onlinedpo.states.records import Dropped, Escalated, Label, Side, Vote
from tests.people.kit import Case, Parts, Person, Rule, Stages, answer, read, side_of
from tests.people.runs import names, pairs, those, trained_on, work

pytestmark = pytest.mark.usefixtures("hurry")

WHO = {1: "ann", 2: "bob", 3: "eva"}
Views = Mapping[int, Side | str]


def sees(views: Views) -> Rule:
    """An answer by slot: a side of the pair, or a word."""

    def rule(case: Case) -> str:
        view = views[case.ask.slot]
        return side_of(case, view) if view in ("first", "second") else view

    return rule


class Team(Person):
    """Ann answers the first file of a pair, Bob the second, Eva the third."""

    def __init__(self, views: Views, of: Views | None = None) -> None:
        """`views` of pair 0; of the others, `of`, or that the first is better."""
        others = of or dict.fromkeys(WHO, "first")
        super().__init__(lambda c: sees(others if c.ticket else views)(c))

    def at_work(self, todo: Path) -> bool:
        """Answer, each under their own name, the later slots first."""
        worked = False
        for path in sorted(todo.glob("*.md")):
            case = read(path)
            if path.read_bytes() != self.saved.get(path.name):
                who = WHO[case.ask.slot]
                raw = answer(path, self.rule(case), annotator=who)
                self.saved[path.name] = raw
                worked = True
        return worked


def label(folder: Path) -> Label:
    """What was decided of pair 0."""
    return [r for r in those(folder, Label) if r.ticket == 0][-1]


def test_each_of_two_people_gets_a_file_of_their_own(
    human: Parts, tmp_path: Path
) -> None:
    """X.md and X.2.md, each with its own order of the two responses."""
    work(tmp_path, Stages(), **human, overlap=1.0, batch_size=9)

    todo = tmp_path / "labels" / "todo"
    found = pairs(tmp_path)
    assert names(todo) == sorted(
        f"{p.pair}{end}" for p in found.values() for end in (".md", ".2.md")
    )
    orders = []
    for pair in found.values():
        cases = [read(todo / f"{Ask(pair.pair, slot)}.md") for slot in (1, 2)]
        assert {cases[0].one, cases[0].two} == {cases[1].one, cases[1].two}
        assert len({cases[0].one, cases[0].two}) == 2
        orders.append(tuple(case.one == cases[0].one for case in cases))
    assert len(set(orders)) == 2


def test_a_share_of_the_pairs_is_shown_to_two(human: Parts, tmp_path: Path) -> None:
    """By lot, the same in every run of that seed."""
    for name in ("one", "two"):
        work(tmp_path / name, Stages(), **human, overlap=0.4, batch_size=12, seed=3)
    work(tmp_path / "none", Stages(), **human, batch_size=12)

    slots = [
        [asked.slots for asked in those(tmp_path / name, Escalated)]
        for name in ("one", "two", "none")
    ]
    assert slots[0] == slots[1]
    assert 1 <= slots[0].count(2) <= 8
    assert slots[0].count(1) + slots[0].count(2) == 12
    assert slots[2] == [1] * 12


def test_nothing_is_trained_before_both_have_answered(
    human: Parts, tmp_path: Path
) -> None:
    """Whatever the rule, one answer of two is not enough."""

    def first_files(labels: Path) -> None:
        for path in (labels / "todo").glob("*.md"):
            if read(path).ask.slot == 1:
                answer(path, "1")

    person = Stages(first_files)
    ended = work(tmp_path, person, **human, overlap=1.0)

    assert person.waits == [6, 3]
    assert ended.ledger.steps == 0
    assert those(tmp_path, Label) == []


RULES: dict[str, tuple[str, dict[int, Side | str], tuple[str | None, str, float, int]]]
RULES = {
    # Bob saves first, though his is the second file.
    "first": ("first", {1: "second", 2: "first"}, ("first", "", 0.5, 2)),
    "first, skipped": ("first", {1: "second", 2: "skip"}, ("second", "", 1.0, 2)),
    "agreed": ("majority", {1: "second", 2: "second"}, ("second", "", 1.0, 2)),
    "majority": (
        *("majority", {1: "second", 2: "first", 3: "second"}),
        ("second", "", 2 / 3, 3),
    ),
    "no majority": (
        *("majority", {1: "second", 2: "first", 3: "tie"}),
        (None, "people disagree", 0.0, 3),
    ),
    "all skip": ("majority", {1: "skip", 2: "skip"}, (None, "skipped", 1.0, 2)),
    "adjudicated": (
        *("adjudicate", {1: "second", 2: "first", 3: "first"}),
        ("first", "", 2 / 3, 3),
    ),
    "adjudicated alone": (
        *("adjudicate", {1: "second", 2: "tie", 3: "first"}),
        ("first", "", 1 / 3, 3),
    ),
    "adjudicated to a tie": (
        *("adjudicate", {1: "second", 2: "first", 3: "tie"}),
        (None, "tie", 1 / 3, 3),
    ),
    "agreed without a third": (
        *("adjudicate", {1: "tie", 2: "tie"}),
        (None, "tie", 1.0, 2),
    ),
}


@pytest.mark.parametrize("case", RULES)
def test_where_they_differ_the_rule_decides(
    case: str, human: Parts, tmp_path: Path
) -> None:
    """The first answer, more than half, or a third person's; a third file if need be.

    Without a winner the pair is dropped.
    """
    rule, views, (chosen, reason, confidence, slots) = RULES[case]
    settings = {**human, "overlap": 1.0, "resolve": rule, "iters": 1}
    work(tmp_path, Team(views), **settings)

    found = label(tmp_path)
    assert (found.chosen, found.reason) == (chosen, reason)
    assert found.confidence == pytest.approx(confidence)
    assert (trained_on(tmp_path)[0].get(0)) == chosen
    assert [d.reason for d in those(tmp_path, Dropped)] == ([] if chosen else [reason])
    asked = [e for e in those(tmp_path, Escalated) if e.ticket == 0]
    assert [e.slots for e in asked] == [2, 3][: slots - 1]
    assert [e.why for e in asked[1:]] == ["people disagree"] * (slots - 2)
    done = names(tmp_path / "labels" / "done")
    pair = pairs(tmp_path)[0].pair
    assert (f"{pair}.3.md" in done) == (slots == 3)
    # Nobody was asked about the others a third time.
    assert len(done) == 6 + (slots == 3)


def test_a_third_person_is_not_asked_beyond_the_budget(
    human: Parts, tmp_path: Path
) -> None:
    """Then they just disagree; and of an uneven budget one pair gets one answer."""
    settings = {**human, "overlap": 1.0, "resolve": "adjudicate", "iters": 1}
    work(tmp_path / "six", Team({1: "first", 2: "second"}), **settings, label_budget=6)
    work(tmp_path / "five", Team({1: "first", 2: "first"}), **settings, label_budget=5)

    assert label(tmp_path / "six").reason == "people disagree"
    assert [e.slots for e in those(tmp_path / "six", Escalated)] == [2, 2, 2]
    assert [e.slots for e in those(tmp_path / "five", Escalated)] == [2, 2, 1]


def test_a_changed_mind_can_settle_a_difference(human: Parts, tmp_path: Path) -> None:
    """Ann comes round to Bob's view while Eva is awaited: the others need not wait."""
    seen: list[list[str]] = []

    def differ(labels: Path) -> None:
        Team({1: "first", 2: "second"}).at_work(labels / "todo")

    def come_round(labels: Path) -> None:
        seen.append(names(labels / "todo"))
        pair = pairs(tmp_path)[0].pair
        path = labels / "done" / f"{pair}.md"
        answer(path, side_of(read(path), "second"))

    def adjudicate(labels: Path) -> None:
        seen.append(names(labels / "todo"))
        Team({3: "second"}).at_work(labels / "todo")

    settings = {**human, "overlap": 1.0, "resolve": "adjudicate", "iters": 1}
    work(tmp_path, Stages(differ, come_round, adjudicate), **settings)

    third = [f"{pairs(tmp_path)[0].pair}.3.md"]
    # Eva was asked, so her answer is waited for.
    assert seen == [third, third]
    assert (label(tmp_path).chosen, label(tmp_path).confidence) == ("second", 1.0)


@pytest.mark.parametrize(
    ("written", "setting", "known_as"),
    [
        ("Zoë  van Dam", "the lab", "Zoë van Dam"),
        ("", "the lab", "the lab"),
        ("", None, pwd.getpwuid(os.getuid()).pw_name),
    ],
)
def test_who_answered_is_known_by_the_file_the_setting_or_its_owner(
    written: str, setting: str | None, known_as: str, human: Parts, tmp_path: Path
) -> None:
    """In this order."""
    more: dict[str, Any] = {"annotator": written} if written else {}
    person = Person(**more)
    settings = {**human, "annotator": setting, "iters": 1}
    work(tmp_path, person, **settings)

    assert {v.annotator for v in those(tmp_path, Vote)} == {known_as}
