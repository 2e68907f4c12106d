"""Rows of other programs as answers: what each says, in its program's words."""

from __future__ import annotations

from typing import Any

import pytest

from onlinedpo.states.answers import Ask
from onlinedpo.states.people.choices import Choice
from onlinedpo.states.people.importers import answers, format_of
from tests.states import shapes
from tests.states.shapes import ASK, annotation, chosen, label_studio, own, pairwise

every_shape = pytest.mark.parametrize("shape", shapes.SECOND)


def word(row: dict[str, Any]) -> str:
    """The one choice in a row, as a person would write it; nothing for none."""
    found = answers(row)
    assert len(found) < 2
    return str(found[0].choice) if found else ""


@every_shape
def test_every_documented_shape_is_read(shape: str) -> None:
    """Its format is recognised, and the answer says which, of whom, to what."""
    form, row, annotator = shapes.SECOND[shape]
    (answer,) = answers(row)
    assert format_of(row) == form
    assert (str(answer.ask), answer.choice) == (ASK, Choice("2"))
    assert answer.annotator == annotator


@every_shape
def test_unknown_keys_are_ignored(shape: str) -> None:
    """Programs add columns of their own, of any type."""
    _, row, _ = shapes.SECOND[shape]
    more = {"agreement": 0.5, "tags": [1, {}], "Unnamed: 0": "", "": None}
    assert answers({**row, **more}) == answers(row)


def test_a_pair_is_found_wherever_programs_keep_it() -> None:
    """A slot comes along, and their own `id` does not hide it."""
    for row in (
        {"id": 7, "odpo_id": f"{ASK}.2"},
        {"id": 7, "meta": {"odpo_id": f"{ASK}.2"}},
        {"id": "7", "metadata": {"odpo_id": f"{ASK}.2"}},
        {"id": "7", "metadata": f'{{"odpo_id": "{ASK}.2"}}'},
        {"metadata.odpo_id": f"{ASK}.2"},
        {"question_id": f" {ASK}.2 "},
        {"id": "7", "external_id": f"{ASK}.2"},
    ):
        (answer,) = answers({**row, "choice": "1"})
        assert answer.ask == Ask(ASK, 2)


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        (own("strongly 1"), "strongly 1"),
        (own("1", strength=2), "strongly 1"),
        (own("2", strength="strong"), "strongly 2"),
        (own("2", strength="1"), "2"),
        (own(1), "1"),
        (own("2.0"), "2"),
        (own("A"), "1"),
        (own("Both bad"), "both bad"),
        (own("undo"), "undo"),
        (own(" "), ""),
        (own(None), ""),
        (label_studio(annotation([chosen("tie")])), "tie"),
        (label_studio(annotation([chosen("both bad")])), "both bad"),
        (label_studio(annotation([], was_cancelled=True)), "skip"),
        (label_studio(annotation([pairwise("left"), chosen("1")])), "1"),
        (label_studio(annotation([])), ""),
        (label_studio(), ""),
        ({**shapes.MINIMAL, "comparison": None, "otherwise": "tie"}, "tie"),
        ({**shapes.MINIMAL, "comparison": {"choices": ["both bad"]}}, "both bad"),
        ({**shapes.MINIMAL, "comparison": "", "annotator": None}, ""),
        (shapes.argilla("tie"), "tie"),
        (shapes.argilla([{"value": f"response{n}", "rank": 1} for n in (1, 2)]), "tie"),
        (shapes.argilla(None, status="discarded"), "skip"),
        (shapes.argilla("response1", status="draft"), ""),
        (shapes.prodigy([], "ignore"), "skip"),
        (shapes.prodigy(["A"]), "1"),
        (shapes.arena("model_a"), "1"),
        (shapes.arena("tie"), "tie"),
        (shapes.arena("tie (bothbad)"), "both bad"),
        (shapes.arena("bothbad_vote"), "both bad"),
        (shapes.arena("leftvote"), "1"),
        (shapes.arena(None), ""),
    ],
    ids=repr,
)
def test_each_program_s_words_mean_what_people_meant(row: Any, wanted: str) -> None:
    """A tie, both bad, a skip and no answer yet are told from one another."""
    assert word(row) == wanted


def test_several_people_answer_one_task() -> None:
    """Each of them once, with the time and note of the newest annotation."""
    older = {"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
    note = {"type": "textarea", "value": {"text": ["shorter", "and right"]}}
    row = label_studio(
        annotation([pairwise("left"), note], 10, lead_time=2),
        annotation([pairwise("right")], 10, **older),
        annotation([pairwise("right")], {"id": 11}, lead_time="no"),
        annotation([{"type": "rating", "value": {}}], 12, **older),
        annotation([chosen("tie")], 12, updated_at="2026-01-01T00:30:00Z"),
        annotation([chosen("bad")], 12, updated_at="2026-01-01T01:00:00+01:00"),
    )
    told = [(a.annotator, str(a.choice), a.note, a.seconds) for a in answers(row)]
    assert told == [
        ("10", "1", "shorter\nand right", 2.0),
        ("11", "2", "", None),
        ("12", "tie", "", 4.288),
    ]


def test_several_people_answer_one_record() -> None:
    """Drafts are left out, and a note goes with the one who wrote it."""
    row = shapes.argilla("response1")
    row["responses"]["preference"] += [
        {"value": "response2", "user_id": "u2", "status": "submitted"},
        {"value": "response2", "user_id": "u3", "status": "draft"},
    ]
    row["responses"]["note"] = [{"value": " clearer ", "user_id": "u2"}]
    told = [(a.annotator, str(a.choice), a.note) for a in answers(row)]
    assert told == [(shapes.UUID, "1", ""), ("u2", "2", "clearer")]


@pytest.mark.parametrize("seconds", [-1, 1e9, "nan", "inf", 10**400, True, [], "x"])
def test_an_answer_stands_without_a_time_that_can_be(seconds: Any) -> None:
    """Time is told apart from the answer."""
    (answer,) = answers(own(seconds=seconds))
    assert (answer.choice.word, answer.seconds) == ("1", None)
