"""Damage is always seen: never skipped, never guessed, never an altered record."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.journal import frames
from onlinedpo.journal.frames import HEADER_SIZE, SEGMENT_SIZE
from onlinedpo.journal.reader import Reader
from onlinedpo.journal.writer import Journal
from onlinedpo.states.errors import JournalDamaged, JournalError, JournalNewer
from onlinedpo.states.lifecycle import by_table
from tests.conftest import Count
from tests.journal import kit, rot
from tests.journal.rot import FIRST, LAST, Original
from tests.states import facts


@pytest.fixture
def original(quick: Path) -> Original:
    """A journal of two segments with seven frames each."""
    return Original(quick / "run", drops=2)


def test_a_changed_byte_is_seen_wherever_it_stands(
    original: Original, count: Count
) -> None:
    """Every byte, three ways.

    It is refused, naming the file and the frame it stands in.  Only in the very last
    frame can it not be told from a torn write: then that frame is cut off, whole.
    """
    tried = sum(1 for _ in original.changes(rot.three_ways, every=7))
    assert tried > 2.5 * original.size()
    count("changed bytes of a journal", tried)
    assert rot.payloads(original.folder) == (original.payloads, False)


def test_a_byte_more_or_less_is_seen_wherever_it_stands(
    original: Original, count: Count
) -> None:
    """Everything after it stands elsewhere then."""
    tried = 0
    last = original.starts[LAST][-2]
    for name, data in original.contents.items():
        for at in range(len(data)):
            begin, whole = original.place(name, at)
            for changed in (
                data[:at] + data[at + 1 :],
                data[:at] + b"\x00" + data[at:],
                data[:at] + data[at : at + 1] + data[at:],
            ):
                tried += 1
                if name == LAST and begin == last:
                    if at % 5 == 0:
                        end, left = _whole_part(original, changed, whole)
                        original.recovered(changed, end, left)
                    continue
                # A byte that equals its neighbour is missed where their row ends.
                (original.folder / name).write_bytes(changed)
                with pytest.raises(JournalDamaged, match=rf"{name}: .*byte \d+"):
                    rot.payloads(original.folder)
        (original.folder / name).write_bytes(data)
    count("bytes of a journal left out or doubled", tried)


def _whole_part(original: Original, data: bytes, whole: int) -> tuple[int, int]:
    """Where the frames end that are as they were, and how many they are."""
    begin, end = original.starts[LAST][-2:]
    kept = data[:end] == original.contents[LAST]
    return (end, whole + 1) if kept else (begin, whole)


def test_a_header_that_is_changed_with_its_checksum_is_seen(
    original: Original, count: Count
) -> None:
    """Whoever changes a segment's header and makes its checksum right again.

    The chain of the first frame begins with the header's bytes, all of them.  (Of a
    last segment with one frame, it looks as if that frame had been torn: it is cut off,
    kept, and told.  Nothing but an anchor speaks for it, see test_anchors.py.)
    """
    tried = 0
    for name, data in original.contents.items():
        for at in range(SEGMENT_SIZE - 4):
            for value in rot.three_ways(data[at]):
                header = data[:at] + bytes([value]) + data[at + 1 : SEGMENT_SIZE - 4]
                changed = header + zlib.crc32(header).to_bytes(4, "little")
                (original.folder / name).write_bytes(changed + data[SEGMENT_SIZE:])
                tried += 1
                if name == LAST and 12 <= at < 28:
                    # As far as anything here tells, it is another run's.
                    where = f"{LAST}: byte 0: .*not continue"
                else:
                    where = rf"{name}: (byte \d+|the segment has format)"
                with pytest.raises((JournalDamaged, JournalNewer), match=where):
                    rot.payloads(original.folder)
        (original.folder / name).write_bytes(data)
    count("headers changed with their checksums", tried)


def test_a_frames_header_that_is_changed_with_its_checksum_is_seen(
    original: Original, count: Count
) -> None:
    """Its marker, length or number: the chain goes over them too."""
    tried = 0
    last = original.starts[LAST][-2]
    for name, data in original.contents.items():
        for begin in original.starts[name][1:-1]:
            for at in range(16):
                for value in rot.three_ways(data[begin + at]):
                    header = bytearray(data[begin : begin + 16])
                    header[at] = value
                    crc = zlib.crc32(kit.RUN + bytes(header)).to_bytes(4, "little")
                    rest = data[begin + HEADER_SIZE :]
                    changed = data[:begin] + bytes(header) + crc + rest
                    (original.folder / name).write_bytes(changed)
                    tried += 1
                    try:
                        found = rot.payloads(original.folder)
                    except JournalDamaged as error:
                        assert f"{name}: byte {begin}: frame" in str(error)
                    else:
                        assert (name, begin) == (LAST, last)
                        assert found == (original.payloads[:-1], True)
        (original.folder / name).write_bytes(data)
    count("headers changed with their checksums", tried)


def test_a_segment_of_a_later_minor_version_is_read(tmp_path: Path) -> None:
    """Its frames are chained to the header as it stands there, not as ours would be."""
    batches = kit.two_segments(tmp_path / "journal", drops=1)
    at, length, chain = 0, 0, bytes(frames.CHAIN)
    found = [frame.payload for _, frame in Reader(tmp_path / "journal").whole_frames()]
    for number, part in enumerate((found[:6], found[6:]), start=1):
        header = frames.Segment(kit.RUN, number, at + 1, length, chain, minor=number)
        data, chain = header.encode(), header.head
        for payload in part:
            at += 1
            frame, chain = frames.encode_frame(kit.RUN, chain, at, payload)
            data += frame
        length = len(data)
        (tmp_path / "journal" / f"00000{number}.odj").write_bytes(data)
    with Journal.open(tmp_path / "journal", {}, by_table) as journal:
        journal.append([facts.dropped(journal.ledger.next_ticket)])
    records = [record for batch in batches for record in batch]
    assert kit.recorded(tmp_path / "journal")[:-1] == records


@pytest.mark.parametrize("major", [0, 2, 65535])
def test_another_major_version_is_named(original: Original, major: int) -> None:
    """A program that does not know the format does not guess it."""
    data = original.contents[FIRST]
    header = data[:8] + struct.pack("<H", major) + data[10 : SEGMENT_SIZE - 4]
    crc = zlib.crc32(header).to_bytes(4, "little")
    (original.folder / FIRST).write_bytes(header + crc + data[SEGMENT_SIZE:])
    with pytest.raises(JournalNewer, match=f"version {major}") as caught:
        rot.payloads(original.folder)
    assert caught.value.hint


@pytest.mark.parametrize("before", [b"", b"?"])
@pytest.mark.parametrize("length", [(64 << 20) + 1, 1 << 31, (1 << 32) - 1])
def test_a_length_over_the_limit_is_no_frame(
    original: Original, length: int, before: bytes
) -> None:
    """However right its checksum: no memory is asked for on a length's word."""
    fields = struct.pack("<IIQ", frames.MARKER, length, 15)
    crc = zlib.crc32(kit.RUN + fields).to_bytes(4, "little")
    whole = original.contents[LAST]
    original.recovered(whole + before + fields + crc + bytes(90), len(whole), 14)


