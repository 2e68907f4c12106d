"""Segments: each goes on from the one before it, and none is missed or made up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.journal.frames import SEGMENT_SIZE, decode_segment
from onlinedpo.states.errors import JournalDamaged
from tests.journal import kit
from tests.journal.rot import LAST
from tests.states import facts


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
        "1'": other[0],
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
        (["3", "2", "1"], "000001.odj"),
        (["1'", "2", "3"], "000002.odj"),
        (["1'", "2'", "3"], "000003.odj"),
        (["1", "2", "2", "3"], "000003.odj"),
        (["1", "2", "3", "2"], "000004.odj"),
        (["1", "2", "3", "1"], "000004.odj"),
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
    for taking in (kit.recorded, kit.reopened):
        with pytest.raises(JournalDamaged, match=f"{named}: byte 0"):
            taking(folder)
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


def test_segments_without_frames_are_no_damage(tmp_path: Path) -> None:
    """Processes that began and ended, or were killed, before they wrote a thing."""
    folder = tmp_path / "run" / "journal"
    kit.write(folder, [[[facts.run_opened()]], [], [], [[facts.process_started()]], []])
    assert kit.recorded(folder) == [facts.run_opened(), facts.process_started()]
    whole = kit.files(folder)
    assert [len(data) == SEGMENT_SIZE for data in whole.values()] == [0, 1, 1, 0, 1]
    # A torn write after the header of the last one.
    last = folder / "000005.odj"
    last.write_bytes(whole[last.name] + b"\x4f\x44\x50")
    with kit.reopened(folder) as journal:
        (cut,) = journal.cuts
        assert (cut.segment, cut.offset, cut.size) == (5, SEGMENT_SIZE, 3)
    assert last.read_bytes() == whole[last.name]


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("left", [0, 1, 44, 87])
def test_a_segment_without_a_whole_header_is_refused(
    tmp_path: Path, number: int, left: int
) -> None:
    """An empty file too, first, last or in the middle: its name came after its bytes.

    A header has no frames to lose, but whether frames stood behind it nobody knows.
    """
    folder = tmp_path / "run" / "journal"
    kit.write(folder, [[[facts.run_opened()]], [], [], [[facts.process_started()]], []])
    path = folder / f"00000{number}.odj"
    path.write_bytes(path.read_bytes()[:left])
    before = kit.files(folder)
    for taking in (kit.recorded, kit.reopened):
        with pytest.raises(JournalDamaged, match=rf"{path.name}: .*\(byte 0\)"):
            taking(folder)
    assert kit.files(folder) == before


@pytest.mark.parametrize("number", [2, 3])
def test_bytes_behind_an_earlier_segment_are_refused(
    tmp_path: Path, number: int
) -> None:
    """Also where it has no frames: the next one was begun when it ended there."""
    folder = tmp_path / "run" / "journal"
    kit.write(folder, [[[facts.run_opened()]], [], [], [[facts.process_started()]], []])
    path = folder / f"00000{number}.odj"
    path.write_bytes(path.read_bytes() + bytes(52))
    with pytest.raises(JournalDamaged, match=f"{path.name}: byte 88: .*later segment"):
        kit.recorded(folder)


@pytest.mark.parametrize("name", ["2.odj", "0000002.odj", "\u0660\u0660000\u0662.odj"])
def test_a_segment_under_another_spelling_of_its_number_is_missed(
    tmp_path: Path, name: str
) -> None:
    """It would be read, and then written on under the right name."""
    folder = tmp_path / "run" / "journal"
    kit.two_segments(folder, drops=1)
    (folder / LAST).rename(folder / name)
    for taking in (kit.recorded, kit.reopened):
        with pytest.raises(JournalDamaged, match=r"00000[12].odj is missing"):
            taking(folder)
