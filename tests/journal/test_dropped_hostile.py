"""Dropped files that are broken or hostile: each says why, soon, in little memory."""

from __future__ import annotations

import tracemalloc

import pytest

from onlinedpo.journal.dropped.reading import MAX_FILE, MAX_ROW, read
from tests.crash.fuzzing.fuzz import ending
from tests.journal.test_dropped import GOOD, LINE, rows, unreadable

BOMB = "[" * 200_000
BAD: dict[str, tuple[str, str]] = {
    "a list": ("[1]", "no object"),
    "a number": ("17", "no object"),
    "cut off": ('{"id": "0000', "column 8"),
    "two on a line": (LINE + LINE, "Extra data"),
    "a bomb": (f'{{"a": {BOMB}', "too deeply"),
    "a closed bomb": (f'{{"a": {BOMB}{"]" * 200_000}}}', "too deeply"),
    "a huge number": ('{"a": ' + "9" * 5000 + "}", "5000 digits"),
    "a large float": ('{"a": 1e999}', "too large"),
    "no number": ('{"a": [NaN]}', "NaN"),
    "infinity": ('{"a": -Infinity}', "-Infinity"),
    "a key twice": ('{"a": {"choice": 1, "choice": 2}}', "'choice' twice"),
    "half a character": ('{"a": "\\ud83d"}', "half a character"),
    "a raw control character": ('{"a": "\x1b"}', "control character"),
    "too long": (f'{{"a": "{"x" * MAX_ROW}"}}', "longer than 1 MB"),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_line_does_not_stop_the_others(bad: str) -> None:
    """It is numbered, with the reason."""
    line, says = BAD[bad]
    first, broken, last = rows(f"{LINE}\n{line}\n{LINE}\n")
    assert (first.fields, last.fields, last.number) == (GOOD, GOOD, 3)
    assert broken.number == 2 and says in broken.reason


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_first_line_does_not_stop_the_others(bad: str) -> None:
    """Even where it does not begin like JSON, if the file's name says what it is."""
    line, says = BAD[bad]
    first, last = rows(f"{line}\n{LINE}\n", "x.jsonl")
    assert says in first.reason and last.fields == GOOD
    if line.startswith(("{", "[")) and not line.endswith("["):
        first, last = rows(f"{line}\n{LINE}\n")
        assert says in first.reason and last.fields == GOOD


@pytest.mark.parametrize(
    "bad",
    [b for b in BAD if b not in ("cut off", "two on a line") and "control" not in b],
)
def test_a_bad_item_does_not_stop_the_others(bad: str) -> None:
    """Unless the list does not parse; then nothing of it is taken."""
    line, says = BAD[bad]
    text = f"[{LINE},\n {line},\n {LINE}]"
    if "bomb" in bad:
        assert "line 2, column 2" in unreadable(text)
        return
    first, broken, last = rows(text)
    assert (first.fields, last.fields, last.number) == (GOOD, GOOD, 3)
    assert broken.number == 2 and says in broken.reason


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (f"[{LINE},\n{LINE}", "line 2, column"),
        (f"[{LINE},\n]", "line 2, column 1"),
        (f"[\n{LINE}\n{LINE}]", "line 3, column 1"),
        (f"[\n{LINE}\n]\noops", "line 4, column 1"),
        ('{\n  "id": "x",\n  choice: 1\n}', "line 3, column 3"),
        (BOMB, "too deeply"),
        ("[", "line 1, column 2"),
    ],
)
def test_json_that_breaks_off_is_not_read_at_all(text: str, where: str) -> None:
    """The place of the error is told by line and column."""
    assert where in unreadable(text)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf \r\n", "empty"),
        (b"\xff\xfe", "empty"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "byte 0 is 0x89"),
        (b"id,choice\nx\x00y,1", "NUL"),
        ('{"a": 1}'.encode("utf-16-le"), "NUL"),
        (LINE.encode("latin-1", "replace"), "neither UTF-8 nor UTF-16"),
        (b"\xff\xfe{\x00x", "neither"),
        (b"\xff\xfe\x00\xd8", "neither"),
        (LINE.encode("utf-32"), "NUL"),
        (b"PK\x03\x04\x14\x00\x06", "NUL"),
        (b"Dear all\n\nsee below\n", "no comma"),
        (b"id,choice,id\n1,2,3\n", "'id' twice"),
        (b'"id,choice\n1,2\n', "no CSV"),
        (b"\n" * 5000 + b"id,choice\n", "no CSV"),
    ],
    ids=lambda value: repr(value[:16]),
)
def test_what_is_no_such_file_is_unreadable(data: bytes, says: str) -> None:
    """And the message says what to do, where something can be done."""
    assert says in unreadable(data)


