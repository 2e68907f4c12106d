"""Hostile data: every format that is read, changed anyhow."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from onlinedpo.engine.data import pairs, prompts
from onlinedpo.engine.data.files import csv_rows
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError
from tests.conftest import Count
from tests.crash.fuzzing.fuzz import MEMORY, Target, ending, fuzz, tiers
from tests.crash.fuzzing.fuzz_changes import MORE, as_json, of_bytes, of_trees

FILES = {"quick": 100, "full": 1_500}
ROWS = {"quick": 300, "full": 4_000}

CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Why?"},
    {"role": "assistant", "content": "So."},
]
SAID: list[dict[str, Any]] = [
    {"prompt": "How do I boil an egg?", "system": "s", "chosen": "a", "rejected": "b"},
    {
        "prompt": CHAT[:2],
        "chosen": CHAT[2:],
        "rejected": [{**CHAT[2], "content": "No"}],
    },
    {"messages": CHAT, "chosen": "x", "rejected": "y"},
    {"conversations": [{"from": "human", "value": "Hm?"}]},
    {"chosen": CHAT, "rejected": [*CHAT[:2], {**CHAT[2], "content": "No"}]},
]


def tables() -> dict[str, bytes]:
    """A small file of each kind."""
    lines = "".join(json.dumps(row) + "\n" for row in SAID).encode()
    flat = [{"prompt": f"Why {n}?\n", "chosen": "a", "rejected": '"b"'} for n in "12"]
    made = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(flat), made)
    table = b'prompt,chosen,rejected\r\n"Why, 1?\n",a,"""b"""\r\n"2",c,d\r\n'
    return {
        "jsonl": lines,
        "json": json.dumps({"data": SAID}).encode(),
        "csv": table,
        "tsv": table.replace(b",", b"\t"),
        "txt": b"One?\n\n Two?\xe2\x80\xa8\r\nThree?",
        "parquet": made.getvalue(),
    }


class Loading:
    """Loads a file as prompts and as pairs."""

    def __init__(self, path: Path) -> None:
        self.path, self.again = path, path.with_name("again.jsonl")
        # To make settings takes longer than to read a small file.
        self.one, self.other = (
            Settings(data=str(p), offline_pairs=str(p), val_prompts=0)
            for p in (self.path, self.again)
        )

    def __call__(self, data: bytes) -> None:
        """What is taken is the same when it is written plainly."""
        self.path.write_bytes(data)
        refused: list[UsageError] = []
        for check in (self.prompts, self.pairs):
            try:
                check()
            except UsageError as error:
                assert "\n" not in str(error) and error.hint
                assert self.path.name in str(error)
                refused.append(error)
        if len(refused) == 2:
            raise refused[0]

    def prompts(self) -> None:
        """Each prompt is a conversation."""
        found = prompts.load(self.one)
        self.write([{"prompt": messages} for messages in found.train])
        assert prompts.load(self.other) == found
        assert found.describe()["train"] == len(found.train)

    def pairs(self) -> None:
        """Each pair is two texts after a conversation."""
        found = pairs.load_pairs(self.one)
        self.write(
            {"prompt": p.messages, "chosen": p.chosen, "rejected": p.rejected}
            for p in found
        )
        assert pairs.load_pairs(self.other) == found

    def write(self, rows: Iterable[Any]) -> None:
        """Rows as JSON lines."""
        self.again.write_text("".join(json.dumps(row) + "\n" for row in rows))


@tiers
@pytest.mark.parametrize("kind", tables())
def test_data_files_changed_anyhow(
    kind: str, tier: str, tmp_path: Path, count: Count
) -> None:
    """Refused in one line that names the file, or read as what it says."""
    read = Loading(tmp_path / f"x.{kind}")
    target = Target(f"{kind} files", [tables()[kind]], of_bytes, read, (UsageError,))
    found = fuzz(target, FILES[tier], count)
    assert found.taken > 3
    # Arrow's memory is not Python's.
    assert pyarrow.default_memory_pool().max_memory() < MEMORY


@tiers
def test_rows_of_data_changed_anyhow(tier: str, tmp_path: Path, count: Count) -> None:
    """Other types, half characters, numbers without end, anything within anything."""
    read = Loading(tmp_path / "x.jsonl")
    target = Target(
        "rows of data",
        [[row] for row in SAID],
        of_trees(*MORE[:1]),
        read,
        (UsageError,),
        written=lambda tree: as_json(tree[0] if tree and type(tree) is list else {}),
    )
    fuzz(target, ROWS[tier], count)


def test_a_role_with_half_a_character_is_refused(tmp_path: Path) -> None:
    """A chat template could not be made of it."""
    path = tmp_path / "x.jsonl"
    path.write_text('{"prompt": [{"role": "us\\ud83der", "content": "x"}]}')
    with pytest.raises(UsageError, match="half a character"):
        prompts.load(Settings(data=str(path)))


def test_text_of_parquet_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Arrow gives bytes that are no UTF-8 as they stand."""
    array = pyarrow.array([b"\xff\xfe"], type=pyarrow.binary()).view(pyarrow.string())
    path = tmp_path / "x.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"prompt": array}), path)
    with pytest.raises(UsageError, match="is damaged"):
        prompts.load(Settings(data=str(path)))


def test_a_header_of_many_columns_costs_little(tmp_path: Path) -> None:
    """Half a million names, two of which are the same."""
    path = tmp_path / "x.csv"
    path.write_text(",".join(map(str, range(500_000))) + ",7\n1\n")
    with pytest.raises(UsageError, match="'7' twice"), ending():
        [*csv_rows(path)]