@pytest.mark.parametrize("number", [16, 1 << 32, (1 << 64) - 1])
def test_a_number_that_was_never_reached_is_refused(
    original: Original, number: int
) -> None:
    """A frame of this run with a later number: what came before it is missing."""
    extra, _ = frames.encode_frame(kit.RUN, bytes(32), number, b"\x90")
    whole = original.contents[LAST]
    where = (LAST, len(whole))
    original.refused(LAST, whole + extra, where, by_writer=True)


def test_a_frame_may_be_as_large_as_the_limit_and_no_larger(quick: Path) -> None:
    """One byte over it is refused before anything is written."""
    run, chain = kit.RUN, bytes(32)
    with pytest.raises(JournalError, match="over the limit"):
        frames.encode_frame(run, chain, 1, bytes(frames.MAX_PAYLOAD + 1))
    segment = frames.Segment(run, 1, 1, 0, chain)
    frame, _ = frames.encode_frame(run, segment.head, 1, bytes(frames.MAX_PAYLOAD))
    data = segment.encode() + frame
    (found,) = frames.scan(data, segment)
    assert isinstance(found, frames.Frame)
    assert len(found.payload) == frames.MAX_PAYLOAD
    (short,) = frames.scan(data[:-1], segment)
    assert isinstance(short, frames.Broken) and short.why == "the frame is cut short"


def test_an_anchor_speaks_for_the_last_frame_too(original: Original) -> None:
    """With one, rot in the very last frame is refused like anywhere else."""
    ends = {f.number: f.chain for _, f in Reader(original.folder).whole_frames()}
    number, data = max(ends), original.contents[LAST]
    begin, end = original.starts[LAST][-2:]
    for at in range(begin, end):
        changed = data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :]
        (original.folder / LAST).write_bytes(changed)
        with pytest.raises(JournalDamaged, match=f"{LAST}: byte {begin}: frame"):
            for _ in Reader(original.folder, {number: ends[number]}).whole_frames():
                pass


def test_a_segment_header_says_nothing_that_is_not_checked() -> None:
    """Every field of it is in what the first frame's chain begins with."""
    one = frames.Segment(kit.RUN, 1, 1, 0, bytes(32))
    changes: dict[str, Any] = {
        "run": kit.OTHER_RUN,
        "number": 2,
        "first": 2,
        "previous_length": 1,
    }
    others = [replace(one, **{name: value}) for name, value in changes.items()]
    others += [replace(one, minor=1), replace(one, previous_head=bytes(31) + b"\x01")]
    assert len({one.head, *(other.head for other in others)}) == 7
