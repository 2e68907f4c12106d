"""Where prompts may come from: files of every kind, folders, data sets."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import pyarrow
import pyarrow.parquet
import pytest

from onlinedpo.engine.data.prompts import Prompts, load
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError
from onlinedpo.states.records import Messages

WORDS = ["One?", 'Say "two", please', "Ünd drei,\nin two lines? 世界", "Four\u2028?"]


def asked(text: str) -> Messages:
    """A prompt that is this text."""
    return ({"role": "user", "content": text},)


def rows(count: int, what: str = "Question") -> list[dict[str, Any]]:
    """Rows with a prompt each, and a column that nobody asked for."""
    return [{"prompt": f"{what} {i}?", "answer": i} for i in range(count)]


def lines(path: Path, values: Sequence[Any]) -> Path:
    """A file with a JSON value a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return path


def table(path: Path, values: Sequence[dict[str, Any]], mark: str = ",") -> Path:
    """A CSV file, or a Parquet file by its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(values)), path)
        return path
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(values[0]), delimiter=mark)
        writer.writeheader()
        writer.writerows(values)
    return path


def found(source: Path | str, **wanted: Any) -> Prompts:
    """The prompts of a file, folder or id; none is held out unless asked for."""
    return load(Settings(**{"data": str(source), "val_prompts": 0, **wanted}))


def test_every_kind_of_file_holds_the_same_prompts(tmp_path: Path) -> None:
    """The same to the byte: a run may go on after its data was converted."""
    values: list[dict[str, Any]] = [{"n": "1", "prompt": w, "a": ""} for w in WORDS]
    text = json.dumps(values)
    files = [
        lines(tmp_path / "a.jsonl", values),
        lines(tmp_path / "a.ndjson", values),
        lines(tmp_path / "no-suffix", values),
        lines(tmp_path / "lines.json", values),
        table(tmp_path / "a.csv", values),
        table(tmp_path / "semicolons.csv", values, ";"),
        table(tmp_path / "tabs.csv", values, "\t"),
        table(tmp_path / "a.tsv", values, "\t"),
        table(tmp_path / "A.PARQUET".lower(), values),
    ]
    for name, content in (("list", text), ("data", f'{{"data": {text}}}')):
        (tmp_path / f"{name}.JSON").write_text(content)
        files.append(tmp_path / f"{name}.JSON")

    digests = {str(file): found(file).describe()["train_digest"] for file in files}

    whole = json.dumps([asked(word) for word in WORDS]).encode()
    assert set(digests.values()) == {hashlib.sha256(whole).hexdigest()}


def test_a_text_file_holds_a_prompt_a_line(tmp_path: Path) -> None:
    """Blank lines are none; a prompt may stand there twice."""
    file = tmp_path / "prompts.txt"
    file.write_bytes("\ufeffOne?\r\n\r\n   \n Two, or \u2028 three?\t\nOne?".encode())

    expected = [asked("One?"), asked("Two, or \u2028 three?"), asked("One?")]
    assert found(file).train == expected
    assert found(file, prompt_feature="question").train == expected


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_spreadsheet_may_have_saved_it(end: str, tmp_path: Path) -> None:
    """With a byte order mark, any line ends, and blank lines."""
    file = tmp_path / "prompts.csv"
    text = end.join(['" prompt",n', '"One,', 'two?",1', "", ",", 'Three "3"?,2', ""])
    file.write_bytes(("\ufeff" + text).encode())

    with pytest.raises(UsageError, match=r"prompts\.csv:7 has an empty 'prompt'"):
        file.write_bytes(("\ufeff" + text + '"",3').encode())
        found(file)
    file.write_bytes(("\ufeff" + text).encode())
    assert found(file).train == [asked(f"One,{end}two?"), asked('Three "3"?')]


def test_one_object_is_one_row(tmp_path: Path) -> None:
    """JSON need not be a list."""
    file = tmp_path / "one.json"
    file.write_text('{\n  "prompt": "One?"\n}')

    assert found(file).train == [asked("One?")]


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "tsv", "parquet", "txt"])
def test_a_folder_has_files_to_train_on_and_to_hold_out(
    kind: str, tmp_path: Path
) -> None:
    """As mlx-lm has them, in any kind of file; test files are left alone."""
    for name, count in (("train", 20), ("valid", 5), ("test", 1)):
        path = tmp_path / f"{name}.{kind}"
        if kind in ("csv", "tsv", "parquet"):
            table(path, rows(count, name), "\t" if kind == "tsv" else ",")
        elif kind == "txt":
            path.write_text("".join(f"{row['prompt']}\n" for row in rows(count, name)))
        else:
            lines(path, rows(count, name))

    assert found(tmp_path, val_prompts=3) == Prompts(
        [asked(f"train {i}?") for i in range(20)],
        [asked(f"valid {i}?") for i in range(3)],
    )


def test_of_two_files_the_one_that_mlx_lm_reads_counts(tmp_path: Path) -> None:
    """train.jsonl, whatever else it was made of lies beside it."""
    table(tmp_path / "train.csv", rows(3, "made of"))
    lines(tmp_path / "train.jsonl", rows(2))

    assert found(tmp_path).train == [asked("Question 0?"), asked("Question 1?")]


def test_what_datasets_saved_to_disk_is_read(tmp_path: Path) -> None:
    """One split, or several under their names."""
    train, valid = (
        datasets.Dataset.from_list(rows(n, what)) for n, what in ((4, "a"), (2, "b"))
    )
    train.save_to_disk(str(tmp_path / "one"))
    both = datasets.DatasetDict({"train": train, "validation": valid})
    both.save_to_disk(str(tmp_path / "both"))

    assert [p[0]["content"] for p in found(tmp_path / "one").train] == [
        f"a {i}?" for i in range(4)
    ]
    assert found(tmp_path / "both", val_prompts=9).held_out == [
        asked("b 0?"),
        asked("b 1?"),
    ]


def test_a_row_has_only_the_columns_that_are_read(tmp_path: Path) -> None:
    """A table of pictures is not decoded for the sake of its prompts."""
    image = {"bytes": b"no picture", "path": None}
    plain = datasets.Dataset.from_list([{"prompt": "What is it?", "image": image}])
    images = plain.cast_column("image", datasets.Image())
    images.save_to_disk(str(tmp_path / "images"))

    assert found(tmp_path / "images").train == [asked("What is it?")]


# -- hf_dataset --------------------------------------------------------------------


def block(path: Path, **keys: Any) -> dict[str, Any]:
    """A block that loads a file as mlx-lm's `load_dataset` would."""
    return {"path": "json", "config": {"data_files": str(path)}, **keys}


