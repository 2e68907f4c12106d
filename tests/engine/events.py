"""TensorBoard's event files, read as TensorBoard does."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def events(folder: Path) -> list[dict[str, Any]]:
    """One mapping for each event of our files with values in it, in order.

    A session that starts makes TensorBoard forget what it knew from its step on.
    """
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    rows: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*.onlinedpo")):
        for data in _records(path.read_bytes()):
            event = event_pb2.Event.FromString(data)
            if event.HasField("session_log"):
                rows = [row for row in rows if row["step"] < event.step]
            values = {value.tag: value.simple_value for value in event.summary.value}
            if values:
                rows.append({"step": event.step, "time": event.wall_time, **values})
    return [{key: pytest.approx(value) for key, value in row.items()} for row in rows]


def _records(data: bytes) -> Iterator[bytes]:
    """TFRecord: length, its checksum, data, its checksum."""
    at = 0
    while at + 12 <= len(data):
        (size,) = struct.unpack_from("<Q", data, at)
        if at + 16 + size > len(data):
            return
        yield data[at + 12 : at + 12 + size]
        at += 16 + size
