"""Dropped files: their answers come in line by line, and a receipt says what became."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from onlinedpo.cli.export.command import export
from onlinedpo.states.people import tasks
from onlinedpo.states.records import Bundle, Label, Vote
from tests.engine.runs import records, steps
from tests.people.kit import Parts, Person, Stages, nothing
from tests.people.runs import drop, names, pairs, receipt, those, trained_on, work

pytestmark = pytest.mark.usefixtures("hurry")

Row = dict[str, Any]


@pytest.fixture
def waiting(human: Parts, tmp_path: Path) -> Path:
    """A run in which three pairs wait, and no process runs."""
    run = tmp_path / "run"
    work(run, Stages(), **human, iters=1)
    return run


def ids(run: Path) -> list[str]:
    """The names of the pairs."""
    return [pair.pair for pair in pairs(run).values()]


def went_on(run: Path) -> Path:
    """Let the run go on with nobody there but what was dropped; its labels folder."""
    work(run, Stages())
    return run / "labels"


def as_jsonl(rows: list[Row]) -> str:
    """One object a line."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def as_json(rows: list[Row]) -> str:
    """A list."""
    return json.dumps(rows, indent=1)


def as_csv(rows: list[Row]) -> str:
    """With a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("written", [as_jsonl, as_json, as_csv])
def test_a_dropped_file_ends_as_labels(
    written: Callable[[list[Row]], str], encoding: str, waiting: Path
) -> None:
    """In our own shape, whatever the container; the file goes to done/ as it was."""
    rows = [
        {"id": ids(waiting)[0], "choice": "strongly 1", "annotator": "Zoë"}
        | {"note": "ü"},
        {"id": ids(waiting)[1], "choice": "2", "annotator": "Zoë", "note": ""},
        {"id": ids(waiting)[2], "choice": "both bad", "annotator": "Zoë", "note": ""},
    ]
    name = f"answers.{written.__name__.removeprefix('as_')}"
    raw = written(rows).encode(encoding)
    (waiting / "labels" / "inbox" / name).write_bytes(raw)

    labels = went_on(waiting)

    votes = those(waiting, Vote)
    sides = {v.ticket: v.value for v in votes}
    ones = {"first-second": ("first", "second"), "second-first": ("second", "first")}
    assert sides[0] == ones[votes[0].shown][0]
    assert sides[1] == ones[votes[1].shown][1]
    assert sides[2] == "bad"
    assert [v.strong for v in votes] == [True, False, False]
    assert [(v.annotator, v.note, v.source) for v in votes][:2] == [
        ("Zoë", "ü", "file"),
        ("Zoë", "", "file"),
    ]
    assert {r.source for r in those(waiting, Label)} == {"file"}
    assert trained_on(waiting) == [{0: sides[0], 1: sides[1]}]
    assert (labels / "done" / name).read_bytes() == raw
    assert names(labels / "inbox") == names(labels / "todo") == []
    assert "3 answers were taken in" in receipt(labels, name)
    assert "could not be used" not in receipt(labels, name)


def test_a_receipt_names_each_bad_line_and_why(waiting: Path) -> None:
    """The good ones among them count all the same."""
    one, two, three = ids(waiting)
    other = f"{two[:-1]}{'0' if two[-1] != '0' else '1'}"
    lines = [
        json.dumps({"id": one, "choice": "1"}),
        '{"id": broken',
        json.dumps({"id": "000099-12345678", "choice": "1"}),
        json.dumps({"id": other, "choice": "1"}),
        "",
        json.dumps({"id": two, "choice": "maybe"}),
        json.dumps({"id": "../../../etc/passwd", "choice": "1"}),
        json.dumps({"id": f"{two}/../{three}", "choice": "1"}),
        json.dumps({"id": f"{two}.99/x", "choice": "1"}),
        json.dumps({"choice": "1"}),
        json.dumps({"colour": "red"}),
        json.dumps({"id": three, "choice": "2"}),
        json.dumps({"id": two, "choice": ""}),
    ]
    (waiting / "labels" / "inbox" / "mixed.jsonl").write_text("\n".join(lines))

    labels = went_on(waiting)

    told = receipt(labels, "mixed.jsonl")
    reasons = {
        2: "is no JSON",
        3: "there is no pair 000099-12345678 in this run",
        4: f"pair 1 of this run is {two}, not {other}",
        6: "choice is 'maybe'",
        7: "'../../../etc/passwd'",
        8: "names no pair",
        9: "names no pair",
        10: "no pair is named",
        11: "no known program",
    }
    for number, reason in reasons.items():
        (line,) = [row for row in told.split("\n") if f"line {number}:" in row]
        assert reason in line
    assert "2 answers were taken in" in told
    assert "1 hold no answer yet" in told
    assert f"{len(reasons)} could not be used" in told
    assert {v.ticket for v in those(waiting, Vote)} == {0, 2}
    (bundle,) = those(waiting, Bundle)
    assert [number for number, _ in bundle.refused] == sorted(reasons)
    # Nothing was written outside.
    assert names(labels) == ["done", "guidelines.md", "inbox", "todo"]
    assert names(labels / "todo") == [f"{two}.md"]


def test_the_same_file_twice_says_nothing_new(waiting: Path) -> None:
    """Under its name or another; all are kept, each with a receipt."""
    row = {"id": ids(waiting)[0], "choice": "1", "annotator": "ann"}
    drop(waiting / "labels", "a.jsonl", row)
    went_on(waiting)
    drop(waiting / "labels", "a.jsonl", row)
    drop(waiting / "labels", "b.jsonl", row)

    labels = went_on(waiting)

    assert len(those(waiting, Vote)) == 1
    kept = ["a-2.jsonl", "a.jsonl", "b.jsonl"]
    assert [n for n in names(labels / "done") if not n.endswith("receipt")] == kept
    assert names(labels / "inbox") == []
    assert "nothing in it is new" in receipt(labels, "a-2.jsonl")
    assert "1 said what was known already" in receipt(labels, "b.jsonl")
    assert "0 answers were taken in" in receipt(labels, "b.jsonl")


@pytest.mark.parametrize("place", ["inbox", "done"])
def test_a_receipt_that_a_crash_came_before_is_written_later(
    place: str, waiting: Path
) -> None:
    """The answers were journalled, and then it was not said which line is bad."""
    row = {"id": ids(waiting)[0], "choice": "1", "annotator": "ann"}
    drop(waiting / "labels", "a.jsonl", row, {"id": "x", "choice": "1"})
    labels = went_on(waiting)
    told = receipt(labels, "a.jsonl")
    assert "line 2: " in told
    (labels / "done" / "a.jsonl.receipt").unlink()
    (labels / "done" / "a.jsonl").rename(labels / place / "a.jsonl")

    went_on(waiting)

    assert receipt(labels, "a.jsonl") == told
    assert names(labels / "inbox") == []
    assert len(those(waiting, Vote)) == len(those(waiting, Bundle)) == 1


def test_a_file_of_no_use_is_told_of_though_a_crash_came(waiting: Path) -> None:
    """It lies where it was dropped, and so does what is said of it."""
    drop(waiting / "labels", "a.jsonl", {"id": "x", "choice": "1"})
    labels = went_on(waiting)
    told = (labels / "inbox" / "a.jsonl.receipt").read_text()
    (labels / "inbox" / "a.jsonl.receipt").unlink()

    went_on(waiting)

    assert (labels / "inbox" / "a.jsonl.receipt").read_text() == told


def test_a_changed_file_of_the_same_name_is_read_anew(waiting: Path) -> None:
    """As programs do that export everything each time."""
    one, two, _ = ids(waiting)
    drop(waiting / "labels", "all.jsonl", {"id": one, "choice": "1"})
    went_on(waiting)
    drop(
        *(waiting / "labels", "all.jsonl"),
        {"id": one, "choice": "1"},
        {"id": two, "choice": "2"},
    )

    labels = went_on(waiting)

    assert [v.ticket for v in those(waiting, Vote)] == [0, 1]
    assert "1 answers were taken in" in receipt(labels, "all-2.jsonl")
    assert "1 said what was known already" in receipt(labels, "all-2.jsonl")


def test_a_line_corrects_an_earlier_one(waiting: Path) -> None:
    """The last line on a pair by the same person counts, and undo takes it back."""
    one, two, _ = ids(waiting)
    drop(
        *(waiting / "labels", "a.jsonl"),
        {"id": one, "choice": "1", "annotator": "ann"},
        {"id": one, "choice": "tie", "annotator": "ann"},
        {"id": two, "choice": "1", "annotator": "ann"},
        {"id": two, "choice": "undo", "annotator": "ann"},
    )

    labels = went_on(waiting)

    assert [v.value for v in those(waiting, Vote) if v.ticket == 0][-1] == "tie"
    assert [(r.ticket, r.reason) for r in those(waiting, Label)] == [(0, "tie")]
    assert f"{two}.md" in names(labels / "todo")
    assert f"{one}.md" not in names(labels / "todo")


def test_an_answer_that_comes_too_late_is_kept(waiting: Path) -> None:
    """It counts as taken in; the run that has ended is not changed by it."""
    work(waiting, Person())
    drop(waiting / "labels", "late.jsonl", {"id": ids(waiting)[0], "choice": "tie"})
    before = len(steps(waiting))

    ended = work(waiting, Person(nothing))

    assert ended.ledger.late == 1
    assert "1 answers were taken in" in receipt(waiting / "labels", "late.jsonl")
    assert len(steps(waiting)) == before == 1


def test_two_people_in_one_file_take_two_slots(human: Parts, tmp_path: Path) -> None:
    """Under the pair's bare name; a second line of one person takes their own slot."""
    run = tmp_path / "run"
    work(run, Stages(), **human, iters=1, overlap=1.0, resolve="majority")
    one, two, _ = ids(run)
    drop(
        *(run / "labels", "both.jsonl"),
        {"id": one, "choice": "tie", "annotator": "ann"},
        {"id": one, "choice": "1", "annotator": "bob"},
        {"id": one, "choice": "tie", "annotator": "bob"},
        {"id": two, "choice": "1", "annotator": "ann"},
        {"id": two, "choice": "tie", "annotator": "ann"},
        {"id": f"{two}.2", "choice": "tie", "annotator": "bob"},
    )

    labels = went_on(run)

    votes = [(v.ticket, v.slot, v.annotator) for v in those(run, Vote)]
    assert votes == [
        *((0, 1, "ann"), (0, 2, "bob"), (0, 2, "bob")),
        *((1, 1, "ann"), (1, 1, "ann"), (1, 2, "bob")),
    ]
    assert [(r.ticket, r.reason) for r in those(run, Label)] == [(0, "tie"), (1, "tie")]
    assert len(names(labels / "todo")) == 2


