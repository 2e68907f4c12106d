"""Hostile answers: label files that no editor saves, and dropped files of nobody."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.journal.audit.files import KeptFiles
from onlinedpo.journal.dropped import reading
from onlinedpo.journal.dropped.reading import UnreadableFile
from onlinedpo.states.answers import Ask
from onlinedpo.states.people import importers, label_file, saved_answer
from onlinedpo.states.people.importers import Refused
from onlinedpo.states.people.label_file import Unreadable
from tests.conftest import Count
from tests.crash.fuzzing.fuzz import Target, ending, fuzz, tiers
from tests.crash.fuzzing.fuzz_changes import MORE, as_json, of_bytes, of_trees
from tests.states import facts, shapes

RUN = "7b2e40c1"
PAIR = facts.sampled(42)
ASK = Ask(PAIR.pair)
BLANK = label_file.render(PAIR, ASK, "first-second", RUN)

LABELS = {"quick": 2_000, "full": 20_000}
DROPPED = {"quick": 500, "full": 4_000}
ROWS = {"quick": 1_500, "full": 12_000}


def saved(**wanted: str) -> str:
    """The file with an answer put in."""
    return label_file.fill(BLANK, ASK, **wanted)


def label_files() -> list[bytes]:
    """As people's editors save them."""
    texts = [
        BLANK,
        saved(choice="1", annotator="anna", note="brief"),
        saved(choice="strongly 2"),
        saved(choice="both bad") + "seconds: 12.5\n",
        saved(choice="tie") + "choice: tie\nmore of the note\n",
        saved(choice="1") + saved(choice="2"),
        BLANK.replace("choice: ", "**Choice** = 2 # sure"),
        "<<<<<<< HEAD\n" + saved(choice="1") + "=======\n" + saved(choice="2"),
    ]
    one = texts[1]
    return [
        *(text.encode() for text in texts),
        one.encode("utf-8-sig"),
        one.encode("utf-16"),
        one.replace("brief", "na\xefve").encode("latin-1"),
        one.replace("\n", "\r\n").encode(),
        one.replace("\n", "\r").encode(),
        b"{\\rtf1 " + one.encode(),
    ]


def read_label_file(raw: bytes) -> None:
    """What is read is what an untouched file with this answer says."""
    ask, answer = saved_answer.parse(raw, RUN)
    assert Ask.parse(str(ask)) == ask and 0 <= ask.ticket < 2**63
    if answer.choice is not None:
        fresh = label_file.fill(
            BLANK.replace(str(ASK), str(ask)),
            ask,
            choice=str(answer.choice),
            annotator=answer.annotator,
        )
        again = label_file.read(fresh, ask)
        assert again.choice == answer.choice
        assert again.annotator == " ".join(answer.annotator.split())
    # What stands above the rule says nothing.
    text = saved_answer.decode(raw)
    below = text.rpartition(f"your answer to {ask}")[2]
    whole = f"{BLANK.partition('# Which')[0]}your answer to {ask}{below}"
    assert label_file.read(whole, ask) == answer


@tiers
def test_label_files_changed_anyhow(tier: str, count: Count) -> None:
    """Read as what stands below the rule, or told why not."""
    target = Target(
        "label files", label_files(), of_bytes, read_label_file, (Unreadable,)
    )
    found = fuzz(target, LABELS[tier], count)
    assert found.taken > LABELS[tier] // 20


def rows() -> list[dict[str, Any]]:
    """A row of each program."""
    return [row for _, row, _ in shapes.SECOND.values()]


def dropped_files() -> list[bytes]:
    """Files of every kind."""
    lines = "".join(json.dumps(row) + "\n" for row in rows())
    own = [{"id": str(ASK), "choice": "1", "note": "a,\nb"}] * 3
    table = (
        'id,choice,note\r\n000042-9c1f0a77,1,"a, ""b""\nc"\r\n,,\n000043-9c1f0a77,2\n'
    )
    return [
        lines.encode(),
        json.dumps(rows()).encode(),
        json.dumps(rows(), indent=2).encode(),
        json.dumps(own[0]).encode(),
        "".join(json.dumps(row) + "\r\n" for row in own).encode("utf-8-sig"),
        table.encode(),
        table.replace(",", ";").encode("utf-16"),
        table.replace(",", "\t").encode(),
    ]


