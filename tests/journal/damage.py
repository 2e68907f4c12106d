"""Ways in which the bytes of a journal come to harm."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

from onlinedpo.journal import frames
from onlinedpo.journal.reader import Reader, path_of
from tests.journal import kit

Harm = Callable[[Path, int], None]
"""Does harm to the frame of a journal folder that has this number."""


def place(folder: Path, number: int) -> tuple[Path, int, int]:
    """A frame's file, and its first byte and end there."""
    for path, frame in Reader(folder).whole_frames():
        if frame.number == number:
            return path, frame.offset, frame.end
    raise AssertionError(f"there is no frame {number}")


def count(folder: Path) -> int:
    """The number of frames of a sound journal."""
    return sum(1 for _ in Reader(folder).whole_frames())


def flip(path: Path, at: int) -> None:
    """One bit of a file is another."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def flipped(folder: Path, number: int) -> None:
    """A bit in the middle of the frame's payload."""
    path, start, end = place(folder, number)
    flip(path, (start + frames.HEADER_SIZE + end - frames.CHAIN) // 2)


def dropped(folder: Path, number: int) -> None:
    """The frame is cut out, and those after it move up."""
    path, start, end = place(folder, number)
    data = path.read_bytes()
    path.write_bytes(data[:start] + data[end:])


def blanked(folder: Path, number: int) -> None:
    """A sector of zeros, from within the frame on."""
    path, start, _ = place(folder, number)
    data = path.read_bytes()
    path.write_bytes(data[: start + 9] + bytes(512) + data[start + 9 + 512 :])


def cut(folder: Path, number: int) -> None:
    """The file ends within the frame."""
    path, start, _ = place(folder, number)
    path.write_bytes(path.read_bytes()[: start + 30])


def gone(folder: Path, number: int) -> None:
    """The file that holds the frame is missing."""
    place(folder, number)[0].unlink()


def unheaded(folder: Path, number: int) -> None:
    """The header of the segment that holds the frame."""
    flip(place(folder, number)[0], 40)


HARMS: tuple[Harm, ...] = (flipped, dropped, blanked, cut, gone, unheaded)


def forged(folder: Path, number: int, payload: bytes) -> None:
    """Let a frame hold something else, with all sums and the chain made to fit."""
    payloads = [frame.payload for _, frame in Reader(folder).whole_frames()]
    payloads[number - 1] = payload
    kit.put(folder, dict(_segment(folder, payloads)))


def _segment(folder: Path, payloads: list[bytes]) -> Iterator[tuple[str, bytes]]:
    """All frames in one segment."""
    run = frames.decode_segment(path_of(folder, 1).read_bytes()).run
    segment = frames.Segment(run, 1, 1, 0, bytes(frames.CHAIN))
    data, chain = segment.encode(), segment.head
    for number, payload in enumerate(payloads, start=1):
        frame, chain = frames.encode_frame(run, chain, number, payload)
        data += frame
    yield "000001.odj", data


def spoil(run: Path, others: list[dict[str, bytes]], chance: random.Random) -> None:
    """Do some harm to some file of a run."""
    files = sorted(path for path in run.rglob("*") if path.is_file())
    path = chance.choice([f for f in files if f.suffix == ".odj"] * 2 + files)
    data, other = path.read_bytes(), chance.choice(others)
    at = chance.randrange(len(data) + 1)
    end = min(len(data), at + chance.choice([1, 40, 700]))
    match chance.randrange(9):
        case 0:
            path.write_bytes(data[:at])
        case 1:
            path.write_bytes(data[:at] + data[end:])
        case 2:
            path.write_bytes(data[:at] + chance.randbytes(end - at) + data[end:])
        case 3:
            path.write_bytes(data[:at] + data[at:end] + data[at:])
        case 4:
            path.write_bytes(data + chance.randbytes(chance.choice([3, 60, 900])))
        case 5:
            path.unlink()
        case 6:
            path.write_bytes(chance.choice(files).read_bytes())
        case 7:
            path.write_bytes(other[chance.choice(sorted(other))])
        case 8:
            path.with_name(f"{chance.randrange(5):06d}.odj").write_bytes(data)
