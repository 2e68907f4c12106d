"""Damage is always seen: never skipped, never guessed, never an altered record."""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path

import pytest

from onlinedpo.journal.frames import SEGMENT_SIZE
from onlinedpo.journal.reader import Reader
from onlinedpo.journal.writer import Journal
from onlinedpo.states.errors import JournalDamaged
from onlinedpo.states.lifecycle import by_table
from tests.journal import kit

NAMED = re.compile(r"(\d{6}\.odj): .*?byte (\d+)")


def payloads(folder: Path) -> tuple[list[bytes], Reader]:
    """Every payload of a journal, as bytes, and the reader at its end."""
    reader = Reader(folder)
    return [frame.payload for _, frame in reader.whole_frames()], reader


def changed(path: Path, at: int) -> list[int]:
    """The byte with one bit flipped, as zero, and as 255, where that is a change."""
    byte = path.read_bytes()[at]
    return [value for value in {byte ^ 1, 0x00, 0xFF} if value != byte]


@pytest.mark.parametrize("name", ["000001.odj", "000002.odj"])
def test_a_changed_byte_is_seen_wherever_it_stands(quick: Path, name: str) -> None:
    """Every byte, three ways, some 8,000 journals a segment.

    It is refused, naming the file and the frame it stands in.  Only in the very last
    frame can it not be told from a torn write: then that frame is cut off, whole.
    """
    folder = quick / "run" / "journal"
    kit.two_segments(folder)
    whole, _ = payloads(folder)
    path = folder / name
    segment = kit.spans(path)
    starts = [0, SEGMENT_SIZE]
    for frame in segment.frames:
        starts.append(starts[-1] + len(frame))
    last_frame = starts[-2] if name == "000002.odj" else starts[-1]
    fd = os.open(path, os.O_RDWR)
    torn = 0
    for start, end in pairwise(starts):
        for at in range(start, end):
            good = os.pread(fd, 1, at)
            for value in changed(path, at):
                os.pwrite(fd, bytes([value]), at)
                try:
                    found, reader = payloads(folder)
                except JournalDamaged as error:
                    told = NAMED.search(str(error))
                    assert told, error
                    assert (told[1], int(told[2])) == (name, start), error
                    assert start < last_frame
                else:
                    assert start == last_frame
                    assert found == whole[:-1]
                    assert reader.tail is not None
                    assert (reader.tail.path, reader.tail.offset) == (path, start)
                    torn += 1
            os.pwrite(fd, good, at)
    os.close(fd)
    assert payloads(folder)[0] == whole
    assert (torn > 100) == (name == "000002.odj")


def test_the_writer_refuses_damage_and_leaves_all_as_it_is(tmp_path: Path) -> None:
    """Opening a damaged journal changes no byte, and gives the lock back."""
    folder = tmp_path / "run" / "journal"
    kit.two_segments(folder, drops=2)
    path = folder / "000002.odj"
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    before = kit.files(folder)
    for _ in range(2):
        with pytest.raises(JournalDamaged, match=r"000002.odj: byte 88: frame 8"):
            Journal.open(folder, {}, by_table)
        assert kit.files(folder) == before
    assert not (tmp_path / "run" / "quarantine").exists()