def read_dropped(data: bytes) -> None:
    """Every row is read or says why; an audit reads the same from its bytes."""
    name = f"x.{('json', 'jsonl', 'csv', '')[len(data) % 4]}"
    found = reading.read(name, data)
    kept, before = KeptFiles(Path()), 0
    for row in found:
        assert row.number > before, "in the order of the file"
        before = row.number
        assert (row.fields is None) == bool(row.reason)
        assert "\n" not in row.reason and len(row.raw) <= reading.MAX_ROW
        if row.fields is None:
            continue
        if found.container != "csv":
            assert repr(kept.fields(row.raw)) == repr(row.fields) or (
                found.container == "json" and kept.fields(row.raw) == row.fields
            )
        try:
            answers(row.fields)
        except Refused:
            continue


def answers(row: dict[str, Any]) -> None:
    """What is read of a row is read the same from the plainest row that says it."""
    for answer in importers.answers(row):
        choice = answer.choice
        plain = {
            "id": str(answer.ask),
            "choice": choice.word,
            "strength": 2 if choice.strong else None,
            "annotator": answer.annotator,
            "note": answer.note,
            "seconds": answer.seconds,
        }
        assert importers.answers(json.loads(json.dumps(plain))) == [answer]


@tiers
def test_dropped_files_changed_anyhow(tier: str, count: Count) -> None:
    """No file stops what reads it, and none means another thing to an audit."""
    target = Target(
        "dropped files", dropped_files(), of_bytes, read_dropped, (UnreadableFile,)
    )
    found = fuzz(target, DROPPED[tier], count)
    assert found.taken > DROPPED[tier] // 20


@tiers
def test_rows_of_other_programs_changed_anyhow(tier: str, count: Count) -> None:
    """An answer, or one line of what was read and what was expected."""

    def read(data: bytes) -> None:
        (row,) = reading.read("x.jsonl", data)
        if row.fields is None:
            raise Refused(row.reason)
        try:
            answers(row.fields)
        except Refused as error:
            assert "\n" not in str(error) and len(str(error)) < 600
            raise

    def change(chance: random.Random, tree: Any, pool: Sequence[Any]) -> Any:
        made = of_trees(*MORE[:2])(chance, tree, pool)
        return made if isinstance(made, dict) and made else tree

    target = Target(
        "rows of other programs",
        rows(),
        change,
        read,
        (Refused, UnreadableFile),
        written=as_json,
    )
    found = fuzz(target, ROWS[tier], count)
    assert found.taken > ROWS[tier] // 20


GROWING: dict[str, tuple[str, bytes]] = {
    "many empty choices": ("label", b"choice:\n" * 300_000),
    "a line of blanks": ("label", b" " * 8_000_000),
    "a line of stars": ("label", b"*" * 4_000_000 + b"x"),
    "a line of letters": ("label", b"choice" * 1_000_000),
    "rules without end": ("label", b"your answer to 0\n" * 400_000),
    "a choice of 8 MB": ("label", b"choice: " + b"1 " * 4_000_000),
    "seconds of 8 MB": ("label", b"seconds: " + b"9" * 8_000_000),
    "a head without an end": ("head", b"\n---  x" * 1_000_000),
    "ids without end": ("head", b"\nid" + b" " * 8_000_000),
    "blank lines before an object": ("x.jsonl", b"x" + b"\n" * 300_000 + b"y"),
    "a blank of many lines": ("x.jsonl", b"x" + b"\n \t" * 100_000 + b"y"),
    "many names of one kind": ("x.csv", b"n," * 500_000 + b"m\n1,2\n"),
    "many names, short rows": (
        "x.csv",
        ",".join(map(str, range(150_000))).encode() + b"\n1" * 900_000,
    ),
    "quotes in quotes": ("x.csv", b'a,b\n"' + b'""' * 4_000_000),
    "one open quote a line": ("x.csv", b'a,b\n"\n' * 50_000),
}


@pytest.mark.parametrize("name", GROWING)
def test_the_time_grows_with_the_length_and_not_with_its_square(name: str) -> None:
    """The squares would take from minutes to days, and what is sound a second or two.

    A pattern that is at it cannot be ended, so blank lines are not that many.
    """
    kind, data = GROWING[name]
    with ending(20):
        try:
            if kind == "label":
                above = BLANK.partition("choice:")[0].encode()
                saved_answer.parse(above + data, RUN)
            elif kind == "head":
                saved_answer.parse(b"---" + data, RUN)
            else:
                for _ in reading.read(kind, data):
                    pass
        except (Unreadable, UnreadableFile):
            pass


def test_a_name_with_more_digits_than_a_number_may_have_is_no_name() -> None:
    """A label file's id of 5000 digits, which Python would not even convert."""
    long = BLANK.replace(str(ASK), "9" * 5000 + "-9c1f0a77")
    with pytest.raises(Unreadable, match="cannot be told which pair"):
        saved_answer.parse(long.encode(), RUN)
