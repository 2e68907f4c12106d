"""Sound frames and segments in the wrong place make an unsound journal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.journal.frames import decode_segment
from onlinedpo.journal.reader import Reader
from onlinedpo.journal.writer import Journal
from onlinedpo.states.errors import JournalDamaged
from onlinedpo.states.lifecycle import by_table
from onlinedpo.states.records import Record
from tests.journal import kit
from tests.states import facts

Frames = list[bytes]


def swapped(frames: Frames, at: int, foreign: Frames) -> Frames:
    """Two neighbours change places."""
    at = min(at, len(frames) - 2)
    return [*frames[:at], frames[at + 1], frames[at], *frames[at + 2 :]]


def doubled(frames: Frames, at: int, foreign: Frames) -> Frames:
    """A frame stands there twice."""
    return [*frames[: at + 1], *frames[at:]]


def dropped(frames: Frames, at: int, foreign: Frames) -> Frames:
    """A frame is missing."""
    return [*frames[:at], *frames[at + 1 :]]


def repeated(frames: Frames, at: int, foreign: Frames) -> Frames:
    """A frame is overwritten with its neighbour."""
    return [*frames[:at], frames[at - 1], *frames[at + 1 :]]


def replaced(frames: Frames, at: int, foreign: Frames) -> Frames:
    """Another journal's frame of the same number stands in its place."""
    return [*frames[:at], foreign[at], *frames[at + 1 :]]


def inserted(frames: Frames, at: int, foreign: Frames) -> Frames:
    """Another journal's frame stands before it."""
    return [*frames[:at], foreign[at], *frames[at:]]


def continued(frames: Frames, at: int, foreign: Frames) -> Frames:
    """From here on it is another journal."""
    return [*frames[:at], *foreign[at:]]


CHANGES = (swapped, doubled, dropped, repeated, replaced, inserted, continued)


def read(folder: Path) -> tuple[list[Record], bool]:
    """All records, and whether a torn tail was told."""
    reader = Reader(folder)
    return list(reader.records()), reader.tail is not None


@pytest.mark.parametrize("other", ["another run", "another history"])
@pytest.mark.parametrize("name", ["000001.odj", "000002.odj"])
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_frame_in_the_wrong_place_is_seen(
    quick: Path,
    change: Callable[[Frames, int, Frames], Frames],
    name: str,
    other: str,
) -> None:
    """At every place.  Only at the very end it may be a torn tail, which is told.

    The foreign frames carry the same records and numbers: of another run, or of a copy
    of this run that went on in another way.
    """
    folder, elsewhere = quick / "run" / "journal", quick / "other" / "journal"
    batches = kit.two_segments(folder, drops=3)
    if other == "another run":
        kit.two_segments(elsewhere, drops=3, run=kit.OTHER_RUN)
    else:
        head: list[Record] = [facts.run_opened(seed=1), facts.process_started()]
        kit.write(elsewhere, [[head, *batches[1:8]], batches[8:]])
    good = kit.files(folder)
    segment, foreign = kit.spans(folder / name), kit.spans(elsewhere / name).frames
    count = len(segment.frames)
    assert count == len(foreign) == 8 and foreign != segment.frames
    for at in range(count):
        kit.put(folder, good)
        frames = change(segment.frames, at, foreign)
        (folder / name).write_bytes(segment.header + b"".join(frames))
        # No frame of this run follows the place.
        the_end = name == "000002.odj" and (
            (at == count - 1 and change not in (swapped, inserted))
            or (change is continued and other == "another run")
        )
        if the_end:
            found, told = read(folder)
            kept = batches[: 8 + at + (change is doubled)]
            assert found == list(chain(*kept))
            # That the last frame is missing only an anchor can tell.
            assert told or change is dropped
        else:
            with pytest.raises(JournalDamaged, match=r"00000[12].odj: byte \d+"):
                read(folder)


