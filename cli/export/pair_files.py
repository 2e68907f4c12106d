"""Rows of pairs as files: JSON lines, Parquet, or a folder as `datasets` saves it.

What is written appears under its name when it is whole.  However many rows there are,
few are held.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from onlinedpo.journal import atomic, disk
from onlinedpo.journal.making import beside
from onlinedpo.journal.names import LONGEST, cut, ending
from onlinedpo.states.errors import UsageError
from onlinedpo.states.export import preferences
from onlinedpo.states.export.preferences import Style
from onlinedpo.states.visible import json_line

Row = dict[str, Any]

HELD = 1000
"""Rows that are written together, where a format wants that."""

_TABLES = ("parquet", "datasets")


class Rows(Protocol):
    """A file of rows that is being written."""

    def add(self, row: Row) -> None:
        """Write one more."""


class JsonLines:
    """A row a line, in UTF-8."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        """Begin the file; `stack` ends it."""
        file = path.open("w", encoding="utf-8", newline="\n")
        self._file = stack.enter_context(file)

    def add(self, row: Row) -> None:
        """Write one more."""
        self._file.write(json_line(row) + "\n")


class Table:
    """Parquet, or a stream of Arrow's record batches.

    A column is there, and has its type, also where no row has a value for it.
    """

    def __init__(
        self, path: Path, stack: ExitStack, schema: Any, *, parquet: bool
    ) -> None:
        """Begin the file; `stack` ends it."""
        import pyarrow
        from pyarrow.parquet import ParquetWriter

        self._schema, self._batch = schema, pyarrow.RecordBatch.from_pylist
        self._held: list[Row] = []
        begin = ParquetWriter if parquet else pyarrow.ipc.new_stream
        self._file = stack.enter_context(begin(str(path), schema))
        stack.callback(self._write)

    def add(self, row: Row) -> None:
        """Write one more."""
        self._held.append(row)
        if len(self._held) == HELD:
            self._write()

    def _write(self) -> None:
        if self._held:
            self._file.write_batch(self._batch(self._held, schema=self._schema))
        self._held = []


def places(format_: str, output: Path) -> tuple[Path, Path]:
    """Where the labelled pairs go, and where those without a winner."""
    if format_ == "mlx-lm-lora":
        return output / "train.jsonl", output / "undecided.jsonl"
    if format_ == "datasets":
        return output, output.with_name(ending(output.name, ".undecided"))
    beside_it = ending(output.stem, f".undecided{output.suffix}")
    return output, output.with_name(beside_it)


def must_be_free(output: Path) -> None:
    """Raise `UsageError` where a file or folder would be overwritten."""
    if output.exists():
        raise UsageError(f"{output} exists", hint="Give another name, or remove it.")
    if not output.parent.is_dir():
        raise UsageError(
            f"there is no folder {output.parent}", hint="Make it, or give another."
        )


def write(
    format_: str, output: Path, style: Style, rows: Iterable[tuple[bool, Row]]
) -> None:
    """Write rows to `places`: (whether the pair is labelled, its row).

    A place to which no row goes is not made.
    """
    labelled_at, undecided_at = places(format_, output)
    with whole(output) as folder:
        begun: dict[Path, Rows] = {}
        with ExitStack() as stack:
            for labelled, row in rows:
                at = labelled_at if labelled else undecided_at
                if at not in begun:
                    path = folder / at.relative_to(output.parent)
                    path.parent.mkdir(exist_ok=True)
                    schema = _schema(format_, style, labelled)
                    begun[at] = _begin(format_, path, stack, schema)
                begun[at].add(row)
        if format_ == "datasets":
            for at in begun:
                _save(folder / at.name)


@contextmanager
def whole(output: Path) -> Iterator[Path]:
    """A folder whose files appear beside `output` when the block ends well, or not.

    What is named as `output` comes last: where it is, all is.  Raises `RunLocked` where
    another process writes to `output`, `UsageError` where one has done so meanwhile,
    and OSError.
    """
    with beside(output) as folder:
        yield folder
        disk.sync_files([path for path in folder.rglob("*") if path.is_file()])
        made = sorted(folder.iterdir(), key=lambda path: path.name == output.name)
        for path in made:
            must_be_free(output.with_name(path.name))
        for path in made:
            atomic.publish(path, output.with_name(path.name))
        disk.remove_tree(folder)


def _begin(format_: str, path: Path, stack: ExitStack, schema: Any) -> Rows:
    if format_ == "parquet":
        return Table(path, stack, schema, parquet=True)
    if format_ == "datasets":
        return Table(path, stack, schema, parquet=False)
    return JsonLines(path, stack)


def _save(path: Path) -> None:
    """Put a folder as `datasets` saves it in the place of a stream of Arrow's."""
    import datasets

    name = cut(atomic.TEMPORARY + path.name, LONGEST)
    stream = path.rename(path.with_name(name))
    datasets.disable_progress_bars()
    datasets.Dataset.from_file(str(stream)).save_to_disk(str(path))
    stream.unlink()


def _schema(format_: str, style: Style, labelled: bool) -> Any:
    """The columns of a table of pairs, with their types; None where there are none."""
    if format_ not in _TABLES:
        return None
    import pyarrow as pa

    types = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    message = pa.struct([("role", pa.string()), ("content", pa.string())])
    text = pa.string() if style == "plain" else pa.list_(message)
    names, ours = (
        (preferences.PAIR, preferences.PAIR_COLUMNS)
        if labelled
        else (preferences.UNDECIDED, preferences.UNDECIDED_COLUMNS)
    )
    return pa.schema(
        [*((name, text) for name in names), *((n, types[t]) for n, t in ours.items())]
    )
