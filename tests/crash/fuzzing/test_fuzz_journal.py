"""Hostile journals: what stands in them is refused by file and frame, or means it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_type_hints

import msgpack

from onlinedpo.journal import codec, snapshot
from onlinedpo.journal.following import Following
from onlinedpo.journal.reader import Reader
from onlinedpo.states.errors import JournalError
from onlinedpo.states.ledger import Ledger
from tests.conftest import Count
from tests.crash.fuzzing.fuzz import Target, fuzz, tiers
from tests.crash.fuzzing.fuzz_changes import of_bytes, of_trees, ways
from tests.crash.fuzzing.fuzz_made import batches, packed, segment
from tests.journal import kit
from tests.states.test_ledger import a_run_with_people

INPUTS = {"quick": 100, "full": 3_000}


def one_changed(
    chance: random.Random, payloads: list[bytes], pool: Sequence[Any]
) -> list[bytes]:
    """One of the payloads changed, in the place of another now and then."""
    at, to = (chance.randrange(len(payloads)) for _ in range(2))
    other = chance.choice(pool)
    changed = of_bytes(chance, payloads[at], other)
    to = at if chance.random() < 0.8 else to
    return [*payloads[:to], changed, *payloads[to + 1 :]]


def fits(record: Any) -> None:
    """Every field of a record holds what it is declared with, as far as is plain."""
    plain = {
        int: (int,),
        str: (str,),
        bytes: (bytes,),
        float: (float, int),
        bool: (bool,),
    }
    for name, hint in get_type_hints(type(record)).items():
        if hint in plain:
            assert type(getattr(record, name)) in plain[hint], (record, name)


class Reading:
    """Reads a journal in the ways in which commands do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def __call__(self, data: bytes) -> None:
        """Fold it, follow it; what is taken is what the program would write."""
        (self.folder / "000001.odj").write_bytes(data)
        try:
            ledger = Reader(self.folder).fold()
        except JournalError as error:
            assert f"{self.folder / '000001.odj'}: byte " in str(error) or (
                "segment" in str(error)
            ), error
            raise
        followed = Ledger()
        for _, batch in Following(self.folder).folded(followed):
            for record in batch:
                fits(record)
            (again,) = [codec.decode(codec.encode(batch))]
            assert repr(again) == repr(batch)
        assert followed.counts() == ledger.counts()
        self.asked(ledger)

    def asked(self, ledger: Ledger) -> None:
        """What every command asks."""
        assert isinstance(ledger.settings, dict)
        assert sum(ledger.counts().values()) >= 0
        for name in (ledger.batch(2), ledger.undecided(), [*ledger.open_asks()]):
            assert isinstance(name, list)


def trees() -> list[list[Any]]:
    """A journal as plain values."""
    return [msgpack.unpackb(codec.encode(b), strict_map_key=False) for b in batches()]


@tiers
def test_bytes_of_a_segment_changed_anyhow(
    tier: str, tmp_path: Path, count: Count
) -> None:
    """Refused by its place, or a whole part of what was written."""
    whole = [repr(batch) for batch in batches()]
    reading = Reading(tmp_path / "journal")

    def read(data: bytes) -> None:
        reading(data)
        found = [repr(b) for _, b in Reader(reading.folder).batches()]
        assert found == whole[: len(found)]

    seed = segment(map(codec.encode, batches()))
    target = Target("segments", [seed], of_bytes, read, (JournalError,))
    fuzz(target, INPUTS[tier], count)


@tiers
@ways
def test_payloads_changed_anyhow_under_a_chain_that_holds(
    way: str, tier: str, tmp_path: Path, count: Count
) -> None:
    """Other types, missing fields, foreign kinds, odd numbers: `JournalError` only."""
    read = Reading(tmp_path / "journal")
    if way == "values":
        target = Target(
            "payloads as values",
            [trees()],
            of_trees(msgpack.ExtType(5, b"x"), msgpack.Timestamp(1, 1)),
            read,
            (JournalError,),
            written=packed,
        )
    else:
        seed = [codec.encode(batch) for batch in batches()]
        target = Target(
            "payloads as bytes",
            [seed],
            one_changed,
            read,
            (JournalError,),
            written=segment,
        )
    found = fuzz(target, 2 * INPUTS[tier], count)
    assert found.taken > 5


@tiers
def test_a_kept_ledger_changed_anyhow(tier: str, tmp_path: Path, count: Count) -> None:
    """With a digest that holds: not used, or a ledger that can be asked."""
    folder = tmp_path / "journal"
    kit.two_segments(folder, drops=1)
    reader = Reader(folder)
    ledger = Ledger()
    for record in a_run_with_people()[:-8]:
        ledger.fold(record)
    for _ in reader.whole_frames():
        pass
    assert reader.position is not None
    snapshot.write(folder, ledger, reader.position)
    seed = (folder / snapshot.NAME).read_bytes()[32:]
    reading = Reading(tmp_path / "other")

    def read(body: bytes) -> None:
        (folder / snapshot.NAME).write_bytes(snapshot._digest(body) + body)
        if (found := snapshot.read(folder)) is None:
            raise JournalError("not used")
        reading.asked(found[0])
        snapshot.stand(folder)

    target = Target("kept ledgers", [seed], of_bytes, read, (JournalError,))
    fuzz(target, INPUTS[tier], count)
