"""Whatever is wrong with data: one line of what, where and why, and what to do."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.engine.data.prompts import load
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError
from tests.engine.test_data_columns import said
from tests.engine.test_data_sources import table
from tests.nobody import as_nobody
from tests.processes import onlinedpo

FINE = b'{"prompt": "Fine?"}\n'
IMAGE = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": "u"}]
CALL = {"role": "assistant", "content": "", "tool_calls": [{"id": 1}]}

# (name, content, what is told of it, what the hint has)
FILES: list[tuple[str, bytes, str, str]] = [
    ("a.jsonl", b"", "a.jsonl has no rows in it", '{"prompt":'),
    ("a.jsonl", b"\n \n", "a.jsonl has no rows in it", '{"prompt":'),
    ("a.jsonl", FINE + b"oops\n", "a.jsonl:2 is not JSON: column 1", '{"prompt":'),
    ("a.jsonl", FINE + b'{"prompt": "x', "a.jsonl:2 is not JSON: column", '{"prompt":'),
    ("a.jsonl", FINE + b"7", "a.jsonl:2 is a number, and no object", '{"prompt":'),
    ("a.jsonl", b'["Fine?"]', "a.jsonl:1 is a list, and no object", '{"prompt":'),
    ("a.jsonl", b"[" * 100_000, "a.jsonl:1 is not JSON: it is nested too", "prompt"),
    ("a.jsonl", b'{"prompt": %s}' % (b"9" * 9999), "a.jsonl:1 is not JSON", "prompt"),
    (
        "a.jsonl",
        FINE + b'{"prompt": "\xe9?"}',
        "a.jsonl:2 is not UTF-8: byte 32",
        "UTF-8",
    ),
    ("a.jsonl", "\ufeff{}".encode("utf-16-le"), "a.jsonl is UTF-16", "as UTF-8"),
    ("a.jsonl", "\ufeff{}".encode("utf-16-be"), "a.jsonl is UTF-16", "as UTF-8"),
    (
        "a.jsonl",
        '{"prompt"'.encode("utf-16-le"),
        "a.jsonl:1 holds a NUL byte",
        "UTF-16",
    ),
    ("a.jsonl", FINE + b'{"prompt": "\0"}', "a.jsonl:2 holds a NUL byte", "UTF-8"),
    ("a.jsonl", b"\x89PNG\r\n\x1a\n\0\0", "a.jsonl:1 is not UTF-8: byte 0", "UTF-8"),
    ("a.jsonl", b"{}", "a.jsonl:1 has no column 'prompt' (it has: none)", "prompt"),
    ("a.json", b"", "a.json has no rows in it", '{"prompt":'),
    ("a.json", b"[]", "a.json has no rows in it", '{"prompt":'),
    ("a.json", b'{"data": []}', "a.json has no rows in it", '{"prompt":'),
    ("a.json", b'[\n{"prompt": "x"},\n]', "a.json:3 is not JSON: column 1", "prompt"),
    ("a.json", b'[{"prompt": "x"}, ["y"]]', "a.json, row 2 is a list", "prompt"),
    ("a.json", b'{"rows": {}}', "a.json, row 1 has no column 'prompt'", "prompt"),
    ("a.json", b'"text"', "a.json is text, and no object", "prompt"),
    ("a.json", FINE + b"{}\n", "a.json:2 has no column 'prompt'", "prompt"),
    ("a.csv", b"", "a.csv has no rows in it", "prompt"),
    ("a.csv", b"prompt\n", "a.csv has no rows in it", "prompt"),
    (
        "a.csv",
        b"prompt,n\nx,1\ny,1,2\n",
        "a.csv:3 has 3 cells, but there are 2",
        "quotes",
    ),
    ("a.csv", b"prompt,n\nx,1\ny\n", "a.csv:3 has 1 cells, but there are 2", "quotes"),
    ("a.csv", b"prompt\nYes, or no?\n", "a.csv:2 has 2 cells, but there", "quotes"),
    ("a.csv", b'prompt\n"x\ny\n', "a.csv:2 is not CSV: unexpected end", "quotes"),
    ("a.csv", b'prompt,n\n"x" y,1\n', "a.csv:2 is not CSV", "quotes"),
    ("a.csv", b"prompt,prompt\nx,y\n", "a.csv:1 has the column 'prompt' twice", "name"),
    (
        "a.csv",
        b"How?\nWhy?\n",
        "a.csv:2 has no column 'prompt' (it has: How?)",
        "object",
    ),
    ("a.csv", b"prompt\nx\n\xff\n", "a.csv:3 is not UTF-8: byte 9", "UTF-8"),
    ("a.csv", b"Prompt\nx\n", "no column 'prompt' (it has: Prompt)", "'Prompt'"),
    (
        "a.csv",
        b"question,n\nx,1\n",
        "(it has: question, n)",
        "'question'? Set prompt_f",
    ),
    ("a.tsv", b"prompt\tn\nx\n", "a.tsv:2 has 1 cells", "quotes"),
    ("a.parquet", b"", "a.parquet is not Parquet, or is damaged", "JSON lines"),
    ("a.parquet", FINE, "a.parquet is not Parquet, or is damaged", "JSON lines"),
    ("a.txt", b"\n\n", "a.txt has no rows in it", "prompt"),
    ("a.txt", b"One?\n\x00\n", "a.txt:2 holds a NUL byte", "another kind"),
    ("a.xlsx", b"PK", "a.xlsx ends in .xlsx, which is no kind", "jsonl, json, csv"),
    ("a.jsonl.gz", b"\x1f\x8b", "ends in .gz, which is no kind", "jsonl, json, csv"),
]

ROWS: list[tuple[dict[str, Any], str, str]] = [
    ({"promt": "x"}, "has no column 'prompt' (it has: promt)", "'promt'? Set prompt_f"),
    ({"x\x1b[2J": 1}, "(it has: x\\x1b[2J)", "object"),
    ({"prompt": None}, "has nothing in its column 'prompt'", "object"),
    ({"prompt": ""}, "has an empty 'prompt'", "object"),
    ({"prompt": 7}, "has a 'prompt' that is neither text nor messages (int)", "object"),
    ({"prompt": {"role": "user"}}, "neither text nor messages (dict)", "object"),
    ({"prompt": []}, "has a 'prompt' without any message", "A message is"),
    ({"prompt": ["x"]}, ": message 1 of 'prompt' is no object", "A message is"),
    ({"prompt": [{"content": "x"}]}, ": message 1 of 'prompt' has no role", "message"),
    ({"prompt": [{"role": "user"}]}, "message 1 of 'prompt' has no content", "message"),
    (
        {"prompt": [{"role": "user", "content": IMAGE}]},
        "has content in parts (image_url, text), which is not text",
        "A message is",
    ),
    ({"prompt": said("user:  ")}, ": message 1 of 'prompt' is empty", "A message is"),
    ({"prompt": said("system: x")}, "has a 'prompt' without a user's turn", "message"),
    (
        {"prompt": said("user: x", "assistant: y")},
        "ends with the assistant's turn",
        "'messages'",
    ),
    ({"messages": said("system: x")}, "has 'messages' without a user's", "message"),
    ({"messages": "Hello"}, "has a 'messages' that is text", "object"),
    ({"messages": {}}, "has a 'messages' that is no list of messages", "message"),
    ({"messages": [CALL, *said("user: x")]}, "message 1 of 'messages' calls a", "cut"),
    ({"conversations": [{"from": "it", "value": ""}]}, "is from 'it'", "human, gpt"),
    ({"prompt": "x", "system": ["y"]}, "has a 'system' that is no text", "object"),
    ({"prompt": "x\ud83d"}, "prompt has half a character (\\ud83d)", "surrogate"),
]


def refused(source: Path | str, told: str, hint: str, **wanted: Any) -> None:
    """The data cannot be used, and the error is one line that says so."""
    with pytest.raises(UsageError) as caught:
        load(Settings(data=str(source), **wanted))
    assert told in str(caught.value)
    assert hint in caught.value.hint
    assert "\n" not in str(caught.value) + caught.value.hint
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("name", "content", "told", "hint"), FILES)
def test_a_bad_file_is_named(
    name: str, content: bytes, told: str, hint: str, tmp_path: Path
) -> None:
    """With the line or the byte, what is wrong there, and what would be right."""
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, told, hint)


@pytest.mark.parametrize(("row", "told", "hint"), ROWS)
def test_a_bad_row_is_named(
    row: dict[str, Any], told: str, hint: str, tmp_path: Path
) -> None:
    """With its line, and what would be right."""
    (tmp_path / "a.jsonl").write_bytes(FINE + json.dumps(row).encode())
    refused(tmp_path / "a.jsonl", told, hint)
    refused(tmp_path / "a.jsonl", "a.jsonl:2", hint)


def test_a_bad_row_of_a_table_is_named(tmp_path: Path) -> None:
    """By its number, and with all columns, also those that are not read."""
    rows = [{"prompt": "x", "n": 1}, {"prompt": "", "n": 2}]
    refused(table(tmp_path / "a.parquet", rows), "a.parquet, row 2 has an empty", "obj")
    other = [{"ask": "x", "n": 1}]
    refused(
        table(tmp_path / "b.parquet", other),
        "row 1 has no column 'prompt' (it has: ask, n)",
        "",
    )
    refused(table(tmp_path / "c.parquet", rows * 0 + other), "it has: ask, n", "")


def nothing(folder: Path) -> Path:
    """A file that is not there."""
    return folder / "nothing.jsonl"


def empty(folder: Path) -> Path:
    """A folder without data."""
    (folder / "empty").mkdir()
    return folder / "empty"


def other(folder: Path) -> Path:
    """A folder whose data has another name."""
    (folder / "prompts.jsonl").write_bytes(FINE)
    return folder


def inside_out(folder: Path) -> Path:
    """A folder in which train.jsonl is a folder."""
    (folder / "train.jsonl").mkdir()
    return folder


def loop(folder: Path) -> Path:
    """A link to itself."""
    (folder / "loop.jsonl").symlink_to(folder / "loop.jsonl")
    return folder / "loop.jsonl"


def dangling(folder: Path) -> Path:
    """A folder in which train.jsonl is a link to nothing."""
    (folder / "train.jsonl").symlink_to(folder / "gone.jsonl")
    return folder


def too_long(folder: Path) -> Path:
    """A name that no file system has."""
    return folder / ("x" * 5000)


def pipe(folder: Path) -> Path:
    """A pipe, out of which data can be read only once."""
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def bad_valid(folder: Path) -> Path:
    """A folder whose held-out data is empty."""
    (folder / "train.jsonl").write_bytes(FINE)
    (folder / "valid.jsonl").write_bytes(b"")
    return folder


PLACES: list[tuple[Callable[[Path], Path], str, str]] = [
    (nothing, "there is no file or folder", "Give a file"),
    (empty, "empty has no train.jsonl in it (it has: nothing)", "train.jsonl"),
    (other, "has no train.jsonl in it (it has: prompts.jsonl)", "train.jsonl"),
    (inside_out, "train.jsonl cannot be read: Is a directory", "Give a "),
    (loop, "loop.jsonl cannot be read: Too many levels of symbolic", "Give a "),
    (dangling, "train.jsonl cannot be read: No such file", "Give a "),
    (too_long, "cannot be read: File name too long", "Give a "),
    (pipe, "pipe is neither a file nor a folder", "save it as a file"),
    (bad_valid, "valid.jsonl has no rows in it", '{"prompt":'),
]


@pytest.mark.parametrize(("make", "told", "hint"), PLACES)
def test_a_place_without_data_is_named(
    make: Callable[[Path], Path], told: str, hint: str, tmp_path: Path
) -> None:
    """With what is there instead."""
    refused(make(tmp_path), told, hint)


def test_a_file_that_may_not_be_read_is_named() -> None:
    """Permissions are the user's to give."""
    with as_nobody() as place:
        file = place / "a.jsonl"
        file.write_bytes(FINE)
        file.chmod(0)
        refused(file, "a.jsonl cannot be read: Permission denied", "can be read")


