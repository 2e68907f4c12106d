"""Rows out of tables: Parquet files, and splits as `datasets` holds them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from onlinedpo.engine.data.rows import Columns, Row
from onlinedpo.states.errors import UsageError

_AT_ONCE = 1000


def parquet(path: Path, columns: Columns) -> Iterator[Row]:
    """The rows of a Parquet file, of which only the wanted columns are read."""
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            wanted = columns.wanted(names)
            number = 0
            for batch in file.iter_batches(_AT_ONCE, columns=wanted):
                for fields in batch.to_pylist() or [{}] * batch.num_rows:
                    number += 1
                    yield Row(f"{path}, row {number}", fields, names)
    except UsageError:
        raise
    except (pyarrow.ArrowException, OSError, OverflowError, ValueError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(
            f"{path} is not Parquet, or is damaged: {first_line}",
            hint="Write it again, or give the data as JSON lines.",
        ) from None


def rows(split: Any, name: str, columns: Columns) -> Iterator[Row]:
    """The rows of a `datasets.Dataset`, of which only the wanted columns are read."""
    names = split.column_names
    wanted = columns.wanted(names)
    if not wanted:
        # Let the first row say what is there.
        yield Row(f"{name}, row 1", {}, names)
        return
    for number, fields in enumerate(split.select_columns(wanted), start=1):
        yield Row(f"{name}, row {number}", fields, names)