USELESS = {
    "hello.txt": (b"hello", "is no JSON, and no CSV either"),
    "empty.jsonl": (b"", "is empty"),
    "latin.csv": (b"id;choice\nZo\xeb;1\n", "is neither UTF-8 nor UTF-16"),
    "half.json": (b'[{"id": "000000-00000000", "choice"', "is no JSON"),
    "other.jsonl": (b'{"id": "000099-12345678", "choice": "1"}\n', "line 1: there is"),
    "blank.csv": (b"id,choice\n", "0 answers were taken in"),
}


@pytest.mark.parametrize("name", USELESS)
def test_a_file_of_no_use_stays_with_its_receipt(name: str, waiting: Path) -> None:
    """It is not moved, not changed, and not read again until it is mended."""
    raw, reason = USELESS[name]
    path = waiting / "labels" / "inbox" / name
    path.write_bytes(raw)
    labels = went_on(waiting)
    first = len(those(waiting, Bundle))
    labels = went_on(waiting)

    assert first == len(those(waiting, Bundle)) == 1
    assert path.read_bytes() == raw
    assert names(labels / "inbox") == [name, f"{name}.receipt"]
    told = (labels / "inbox" / f"{name}.receipt").read_text()
    assert reason in told
    assert "Mend the file and save it, or remove it" in told
    assert those(waiting, Vote) == []

    path.write_text(json.dumps({"id": ids(waiting)[0], "choice": "1"}))
    labels = went_on(waiting)

    assert len(those(waiting, Vote)) == 1
    # Also the receipt that does not hold any more is gone.
    assert names(labels / "inbox") == []
    assert "1 answers were taken in" in receipt(labels, name)


