"""Sound journals and files of weights, of which hostile ones are made."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgpack

from onlinedpo.journal import codec, frames
from onlinedpo.journal.reader import Reader
from onlinedpo.states.records import Record
from tests.journal import kit
from tests.states import facts
from tests.states.test_ledger import a_run_with_people


def batches() -> list[list[Record]]:
    """A run with every kind of fact, three to a frame."""
    records = a_run_with_people()
    last: list[Record] = [facts.derived(), facts.sampled(8, step=2), facts.ranked(8)]
    records += last
    assert {type(record) for record in records} == set(codec.KINDS.values())
    return [records[at : at + 3] for at in range(0, len(records), 3)]


GOLDEN = Path(__file__).parents[2] / "golden" / "0.2.0"


def unpacked(journal: Path) -> tuple[list[Any], bytes]:
    """The frames of a journal as plain values, and its run's id."""
    reader = Reader(journal)
    frames = [
        msgpack.unpackb(frame.payload, strict_map_key=False)
        for _, frame in reader.whole_frames()
    ]
    assert reader.position is not None
    return frames, reader.position.run


def packed(tree: Iterable[Any], run: bytes = kit.RUN) -> bytes:
    """Frames of plain values as one segment, with sums and a chain that hold."""
    payloads = (msgpack.packb(rows, unicode_errors="surrogatepass") for rows in tree)
    return segment(payloads, run)


def segment(payloads: Iterable[bytes], run: bytes = kit.RUN) -> bytes:
    """These payloads as one segment, with sums and a chain that hold."""
    header = frames.Segment(run, 1, 1, 0, bytes(frames.CHAIN))
    data, chain = header.encode(), header.head
    for number, payload in enumerate(payloads, start=1):
        frame, chain = frames.encode_frame(run, chain, number, payload)
        data += frame
    return data


def safetensors(rows: Any) -> bytes:
    """A file with this header."""
    header = json.dumps(rows).encode()
    return len(header).to_bytes(8, "little") + header + bytes(64)


HEADER: dict[str, Any] = {
    "__metadata__": {"format": "mlx"},
    "a": {"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 32]},
    "b": {"dtype": "U8", "shape": [8], "data_offsets": [32, 40]},
}
