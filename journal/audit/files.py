"""What people dropped, read again: a line by itself, or the file where it was kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from onlinedpo.journal import plain_files
from onlinedpo.journal.dropped import reading as dropped
from onlinedpo.journal.dropped.reading import Rows, UnreadableFile
from onlinedpo.states.answers import Bundle
from onlinedpo.states.rederive.people import Row

_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be")


class KeptFiles:
    """The labels folder of a run."""

    def __init__(self, labels: Path) -> None:
        """It need not be there."""
        self._labels = labels

    def fields(self, raw: bytes) -> Mapping[str, Any] | None:
        """What a line of JSON says; None for a row of CSV, which has a header."""
        for encoding in _ENCODINGS:
            try:
                value = json.loads(raw.decode(encoding))
            except (ValueError, RecursionError):
                continue
            if isinstance(value, dict):
                return value
        return None

    def rows(self, bundle: Bundle) -> Iterable[Row] | None:
        """The rows of a dropped file; None where it is not there as it was read."""
        try:
            data = plain_files.read(self._labels / bundle.kept_as, dropped.MAX_FILE)
        except (OSError, ValueError):
            return None
        if hashlib.sha256(data).hexdigest() != bundle.sha256:
            return None
        try:
            return _rows(dropped.read(Path(bundle.path).name, data))
        except UnreadableFile:
            return ()


def _rows(rows: Rows) -> Iterator[Row]:
    for row in rows:
        if row.fields is not None:
            yield Row(row.number, row.raw, row.fields)