# -- exports and back -------------------------------------------------------------


def filled(row: Row, format: str) -> Row:
    """A task of a program, answered there: the first response is better."""
    answers: dict[str, Row] = {
        "jsonl": {"choice": "1", "annotator": "ann"},
        "csv": {"choice": "1", "annotator": "ann"},
        "label-studio": {
            "annotations": [
                {
                    "completed_by": {"id": 3, "email": "ann"},
                    "was_cancelled": False,
                    "result": [
                        {
                            "from_name": "comparison",
                            "type": "pairwise",
                            "value": {"selected": "left"},
                        }
                    ],
                }
            ]
        },
        "argilla": {
            "responses": {
                "preference": [
                    {"value": "response1", "user_id": "ann", "status": "submitted"}
                ]
            }
        },
        "prodigy": {"answer": "accept", "accept": ["1"], "_annotator_id": "ann"},
        "arena": {"winner": "model_a", "judge": "ann"},
    }
    return {**row, **answers[format]}


@pytest.mark.parametrize("format", tasks.FORMATS)
def test_what_is_exported_comes_back_answered(format: str, waiting: Path) -> None:
    """Through each program's own shape: all say that what was shown first is better."""
    path = waiting.parent / "tasks"
    done = CliRunner().invoke(
        export, [str(waiting), "--pending", "--format", format, "-o", str(path)]
    )
    assert done.exit_code == 0, done.output
    text = path.read_text("utf-8-sig")
    if format == "csv":
        rows: list[Row] = list(csv.DictReader(io.StringIO(text, newline="")))
        back = as_csv([filled(row, format) for row in rows])
    elif text.startswith("["):
        rows = json.loads(text)
        back = as_json([filled(row, format) for row in rows])
    else:
        rows = [json.loads(line) for line in text.split("\n") if line]
        back = as_jsonl([filled(row, format) for row in rows])
    (waiting / "labels" / "inbox" / "back").write_text(back, newline="")

    labels = went_on(waiting)

    assert len(rows) == 3
    votes = those(waiting, Vote)
    assert [(v.ticket, v.annotator) for v in votes] == [(t, "ann") for t in range(3)]
    assert all(v.shown.startswith(v.value) for v in votes)
    assert "3 answers were taken in" in receipt(labels, "back")
    assert those(waiting, Bundle)[0].format
    assert len(steps(waiting)) == 1


def test_an_export_that_nobody_answered_holds_no_answer(waiting: Path) -> None:
    """Dropped as it is, it stays, and its receipt says so."""
    path = waiting / "labels" / "inbox" / "tasks.jsonl"
    CliRunner().invoke(export, [str(waiting), "--pending", "-o", str(path)])

    labels = went_on(waiting)

    assert those(waiting, Vote) == []
    assert "3 hold no answer yet" in path.with_name("tasks.jsonl.receipt").read_text()
    assert len(names(labels / "todo")) == 3
    assert len(records(waiting)) > 0
