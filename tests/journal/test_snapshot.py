"""The snapshot of the ledger: a short cut that never leads elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.journal import codec, snapshot, writer
from onlinedpo.journal.reader import Reader
from onlinedpo.journal.writer import Journal
from onlinedpo.states.errors import JournalDamaged
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.lifecycle import by_table
from onlinedpo.states.records import Reason, Record
from tests.conftest import Count
from tests.journal.kit import RUN, standing, write
from tests.journal.rot import changes, cuts, harmed_snapshots
from tests.states import facts

EVERYTHING: list[list[Record]] = [
    [facts.run_opened(), facts.derived(), facts.process_started(iters=9)],
    [facts.held_out(), facts.evaluated(0, "win", "failed")],
    [facts.sampled(0), facts.sampled(1), facts.sampled(2)],
    [facts.sampled(3), facts.sampled(4)],
    [facts.dropped(4, Reason.REQUEUED)],
    [facts.submitted(0, 1, 2, 3)],
    [facts.verdict(0), facts.label(0), facts.verdict(3), facts.label(3)],
    [facts.escalated(1, 2), facts.escalated(2)],
    [facts.vote(1, "tie", 2, raw=b"\xff\x00"), facts.kept(), facts.bundle()],
    [facts.vote(2, "second"), facts.people_say(2, "second")],
    [facts.step(1, 0, state="s1")],
    [facts.step(2, 3, state="s2"), facts.vote(0, "second")],
    [facts.restored(facts.sampled(3), facts.people_say(3, "second"))],
    [facts.rewound(1, (3,)), facts.tail_cut()],
]
"""A journal whose ledger has something in every place."""


@pytest.fixture
def folder(quick: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A journal of three segments, with a snapshot from where the last begins."""
    monkeypatch.setattr(snapshot, "WORTH", 0)
    write(quick, [EVERYTHING, [[facts.sampled(5)]], [[facts.submitted(5)]]])
    return quick


def test_what_was_kept_is_what_the_journal_adds_up_to(folder: Path) -> None:
    """Read back and carried on, it equals the ledger of a whole reading."""
    kept = snapshot.read(folder)

    assert kept and kept[1].segment == 2
    assert standing(snapshot.fold(folder)) == standing(Reader(folder).fold())


def test_every_place_of_a_ledger_is_kept(folder: Path) -> None:
    """The journal of these tests leaves no part of a ledger empty."""
    empty = standing(Ledger())
    ledger = snapshot.fold(folder)

    same = {n for n, value in standing(ledger).items() if value == empty[n]}
    assert same == {"restored", "last_step"}


def test_only_what_came_after_it_is_read(folder: Path) -> None:
    """Damage before it is not seen: what it replaces is not read at all."""
    first = folder / "000001.odj"
    first.write_bytes(b"x" * first.stat().st_size)

    assert snapshot.fold(folder).next_ticket == 6
    with pytest.raises(JournalDamaged):
        Reader(folder).fold()


def test_damage_after_it_is_seen(folder: Path) -> None:
    """The rest of the journal is read as strictly as ever."""
    last = folder / "000003.odj"
    last.write_bytes(b"x" * last.stat().st_size)

    with pytest.raises(JournalDamaged):
        snapshot.fold(folder)


def test_a_damaged_one_is_not_used(folder: Path, count: Count) -> None:
    """Whatever byte of it changes, the journal is read from its start."""
    whole = (folder / snapshot.NAME).read_bytes()
    harms = [*changes(whole, lambda byte: [byte ^ 64]), *list(cuts(whole))[::9]]
    tried = harmed_snapshots(folder, harms, every=97)
    assert tried > len(whole)
    count("changed bytes of a snapshot", tried)


def test_one_from_earlier_is_carried_on(folder: Path) -> None:
    """Put back from a copy, it is only further behind."""
    path, expected = folder / snapshot.NAME, standing(Reader(folder).fold())
    data = path.read_bytes()
    with Journal.open(folder, {}, by_table):
        pass
    assert path.read_bytes() != data
    path.write_bytes(data)
    assert standing(snapshot.fold(folder)) == expected


