"""Dropped files as rows: the same rows, however the file was written."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from onlinedpo.journal.dropped.reading import MAX_ROW, Row, UnreadableFile, read

GOOD = {"id": "000042-9c1f0a77", "choice": "1", "note": "é, \u2028 \U0001f600"}
LINE = json.dumps(GOOD, ensure_ascii=False)


def rows(data: bytes | str, name: str = "answers") -> list[Row]:
    """All rows; each has either fields or a reason on one line."""
    found = [*read(name, data.encode() if isinstance(data, str) else data)]
    for row in found:
        assert (row.fields is None) == bool(row.reason)
        assert "\n" not in row.reason and len(row.reason) < 300
        assert len(row.raw) <= MAX_ROW
    return found


def unreadable(data: bytes | str, name: str = "answers") -> str:
    """Why nothing of a file is read."""
    with pytest.raises(UnreadableFile) as refused:
        rows(data, name)
    return str(refused.value)


def csv_of(mark: str, end: str) -> str:
    """A good row as CSV."""
    cells = [GOOD["id"], GOOD["choice"], f'"{GOOD["note"]}"']
    return mark.join(GOOD) + end + mark.join(cells) + end


WRITTEN: dict[str, Callable[[str], str]] = {
    "jsonl": lambda end: LINE + end + end + LINE + end,
    "json": lambda end: json.dumps([GOOD, GOOD], indent=1).replace("\n", end),
    "json line": lambda end: f"[{LINE},{LINE}]{end}",
    "comma": lambda end: csv_of(",", end) + csv_of(",", end).split(end)[1],
    "semicolon": lambda end: csv_of(";", end) + csv_of(";", end).split(end)[1],
    "tab": lambda end: csv_of("\t", end) + csv_of("\t", end).split(end)[1],
}


@pytest.mark.parametrize("name", ["x.json", "x.jsonl", "x.csv", "x.txt", "x"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=repr)
@pytest.mark.parametrize("form", WRITTEN)
def test_the_same_rows_are_read(form: str, end: str, encoding: str, name: str) -> None:
    """Whatever the encoding, the ends of lines, the container, and the file's name."""
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    data = mark + WRITTEN[form](end).encode(encoding)
    assert [row.fields for row in rows(data, name)] == [GOOD, GOOD]


def test_a_line_is_kept_as_it_stood() -> None:
    """Spaces and all, in the file's own encoding, without the end of the line."""
    odd = '  {"b" : 1,"a":2}  '
    first, bad, last = rows(f"{odd}\r\n\r\noops\r\n{LINE}", "x.jsonl")
    assert (first.number, first.raw) == (1, odd.encode())
    assert (bad.number, bad.raw, bad.fields) == (3, b"oops", None)
    assert (last.number, last.raw) == (4, LINE.encode())
    (wide,) = rows(odd.encode("utf-16"))
    assert wide.raw == odd.encode("utf-16-le")


def test_an_item_of_a_list_is_kept_in_one_way() -> None:
    """So that the same answer is known again when the file was laid out anew."""
    once = rows('[{"b": 1, "a": "é"}]')
    again = rows('[\n  {"a": "\\u00e9",\n   "b": 1}\n]\n')
    assert (
        [r.raw for r in once] == [r.raw for r in again] == ['{"a":"é","b":1}'.encode()]
    )


def test_one_object_is_one_row() -> None:
    """On one line or on many, whatever a line begins with."""
    assert [r.fields for r in rows(json.dumps(GOOD, indent=2))] == [GOOD]
    assert [r.fields for r in rows(LINE)] == [GOOD]
    assert [r.fields for r in rows(f'{{"data": [\n{LINE},\n{LINE}]}}')] == [
        {"data": [GOOD, GOOD]}
    ]


def test_a_field_of_csv_may_hold_lines_and_quotes() -> None:
    """The row has the number of its first line, and all its lines verbatim."""
    raw = b'1,"a ""b""\r\n\r\n,c\rd"'
    first, second = rows(b"id,note\r\n\r\n" + raw + b"\r\n2,x")
    assert (first.number, first.raw) == (3, raw)
    assert first.fields == {"id": "1", "note": 'a "b"\r\n\r\n,c\rd'}
    assert (second.number, second.raw) == (7, b"2,x")


def test_csv_that_spreadsheets_make_is_read() -> None:
    """Empty rows, cells left out or added at the end, a column without a name."""
    found = rows('"id", choice,note,\n7,1\n,,,\n8,2,n,,,\n')
    assert [(r.number, r.fields) for r in found] == [
        (2, {"id": "7", "choice": "1", "note": ""}),
        (4, {"id": "8", "choice": "2", "note": "n"}),
    ]


def test_the_same_line_twice_is_two_rows() -> None:
    """Whether it is news is not decided here."""
    assert [row.number for row in rows(f"{LINE}\n{LINE}\n")] == [1, 2]


def test_rows_can_be_gone_through_again() -> None:
    """Nothing is used up."""
    found: Any = read("x", f"{LINE}\noops\n".encode())
    assert [*found] == [*found] and found.container == "jsonl"
