"""Frames and segment headers as bytes: pure functions (format: `journal/__init__`)."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from onlinedpo.states.errors import JournalDamaged, JournalError, JournalNewer

MAGIC = b"ODPOJNL1"
MAJOR, MINOR = 1, 0
MARKER = 0x4A50444F
MAX_PAYLOAD = 64 << 20
CHAIN = 32

_SEGMENT = struct.Struct("<8sHH16sQQQ32s")
_FRAME = struct.Struct("<IIQ")
_CRC = struct.Struct("<I")
SEGMENT_SIZE = _SEGMENT.size + _CRC.size
HEADER_SIZE = _FRAME.size + _CRC.size
FRAME_OVERHEAD = HEADER_SIZE + CHAIN


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment's header; `head` is the chain that its first frame goes on from."""

    run: bytes
    number: int
    first: int
    previous_length: int
    previous_head: bytes
    minor: int = field(default=MINOR, compare=False)
    """Of the version that wrote it; one that is higher can be read all the same."""

    def encode(self) -> bytes:
        """The header's bytes."""
        body = _SEGMENT.pack(
            MAGIC,
            MAJOR,
            self.minor,
            self.run,
            self.number,
            self.first,
            self.previous_length,
            self.previous_head,
        )
        return body + _CRC.pack(zlib.crc32(body))

    @property
    def head(self) -> bytes:
        """The chain at the segment's start: it vouches for the header too."""
        return hashlib.blake2b(self.encode(), digest_size=CHAIN).digest()


def decode_segment(data: bytes) -> Segment:
    """Read a segment header; raises `JournalDamaged`, or `JournalError` if newer."""
    body = data[: _SEGMENT.size]
    if len(data) < SEGMENT_SIZE or _CRC.pack(zlib.crc32(body)) != bytes(
        data[_SEGMENT.size : SEGMENT_SIZE]
    ):
        raise JournalDamaged("the segment header (byte 0) is not as it was written")
    magic, major, minor, *rest = _SEGMENT.unpack(body)
    if magic != MAGIC or major != MAJOR:
        raise JournalNewer(
            f"the segment has format {magic!r} version {major}, and this program knows"
            f" version {MAJOR}",
            hint="Use the version of onlinedpo that wrote the run, or a newer one.",
        )
    run, number, first, length, head = rest
    return Segment(run, number, first, length, head, minor)


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame that was read whole and whose chain holds."""

    offset: int
    number: int
    payload: bytes
    chain: bytes
    end: int


@dataclass(frozen=True, slots=True)
class Broken:
    """Where reading had to stop, and why."""

    offset: int
    number: int
    why: str


def encode_frame(
    run: bytes, chain: bytes, number: int, payload: bytes
) -> tuple[bytes, bytes]:
    """One frame's bytes, and the chain after it."""
    if len(payload) > MAX_PAYLOAD:
        raise JournalError(f"a frame of {len(payload)} bytes is over the limit")
    fields = _FRAME.pack(MARKER, len(payload), number)
    header = fields + _CRC.pack(zlib.crc32(run + fields))
    after = _chain(chain, header, payload)
    return header + payload + after, after


def scan(
    data: bytes, segment: Segment, since: tuple[int, bytes] | None = None
) -> Iterator[Frame | Broken]:
    """The frames of one segment in order; ends with a `Broken` if bytes are left.

    With `since`, the number of a frame and the chain there, `data` is what follows it.
    """
    offset, number, chain = SEGMENT_SIZE, segment.first, segment.head
    if since is not None:
        offset, number, chain = 0, since[0] + 1, since[1]
    while offset < len(data):
        header = header_at(data, offset, segment.run)
        if header is None:
            yield Broken(offset, number, "no frame header can be read here")
            return
        length, found = header
        end = offset + FRAME_OVERHEAD + length
        if found != number:
            yield Broken(offset, number, f"frame {found} stands where {number} belongs")
            return
        if end > len(data):
            yield Broken(offset, number, "the frame is cut short")
            return
        body = offset + HEADER_SIZE
        payload = data[body : body + length]
        after = _chain(chain, data[offset:body], payload)
        if after != data[end - CHAIN : end]:
            yield Broken(offset, number, "the frame's bytes do not match its chain")
            return
        yield Frame(offset, number, payload, after, end)
        offset, number, chain = end, number + 1, after


def later_frame(data: bytes, broken: Broken, segment: Segment) -> int | None:
    """Offset of a frame of this run after the broken one, if there is any.

    Every frame is synced before the next one is written, so a frame that has a later
    one was acknowledged: only the very last can be torn.  Older frames within its own
    payload are none that stand later: people may have saved them in a label file.
    """
    own, within = header_at(data, broken.offset, segment.run), broken.offset + 1
    if own is not None and own[1] == broken.number:
        within = broken.offset + FRAME_OVERHEAD + own[0]
    marker = struct.pack("<I", MARKER)
    at = data.find(marker, broken.offset)
    while at != -1:
        header = header_at(data, at, segment.run)
        if header is not None and (at >= within or header[1] > broken.number):
            return at
        at = data.find(marker, at + 1)
    return None


def header_at(data: bytes, offset: int, run: bytes) -> tuple[int, int] | None:
    """(payload length, number) if a valid header stands here."""
    fields = data[offset : offset + _FRAME.size]
    crc = data[offset + _FRAME.size : offset + HEADER_SIZE]
    if len(crc) < _CRC.size or _CRC.pack(zlib.crc32(run + fields)) != crc:
        return None
    marker, length, number = _FRAME.unpack(fields)
    if marker != MARKER or length > MAX_PAYLOAD:
        return None
    return length, number


def _chain(chain: bytes, header: bytes, payload: bytes) -> bytes:
    digest = hashlib.blake2b(chain, digest_size=CHAIN)
    digest.update(header)
    digest.update(payload)
    return digest.digest()