def test_a_block_has_mlx_lms_splits(tmp_path: Path) -> None:
    """Four fifths are trained on, the last tenth is held out; or slices one names."""
    file = lines(tmp_path / "rows.jsonl", rows(20))
    sliced = {"train_split": "train[2:4]", "valid_split": "train[:50%]"}

    plain = found("unused", hf_dataset=block(file), val_prompts=64)
    named = found("unused", hf_dataset=block(file, **sliced), val_prompts=64)

    texts = [asked(row["prompt"]) for row in rows(20)]
    assert (plain.train, plain.held_out) == (texts[:16], texts[18:])
    assert (named.train, named.held_out) == (texts[2:4], texts[:10])


def test_no_prompt_is_trained_on_and_held_out(tmp_path: Path) -> None:
    """mlx-lm's default valid split would lie within a train split that one names."""
    file = lines(tmp_path / "rows.jsonl", rows(20))

    split = found("x", hf_dataset=block(file, train_split="train"), val_prompts=64)

    assert (len(split.train), len(split.held_out)) == (18, 2)
    assert not [p for p in split.held_out if p in split.train]


def test_what_is_held_out_is_of_all_blocks(tmp_path: Path) -> None:
    """Their valid splits, if each has one; else the seed draws from all of them."""
    a, b = (lines(tmp_path / f"{x}.jsonl", rows(10, x)) for x in "ab")
    slices = {"train_split": "train[:9]", "valid_split": "train[9:]"}

    each = found(
        "x", hf_dataset=[block(a, **slices), block(b, **slices)], val_prompts=9
    )
    some = [block(a, **slices), block(b, train_split="train")]
    drawn = found("x", hf_dataset=some, val_prompts=9)

    assert each.held_out == [asked("a 9?"), asked("b 9?")]
    assert (len(drawn.train), len(drawn.held_out)) == (18, 1)
    assert drawn.held_out != [asked("a 9?")]


def test_blocks_are_joined_each_with_columns_of_its_own(tmp_path: Path) -> None:
    """A list of blocks is one data set, in the order of the list."""
    first = lines(tmp_path / "a.jsonl", [{"question": "A?", "prompt": "no"}])
    turns = [{"role": "user", "content": "B?"}, {"role": "assistant", "content": "b"}]
    second = lines(tmp_path / "b.jsonl", [{"turns": turns, "sys": "Be kind."}])
    blocks = [
        block(first, train_split="train", prompt_feature="question"),
        block(second, train_split="train", chat_feature="turns", system_feature="sys"),
    ]

    assert found("x", hf_dataset=blocks).train == [
        asked("A?"),
        ({"role": "system", "content": "Be kind."}, *asked("B?")),
    ]


@pytest.mark.parametrize(
    ("value", "told", "hint"),
    [
        (
            {"path": "a/b", "promt_feature": "q"},
            "key 'promt_feature'",
            "prompt_feature",
        ),
        ({"train_split": "train"}, "no path", "path: ORG/NAME"),
        ([], "empty list", "path: ORG/NAME"),
        ([{"path": "a/b"}, "c/d"], "not a mapping", "hf_dataset"),
        ({"path": "a/b", "config": 7}, "config is 7", "path: ORG/NAME"),
        ({"path": 7}, "path is 7", "path: ORG/NAME"),
        (
            {"path": "a/b", "config": {"token": "x"}},
            "cannot have 'token'",
            "auth login",
        ),
        (
            {"path": "a/b", "config": {"split": "x"}},
            "cannot have 'split'",
            "train_split",
        ),
        ("a/b", "not a mapping", "hf_dataset"),
    ],
)
def test_a_block_that_is_none_is_refused(value: Any, told: str, hint: str) -> None:
    """Before anything is loaded, with the nearest name of a key."""
    with pytest.raises(UsageError, match=told) as caught:
        Settings(hf_dataset=value)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("keys", "arguments"),
    [
        ({"name": "main"}, {"name": "main"}),
        ({"config": "main"}, {"name": "main"}),
        ({"config": {"name": "main"}}, {"name": "main"}),
        ({"revision": "v1"}, {"revision": "v1"}),
        ({"completion_feature": "a", "mask_prompt": True, "test_split": "test"}, {}),
    ],
)
def test_what_other_trainers_write_in_a_block_is_taken(
    keys: dict[str, Any], arguments: dict[str, Any]
) -> None:
    """The name of a configuration in any form; what only they use is passed over."""
    from onlinedpo.states.settings.hub_blocks import blocks

    assert blocks({"path": "a/b", **keys}) == [{"path": "a/b", "config": arguments}]
    assert blocks({"name": "a/b"}) == [{"path": "a/b", "config": {}}]
