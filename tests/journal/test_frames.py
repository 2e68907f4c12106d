"""Frames and segment headers, byte by byte."""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import replace

import pytest

from onlinedpo.journal import frames
from onlinedpo.journal.frames import Broken, Frame, Segment
from onlinedpo.states.errors import JournalDamaged, JournalError
from tests.journal.kit import OTHER_RUN, RUN

SEGMENT = Segment(RUN, 1, 1, 0, bytes(32))


def framed(*payloads: bytes) -> bytes:
    """A segment with these payloads."""
    data, chain = SEGMENT.encode(), SEGMENT.head
    for number, payload in enumerate(payloads, start=1):
        frame, chain = frames.encode_frame(RUN, chain, number, payload)
        data += frame
    return data


def test_the_format_is_as_documented() -> None:
    """Every offset of the package's docstring, read here with nothing but `struct`.

    This is what another program, or a later version, relies on.
    """
    data = framed(b"one", b"", b"three")
    magic, major, minor, run, number, first, length, head, crc = struct.unpack_from(
        "<8sHH16sQQQ32sI", data
    )
    assert (magic, major, minor, run) == (b"ODPOJNL1", 1, 0, RUN)
    assert (number, first, length, head) == (1, 1, 0, bytes(32))
    assert crc == zlib.crc32(data[:84])
    chain, at = hashlib.blake2b(data[:88], digest_size=32).digest(), 88
    for wanted, payload in enumerate((b"one", b"", b"three"), start=1):
        marker, size, number, crc = struct.unpack_from("<IIQI", data, at)
        assert (marker, size, number) == (0x4A50444F, len(payload), wanted)
        assert crc == zlib.crc32(RUN + data[at : at + 16])
        body = data[at : at + 20 + size]
        assert body[20:] == payload
        chain = hashlib.blake2b(chain + body, digest_size=32).digest()
        assert data[at + 20 + size : at + 52 + size] == chain
        at += 52 + size
    assert at == len(data)


def test_frames_come_back_with_their_places() -> None:
    """Offsets and ends tile the file; numbers and payloads are as written."""
    payloads = [b"", b"x", bytes(1000), b"\x4f\x44\x50\x4a" * 9]
    found = list(frames.scan(framed(*payloads), SEGMENT))
    assert all(isinstance(frame, Frame) for frame in found)
    whole = [frame for frame in found if isinstance(frame, Frame)]
    assert [frame.payload for frame in whole] == payloads
    assert [frame.number for frame in whole] == [1, 2, 3, 4]
    assert [whole[0].offset, *(f.end for f in whole[:-1])] == [f.offset for f in whole]
    assert whole[-1].end == len(framed(*payloads))


def test_a_header_comes_back() -> None:
    """With the largest numbers that it can hold, whatever follows it."""
    segment = Segment(OTHER_RUN, 2**64 - 1, 2**64 - 1, 2**64 - 1, b"\xff" * 32)
    assert len(segment.encode()) == frames.SEGMENT_SIZE == 88
    assert frames.decode_segment(segment.encode() + b"more") == segment


def test_a_header_with_any_byte_changed_or_missing_is_refused() -> None:
    """256 values of each of 88 bytes, and all shorter lengths."""
    good = SEGMENT.encode()
    for at in range(88):
        with pytest.raises(JournalDamaged):
            frames.decode_segment(good[:at])
        for value in range(256):
            if value != good[at]:
                bad = good[:at] + bytes([value]) + good[at + 1 :]
                with pytest.raises(JournalDamaged):
                    frames.decode_segment(bad)


@pytest.mark.parametrize(("at", "value"), [(0, b"X"), (8, b"\x02"), (9, b"\x01")])
def test_a_header_of_another_format_is_refused_with_a_hint(
    at: int, value: bytes
) -> None:
    """Whole, but of a newer program: the remedy is another version, not a backup."""
    body = bytearray(SEGMENT.encode()[:84])
    body[at : at + 1] = value
    newer = bytes(body) + struct.pack("<I", zlib.crc32(body))
    with pytest.raises(JournalError) as refused:
        frames.decode_segment(newer)
    assert not isinstance(refused.value, JournalDamaged)
    assert "newer" in refused.value.hint


def test_every_field_of_a_header_is_vouched_for_by_the_chain() -> None:
    """A segment's first chain depends on all of its header."""
    changed = [
        replace(SEGMENT, run=OTHER_RUN),
        replace(SEGMENT, number=2),
        replace(SEGMENT, first=2),
        replace(SEGMENT, previous_length=1),
        replace(SEGMENT, previous_head=b"\x01" * 32),
    ]
    heads = {segment.head for segment in (SEGMENT, *changed)}
    assert len(heads) == 1 + len(changed)


def test_a_length_is_never_believed_unchecked() -> None:
    """A header that claims 4 GiB is no header, even with a checksum that fits."""
    fields = struct.pack("<IIQ", frames.MARKER, 0xFFFFFFFF, 1)
    claim = fields + struct.pack("<I", zlib.crc32(RUN + fields))
    (only,) = frames.scan(SEGMENT.encode() + claim + bytes(100), SEGMENT)
    assert isinstance(only, Broken)
    assert (only.offset, only.number) == (88, 1)


def test_a_payload_over_the_limit_is_neither_written_nor_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The writer refuses it before any byte of it, the reader takes it for damage."""
    too_large = framed(bytes(11))
    monkeypatch.setattr(frames, "MAX_PAYLOAD", 10)
    (read,) = frames.scan(framed(bytes(10)), SEGMENT)
    assert isinstance(read, Frame)
    (read,) = frames.scan(too_large, SEGMENT)
    assert isinstance(read, Broken)
    with pytest.raises(JournalError, match="11 bytes"):
        frames.encode_frame(RUN, SEGMENT.head, 1, bytes(11))


@pytest.mark.parametrize("number", [0, 1, 3, 2**64 - 1])
def test_a_frame_out_of_turn_is_broken(number: int) -> None:
    """Even if its chain holds, as only a wrong writer could make it."""
    *_, first = frames.scan(framed(b"first"), SEGMENT)
    assert isinstance(first, Frame)
    wrong, _ = frames.encode_frame(RUN, first.chain, number, b"second")
    whole, broken = frames.scan(framed(b"first") + wrong, SEGMENT)
    assert whole == first
    assert isinstance(broken, Broken)
    assert broken.why == f"frame {number} stands where 2 belongs"


def test_a_frame_of_another_run_is_no_frame() -> None:
    """The run's id salts the checksum: stale bytes on a reused disk never validate."""
    foreign, _ = frames.encode_frame(OTHER_RUN, SEGMENT.head, 1, b"x")
    (only,) = frames.scan(SEGMENT.encode() + foreign, SEGMENT)
    assert isinstance(only, Broken)
    assert frames.later_frame(SEGMENT.encode() + foreign, only, SEGMENT) is None


def test_a_later_frame_proves_that_the_broken_one_was_written_whole() -> None:
    """Found wherever it stands, also behind bytes that look like its marker."""
    data = framed(b"first", b"second", b"third")
    third = data.index(b"third") - 20
    broken = data.replace(b"first", b"f\x4f\x44\x50\x4a")
    found = [f for f in frames.scan(broken, SEGMENT) if isinstance(f, Broken)]
    assert [b.offset for b in found] == [88]
    assert frames.later_frame(broken, found[0], SEGMENT) == third - 52 - len(b"second")
    only_third = broken[: 88 + 30] + broken[third:]
    assert frames.later_frame(only_third, found[0], SEGMENT) == 88 + 30
    assert frames.later_frame(broken[: 88 + 57], found[0], SEGMENT) is None
