"""Journals that fuzzing found: each of them ended a command with a traceback once."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import msgpack
import pytest

from onlinedpo.journal import codec, snapshot
from onlinedpo.journal.reader import Reader
from onlinedpo.states.errors import JournalError
from onlinedpo.states.ledger import Ledger
from tests.crash.fuzzing.fuzz import MEMORY
from tests.crash.fuzzing.fuzz_made import segment
from tests.journal import kit
from tests.states import facts


def forged(folder: Path, payload: bytes) -> Path:
    """A journal whose one frame holds this."""
    folder.mkdir()
    (folder / "000001.odj").write_bytes(segment([payload]))
    return folder


@pytest.mark.parametrize("size", [5_000, 100_000, 1 << 20])
def test_lists_that_claim_more_than_there_is_get_no_room(
    size: int, tmp_path: Path
) -> None:
    """A thousand lists within each other, each of as many items as bytes: 8 GB once."""
    head = b"\xdd" + (size - 5).to_bytes(4, "big")
    payload = (head * min(1000, size // 10)).ljust(size, b"\xc0")
    reader = Reader(forged(tmp_path / "journal", payload))
    tracemalloc.start()
    with pytest.raises(JournalError, match="frame 1: the frame's payload cannot be"):
        reader.fold()
    assert tracemalloc.get_traced_memory()[1] < MEMORY
    tracemalloc.stop()


WRONG: dict[str, dict[str, Any]] = {
    "a ticket of text": {**codec.as_map(facts.dropped(0)), "ticket": "0"},
    "a ticket that is true": {**codec.as_map(facts.dropped(0)), "ticket": True},
    "tickets that are one": {**codec.as_map(facts.submitted(0)), "tickets": 0},
    "tickets within a list": {**codec.as_map(facts.submitted(0)), "tickets": [[0]]},
    "tickets that are maps": {**codec.as_map(facts.submitted(0)), "tickets": [{}]},
    "planned maps": {
        **codec.as_map(facts.rewound(0)),
        "tickets": [],
        "batches": [[{}]],
    },
    "settings that are a list": {**codec.as_map(facts.run_opened()), "settings": [1]},
    "a digest that is none": {**codec.as_map(facts.bundle()), "sha256": "xy"},
    "an answer of text": {**codec.as_map(facts.kept()), "raw": "text"},
    "seconds that are text": {**codec.as_map(facts.step(1)), "seconds": {"train": "x"}},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_value_of_another_type_is_told_with_its_frame(
    name: str, tmp_path: Path
) -> None:
    """Whatever reads the journal: each of these was a traceback once."""
    payload = msgpack.packb([{"v": codec.VERSION, **WRONG[name]}])
    folder = forged(tmp_path / "journal", payload)
    with pytest.raises(JournalError, match=r"000001\.odj: byte 88: frame 1: "):
        Reader(folder).fold()
    with pytest.raises(JournalError, match=r"000001\.odj: byte 88: frame 1: "):
        snapshot.fold(folder)


def test_a_kept_ledger_of_another_shape_is_not_used(tmp_path: Path) -> None:
    """With names of its own, of another type, nested without end, or placed nowhere."""
    folder = tmp_path / "journal"
    kit.two_segments(folder, drops=1)
    true = snapshot.fold(folder).counts()
    layout, place = snapshot._layout(), [kit.RUN, 1, 6, bytes(32)]
    values = {k: v for k, v in vars(Ledger()).items() if k[0] != "_"}
    deep = b""
    for _ in range(2000):
        deep = msgpack.packb(msgpack.ExtType(0, deep))
    bodies = [
        deep,
        msgpack.packb(msgpack.ExtType(99, b"\x90")),
        *(
            codec.encode_state(
                {"layout": layout, "length": length, "place": at, "is": held}
            )
            for length, at, held in (
                (1, place, {**values, "fold": 5}),
                (1, place, {**values, "turns": 5}),
                (1, place, {**values, "opened": "x"}),
                (1, place, [1]),
                ("1", place, values),
                (1, [b"", "1", 6, b""], values),
                (1, place[:3], values),
            )
        ),
    ]
    for body in bodies:
        (folder / snapshot.NAME).write_bytes(snapshot._digest(body) + body)
        assert snapshot.read(folder) is None
        assert snapshot.fold(folder).counts() == true