def test_a_bad_row_of_csv_does_not_stop_the_others() -> None:
    """A stray quote, too many cells, a cell that is too long."""
    long = "x" * (MAX_ROW + 1)
    text = f'id,choice\n1,"a"b\n2,2,3\n3,{long}\n4,"{long}"\n5,1\n6,"open\n7,1\n'
    found = [(row.number, bool(row.fields)) for row in rows(text)]
    assert found == [
        (2, False),
        (3, False),
        (4, False),
        (5, False),
        (6, True),
        (7, False),
    ]
    (fine,) = [row.fields for row in rows('id,n\n1,"' + "x" * 500_000 + '"\n')]
    assert fine and len(fine["n"]) == 500_000


@pytest.mark.parametrize(
    ("start", "piece", "count", "says"),
    [
        (b"[", b"{},", MAX_FILE // 3 + 1, "larger than 64 MB"),
        (b"", b"{}\n", 1_000_001, "more than 1,000,000 lines"),
        (b"id,choice", b"\r", 1_000_001, "more than 1,000,000 lines"),
        (b"[[", b"[],", 4_000_000, "more than 4,000,000 lists"),
    ],
)
def test_what_would_be_too_much_is_unreadable(
    start: bytes, piece: bytes, count: int, says: str
) -> None:
    """Told from the bytes, before anything is made of them."""
    assert says in unreadable(start + piece * count)


def test_a_row_of_a_million_cells_costs_little_memory() -> None:
    """It is too long, so its cells are not made."""
    found = read("x.csv", b"id,choice\n" + b"," * 2**22 + b"\n1,2\n")
    tracemalloc.start()
    long, good = found
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "longer than 1 MB" in long.reason and good.fields == {
        "id": "1",
        "choice": "2",
    }
    assert peak < 2**23


def test_a_line_of_200_mb_costs_little() -> None:
    """The file is refused by its size, before it is looked at."""
    data = b"{" * 200 * 2**20
    with ending(5):
        assert "larger than 64 MB" in unreadable(data)


@pytest.mark.parametrize("name", ["x.jsonl", "x.csv", "x.json"])
def test_a_line_as_long_as_a_file_may_be_costs_little(name: str) -> None:
    """It is refused by itself, and the next one is read."""
    line = b'{"a": "' + b"x" * (MAX_FILE - 1000) + b'"}\n'
    head = {"x.jsonl": b"", "x.csv": b"id,choice\n", "x.json": b"["}[name]
    tail = {"x.jsonl": LINE, "x.csv": "1,2", "x.json": f",{LINE}]"}[name]
    data = head + line + tail.encode()
    with ending(30):
        long, good = rows(data, name)
    assert "longer than 1 MB" in long.reason and len(long.raw) == MAX_ROW
    assert good.fields in (GOOD, {"id": "1", "choice": "2"})


@pytest.mark.parametrize("text", ["\n", "{}\n", "[]\n", '"\n', ",\n"], ids=repr)
def test_many_short_lines_cost_little_memory(text: str) -> None:
    """Rows are made one at a time: of 20,000, few are in memory at once."""
    found = read("x.jsonl", f"{LINE}\n{text * 20_000}".encode())
    assert next(iter(found)).fields == GOOD
    tracemalloc.start()
    count = sum(1 for _ in found)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count in (1, 20_001) and peak < 2**17