def test_one_from_later_than_the_journal_is_not_used(folder: Path) -> None:
    """The journal was put back from a copy, and the snapshot was not."""
    (folder / "000003.odj").unlink()
    assert snapshot.read(folder)
    assert standing(snapshot.fold(folder)) == standing(Reader(folder).fold())


@pytest.mark.parametrize(
    "change",
    [
        lambda kept: kept.pop("is"),
        lambda kept: kept["is"].pop("steps"),
        lambda kept: kept["is"].update(more=1),
        lambda kept: kept["is"].update(steps="2"),
        lambda kept: kept["is"].update(opened=3),
        lambda kept: kept.update(place=[b"", 2]),
        lambda kept: kept["place"].__setitem__(1, "2"),
        lambda kept: kept.update(length=None),
    ],
)
def test_one_that_was_sealed_anew_is_used_only_if_it_is_one(
    folder: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    """Its digest speaks for its bytes alone: anyone can take it again."""
    path = folder / snapshot.NAME
    kept = codec.decode_state(path.read_bytes()[32:])
    change(kept)
    body = codec.encode_state(kept)
    path.write_bytes(hashlib.blake2b(body, digest_size=32).digest() + body)
    assert snapshot.read(folder) is None
    assert standing(snapshot.fold(folder)) == standing(Reader(folder).fold())


def test_one_of_another_run_is_not_used(folder: Path, tmp_path: Path) -> None:
    """It must be of the very journal that goes on after it."""
    other = tmp_path / "other"
    write(other, [EVERYTHING, [[facts.sampled(5)]], []], RUN[::-1])
    (folder / snapshot.NAME).write_bytes((other / snapshot.NAME).read_bytes())

    assert snapshot.read(folder)
    assert standing(snapshot.fold(folder)) == standing(Reader(folder).fold())


def test_one_of_another_version_is_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger of another shape is not filled from it."""
    monkeypatch.setattr(snapshot, "_layout", lambda: "another")

    assert snapshot.read(folder) is None


def test_a_journal_without_one_is_read_whole(folder: Path) -> None:
    """It may be deleted at any time."""
    (folder / snapshot.NAME).unlink()

    assert standing(snapshot.fold(folder)) == standing(Reader(folder).fold())


def test_a_small_journal_has_none(tmp_path: Path) -> None:
    """Below some megabytes reading is quick enough."""
    write(tmp_path, [EVERYTHING, [[facts.sampled(5)]]])

    assert not (tmp_path / snapshot.NAME).exists()


def test_a_disk_that_does_not_take_it_is_no_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run goes on without it."""
    monkeypatch.setattr(snapshot, "WORTH", 0)
    write(tmp_path, [EVERYTHING])
    (tmp_path / snapshot.NAME).unlink()
    (tmp_path / snapshot.NAME).mkdir()

    with Journal.open(tmp_path, {}, by_table) as journal:
        journal.append([facts.sampled(5)])

    assert snapshot.fold(tmp_path).next_ticket == 6


def test_a_long_process_keeps_one_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With each new segment, and not more often than its own size allows."""
    monkeypatch.setattr(snapshot, "WORTH", 0)
    monkeypatch.setattr(writer, "SEGMENT_LIMIT", 500)
    starts: list[list[Record]] = [[facts.process_started()] for _ in range(400)]
    write(tmp_path, [[*EVERYTHING, *starts]])

    kept = snapshot.read(tmp_path)
    assert kept
    segments = sorted(tmp_path.glob("*.odj"))
    assert 3 < len(segments) == kept[1].segment + 1
    size = (tmp_path / snapshot.NAME).stat().st_size
    assert all(path.stat().st_size > 3 * size for path in segments[2:-1])