def three_segments(folder: Path, seed: int = 0) -> None:
    """A journal that three processes wrote."""
    parts: list[kit.Batches] = [
        [[facts.run_opened(seed=seed)]],
        [[facts.dropped(0)]],
        [[facts.dropped(1)]],
    ]
    kit.write(folder, parts)


@pytest.fixture
def segments(tmp_path: Path) -> dict[str, bytes]:
    """Three sound segments, two of another history, and one put back from too early."""
    three_segments(tmp_path / "a")
    three_segments(tmp_path / "b", seed=1)
    older = kit.spans(tmp_path / "a" / "000002.odj")
    ours, other = (list(kit.files(tmp_path / n).values()) for n in ("a", "b"))
    assert [len(data) for data in ours] == [len(data) for data in other]
    return {
        **dict(zip("123", ours, strict=True)),
        "2'": other[1],
        "3'": other[2],
        "2 older": older.header + b"".join(older.frames[:-1]),
    }


@pytest.mark.parametrize(
    ("order", "named"),
    [
        (["2", "3"], "000001.odj"),
        (["3"], "000001.odj"),
        (["1", "3"], "000002.odj"),
        (["2", "1", "3"], "000001.odj"),
        (["1", "3", "2"], "000002.odj"),
        (["1", "2", "2"], "000003.odj"),
        (["1", "2", "3", "3"], "000004.odj"),
        (["1", "1", "3"], "000002.odj"),
        (["1", "2'", "3"], "000002.odj"),
        (["1", "2", "3'"], "000003.odj"),
        (["1", "2 older", "3"], "000003.odj"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_segments_in_any_other_order_are_refused(
    tmp_path: Path, segments: dict[str, bytes], order: list[str], named: str
) -> None:
    """Removed, reordered, doubled, taken from elsewhere, or put back from too early."""
    folder = tmp_path / "run" / "journal"
    names = [f"{n:06d}.odj" for n in range(1, len(order) + 1)]
    contents = {n: segments[s] for n, s in zip(names, order, strict=True)}
    kit.put(folder, contents)
    with pytest.raises(JournalDamaged, match=f"{named}: byte 0"):
        kit.recorded(folder)
    with pytest.raises(JournalDamaged, match=f"{named}: byte 0"):
        Journal.open(folder, {}, by_table)
    assert kit.files(folder) == contents


@pytest.mark.parametrize(
    "change",
    [
        {"run": kit.OTHER_RUN},
        {"number": 3},
        {"first": 1},
        {"first": 3},
        {"previous_length": 88},
        {"previous_head": bytes(32)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_segment_says_what_stands_before_it(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    """A header that is sound in itself, but tells of another segment before it."""
    kit.write(tmp_path, [[[facts.run_opened()]], []])
    path = tmp_path / "000002.odj"
    told = decode_segment(path.read_bytes())
    path.write_bytes(replace(told, **change).encode())
    with pytest.raises(JournalDamaged, match=r"000002.odj: byte 0: .* not continue"):
        kit.recorded(tmp_path)
    path.write_bytes(told.encode())
    assert kit.recorded(tmp_path) == [facts.run_opened()]


@pytest.mark.parametrize("missing", ["000001.odj", "000002.odj"])
def test_a_missing_segment_is_named(tmp_path: Path, missing: str) -> None:
    """A gap in the numbers."""
    three_segments(tmp_path / "journal")
    (tmp_path / "journal" / missing).unlink()
    with pytest.raises(JournalDamaged, match=f"{missing} is missing"):
        kit.recorded(tmp_path / "journal")


def test_what_is_no_segment_is_no_journal(tmp_path: Path) -> None:
    """Other files in the folder are left alone; with no segment there is no run."""
    folder = tmp_path / "run" / "journal"
    kit.write(folder, [[[facts.run_opened()]]])
    for name in ("notes.odj", "000002.odj.bak", ".tmp-000002.odj-1", "000002.txt"):
        (folder / name).write_bytes(b"?")
    assert kit.recorded(folder) == [facts.run_opened()]
    (folder / "000001.odj").unlink()
    assert kit.recorded(folder) == []
