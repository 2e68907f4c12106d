"""Where data comes from: a file, a folder, or a data set of the Hub."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from onlinedpo.engine.data import files, hub, tables
from onlinedpo.engine.data.rows import EXAMPLE, Columns, Row
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError
from onlinedpo.states.settings.hub_blocks import blocks
from onlinedpo.states.visible import visible

T = TypeVar("T")

KINDS = ("jsonl", "json", "csv", "tsv", "parquet", "txt")
"""Files that can be read, by the end of their name.  In a folder, the first counts."""

VALID = ("valid", "validation")
"""What held-out data is called, in a folder or as a split."""

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one file or split, read once, and which columns of them are meant."""

    name: str
    rows: Iterable[Row]
    columns: Columns


@dataclass(frozen=True, slots=True)
class Source:
    """What is trained on, and what is held out, if the source says so."""

    train: Sequence[Part]
    valid: Sequence[Part] = ()


def of(settings: Settings) -> Source:
    """The source of the prompts: `hf_dataset`, or else `data`; raises `UsageError`."""
    columns = Columns.of(settings)
    if settings.hf_dataset is None:
        return named(settings.data, columns)
    found = [_block(block, columns) for block in blocks(settings.hf_dataset)]
    # With one valid split missing, what is held out would not be of all the data.
    valid = [part for source in found for part in source.valid]
    whole = all(source.valid for source in found)
    return Source([p for s in found for p in s.train], valid if whole else ())


def named(source: str, columns: Columns) -> Source:
    """The source that a path or a data set's id names; raises `UsageError`."""
    path = Path(os.path.expanduser(source))
    mode = _mode(path) if source else None
    if mode is None:
        return _of_the_hub(source, columns)
    if stat.S_ISDIR(mode):
        return _folder(path, columns)
    if not stat.S_ISREG(mode):
        raise UsageError(
            f"{path} is neither a file nor a folder",
            hint="A run reads its data again when it goes on: save it as a file.",
        )
    return Source([_file(path, columns)])


def read(parts: Iterable[Part], make: Callable[[Row, Columns], T]) -> Iterator[T]:
    """What is made of each row; raises `UsageError` for a part without any."""
    for part in parts:
        row = None
        for row in part.rows:
            yield make(row, part.columns)
        if row is None:
            raise UsageError(f"{part.name} has no rows in it", hint=EXAMPLE)


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"{str(path)[:200]} cannot be read: {error.strerror or error}",
        hint="Give a file or folder that can be read.",
    )


def _file(path: Path, columns: Columns) -> Part:
    kind = path.suffix[1:].lower()
    name = str(path)
    if kind == "parquet":
        return Part(name, tables.parquet(path, columns), columns)
    if kind == "txt":
        return Part(name, files.text_lines(path, columns.prompt), columns)
    if kind in ("csv", "tsv"):
        return Part(name, files.csv_rows(path, "\t" if kind == "tsv" else ""), columns)
    if kind == "json":
        return Part(name, files.json_rows(path), columns)
    if kind in ("jsonl", "ndjson", ""):
        return Part(name, files.json_lines(path), columns)
    raise UsageError(
        f"{path} ends in .{kind}, which is no kind of data that can be read",
        hint=f"Known are: {', '.join(KINDS)}.",
    )


def _folder(folder: Path, columns: Columns) -> Source:
    """mlx-lm's layout, or what `datasets` saved to disk; test files are passed over."""
    try:
        there = sorted(os.listdir(folder))
    except OSError as error:
        raise _unreadable(folder, error) from None
    if "dataset_dict.json" in there or "state.json" in there:
        return _splits(str(folder), hub.saved(folder), columns)
    train = [f"train.{kind}" for kind in KINDS if f"train.{kind}" in there]
    valid = [f"{v}.{kind}" for v in VALID for kind in KINDS if f"{v}.{kind}" in there]
    if not train:
        told = ", ".join(there[:8]) + (", ..." if there[8:] else "")
        raise UsageError(
            f"{folder} has no train.jsonl in it (it has: {visible(told) or 'nothing'})",
            hint="Give a file, or a folder with train.jsonl, and valid.jsonl if you"
            f" like; also .{', .'.join(KINDS[1:])}.",
        )
    return Source(
        [_file(folder / train[0], columns)],
        [_file(folder / name, columns) for name in valid[:1]],
    )


def _of_the_hub(source: str, columns: Columns) -> Source:
    suffix = Path(source).suffix[1:].lower()
    if not _HUB_ID.fullmatch(source) or suffix in KINDS or source.startswith("."):
        raise UsageError(
            f"there is no file or folder {source[:200]!r}",
            hint="Give a file, a folder with train.jsonl in it, or the id of a"
            " data set on the Hub.",
        )
    return _splits(source, hub.load(source), columns)


def _splits(name: str, found: hub.Splits, columns: Columns) -> Source:
    if "train" not in found:
        raise UsageError(
            f"{name} has no split 'train' (it has: {', '.join(found) or 'none'})",
            hint="Name one: hf_dataset: {path: ..., train_split: ...}.",
        )
    valid = [which for which in VALID if which in found][:1]
    return Source(
        [_table(name, "train", found["train"], columns)],
        [_table(name, which, found[which], columns) for which in valid],
    )


def _block(block: hub.Block, columns: Columns) -> Source:
    """The splits of a block of `hf_dataset`; without a valid split, none is held out.

    With neither given they are mlx-lm's: four fifths, and the last tenth.
    """
    columns = columns.renamed(block)
    learn = block.get("train_split")
    valid = block.get("valid_split", None if learn else "train[-10%:]")
    train, *rest = (
        _table(block["path"], which, hub.split(block, which), columns)
        for which in (learn or "train[:80%]", *([valid] if valid else ()))
    )
    return Source([train], rest)


def _table(path: str, which: str, split: Any, columns: Columns) -> Part:
    name = f"{path}, {which}"
    return Part(name, tables.rows(split, name, columns), columns)