@pytest.mark.parametrize("name", ["~nobody/x.jsonl", "a/b/c", "./org/name", "a b", ""])
def test_what_is_no_path_and_no_id_is_told(name: str) -> None:
    """Without asking the Hub."""
    refused(name, f"there is no file or folder {name!r}", "Give a ")


def test_a_line_may_be_long(tmp_path: Path) -> None:
    """Whether a prompt is too long is a matter of tokens, and told by the run."""
    text = "x" * 3_000_000
    for name in ("a.jsonl", "a.csv", "a.txt"):
        row = {"a.jsonl": json.dumps({"prompt": text}), "a.csv": f"prompt\n{text}"}
        (tmp_path / name).write_text(row.get(name, text))
        found = load(Settings(data=str(tmp_path / name)))
        assert found.train == [({"role": "user", "content": text},)]


def test_bad_data_begins_no_run(toy: Path, tmp_path: Path) -> None:
    """The process ends with code 2, two lines and no folder; nothing is traced back."""
    (tmp_path / "a.csv").write_bytes(b"question\nWhy?\n")

    done = onlinedpo(
        *("run", tmp_path / "run", "--model", toy, "--judge", toy),
        *("--data", tmp_path / "a.csv"),
    )

    assert (done.code, done.output.count("\n")) == (2, 2)
    assert "a.csv:2 has no column 'prompt' (it has: question)" in done.output
    assert not (tmp_path / "run").exists()
