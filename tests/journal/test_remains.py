"""What can still be read of a damaged journal: all that the chain vouches for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from onlinedpo.journal import frames
from onlinedpo.journal.reader import Reader
from onlinedpo.journal.repair.remains import Remains
from onlinedpo.states.errors import JournalError
from tests.journal import kit
from tests.states import facts

Payloads = dict[int, bytes]


def found(folder: Path) -> tuple[Payloads, Remains]:
    """The whole frames, and what is said of the rest."""
    remains = Remains(folder)
    read = {place.number: payload for place, payload in remains.whole_frames()}
    return read, remains


def is_refused(folder: Path) -> bool:
    """Whether the reader takes the journal for damaged."""
    try:
        for _ in Reader(folder).whole_frames():
            pass
    except JournalError:
        return True
    return False


@pytest.fixture
def folder(quick: Path) -> Path:
    """A journal of two segments, eight frames each."""
    kit.two_segments(quick / "run" / "journal", drops=3)
    return quick / "run" / "journal"


@pytest.mark.parametrize("name", ["000001.odj", "000002.odj"])
def test_one_damaged_byte_costs_one_frame_at_most(folder: Path, name: str) -> None:
    """Wherever it stands; and none in a header, or at a frame's end where one follows.

    Nothing comes back that was not written, and what is told agrees with the reader.
    """
    whole, path = found(folder)[0], folder / name
    segment = kit.spans(path)
    data = path.read_bytes()
    ends = {len(segment.header)}
    for frame in segment.frames:
        ends.add(max(ends) + len(frame))
    for at in range(0, len(data), 5):
        changed = bytearray(data)
        changed[at] ^= 1
        path.write_bytes(changed)
        read, remains = found(folder)
        lost = whole.keys() - read.keys()
        assert read.items() <= whole.items()
        assert len(lost) <= 1
        (flaw,) = remains.flaws
        assert flaw.torn != is_refused(folder)
        in_header = at < len(segment.header)
        at_an_end = any(end - frames.CHAIN <= at < end for end in ends)
        last = at >= len(data) - len(segment.frames[-1])
        if in_header or (at_an_end and not last):
            # What was there follows from what stands before and after it.
            assert not lost


def cut_out(data: bytes, start: int, end: int) -> bytes:
    """These bytes are gone, and what follows moves up."""
    return data[:start] + data[end:]


def blanked(data: bytes, start: int, end: int) -> bytes:
    """These bytes are zeros."""
    return data[:start] + bytes(end - start) + data[end:]


def cut_off(data: bytes, start: int, end: int) -> bytes:
    """The file ends there."""
    return data[:start]


def stuffed(data: bytes, start: int, end: int) -> bytes:
    """The bytes stand there twice."""
    return data[:end] + data[start:]


@pytest.mark.parametrize("name", ["000001.odj", "000002.odj"])
@pytest.mark.parametrize("change", [cut_out, blanked, cut_off, stuffed])
def test_a_damaged_stretch_costs_what_is_in_it(
    change: Callable[[bytes, int, int], bytes], name: str, folder: Path
) -> None:
    """And the frame after it, where nothing vouches for that any more."""
    whole, path = found(folder)[0], folder / name
    data = path.read_bytes()
    base = 0 if name == "000001.odj" else 8
    starts = [frames.SEGMENT_SIZE]
    for frame in kit.spans(path).frames:
        starts.append(starts[-1] + len(frame))
    for first in range(8):
        for length, inside in (
            (40, 1),
            (90, 1),
            (starts[first + 1] - starts[first], 0),
        ):
            start = starts[first] + 10 * inside
            end = min(start + length, len(data))
            path.write_bytes(change(data, start, end))
            read, remains = found(folder)
            assert read.items() <= whole.items()
            touched = {n for n in range(8) if starts[n] < end and start < starts[n + 1]}
            lost = {number - base - 1 for number in whole.keys() - read.keys()}
            if change is cut_off:
                assert lost == set(range(first, 8))
            else:
                assert lost <= touched | {max(touched) + 1}
            assert is_refused(folder) == any(not f.torn for f in remains.flaws)
    path.write_bytes(data)


def test_a_missing_segment_costs_its_frames(folder: Path) -> None:
    """It is named; the others are read."""
    whole = found(folder)[0]
    (folder / "000001.odj").unlink()
    read, remains = found(folder)
    assert read == {number: whole[number] for number in range(9, 17)}
    assert [str(f) for f in remains.flaws] == [
        f"{folder / '000001.odj'}: this segment is missing"
    ]
    (folder / "000002.odj").rename(folder / "000009.odj")
    read, remains = found(folder)
    assert not read
    assert "000001.odj: this segment is missing, and those to 000008" in str(
        remains.flaws[0]
    )
    assert "segment 2 under another name" in str(remains.flaws[1])


def test_a_segment_put_back_from_too_early_a_copy_is_told(folder: Path) -> None:
    """It is sound in itself: that frames are gone from its end, the next one tells."""
    whole, path = found(folder)[0], folder / "000001.odj"
    last = kit.spans(path).frames[-1]
    path.write_bytes(path.read_bytes()[: -len(last)])
    read, remains = found(folder)
    assert read == {n: payload for n, payload in whole.items() if n != 8}
    (flaw,) = remains.flaws
    assert f"000001.odj: byte {flaw.offset}: the file ends here; frames to 8" in str(
        flaw
    )


def three_segments(folder: Path, run: bytes = kit.RUN, seed: int = 0) -> None:
    """A journal that three processes wrote."""
    opened = facts.run_opened(seed=seed)
    drops: list[kit.Batches] = [[[facts.dropped(n)], []] for n in (0, 1)]
    kit.write(folder, [[[opened]], *drops], run)


@pytest.mark.parametrize(
    ("theirs", "read_on", "says"),
    [
        ({"000003.odj": "run"}, [1, 2, 3], ["of another run, 01020304"]),
        ({"000002.odj": "run"}, [1, 4, 5], ["of another run"]),
        ({"000003.odj": "copy"}, [1, 2, 3], ["does not continue"]),
        ({"000002.odj": "copy"}, [1, 4, 5], ["does not continue"]),
        # The third one goes on from the second: so neither is of this history.
        (
            {"000002.odj": "copy", "000003.odj": "copy"},
            [1],
            ["does not continue", "does not continue"],
        ),
    ],
)
def test_a_segment_from_elsewhere_is_not_read(
    theirs: dict[str, str], read_on: list[int], says: list[str], quick: Path
) -> None:
    """Of another run, or of a copy of this one that went on in another way."""
    three_segments(quick / "ours")
    three_segments(quick / "run", kit.OTHER_RUN)
    three_segments(quick / "copy", seed=1)
    whole = found(quick / "ours")[0]
    for name, other in theirs.items():
        (quick / "ours" / name).write_bytes((quick / other / name).read_bytes())
    read, remains = found(quick / "ours")
    assert read == {number: whole[number] for number in read_on}
    assert len(remains.flaws) == len(says)
    for flaw, words, name in zip(remains.flaws, says, theirs, strict=True):
        assert words in flaw.what and flaw.path.name == name
    assert is_refused(quick / "ours")


def test_a_journal_whose_headers_are_all_damaged_is_read(folder: Path) -> None:
    """The run's id stands in the first frame too: so every frame can be checked."""
    whole = found(folder)[0]
    for path in folder.glob("*.odj"):
        path.write_bytes(bytes(frames.SEGMENT_SIZE) + path.read_bytes()[88:])
    opened = facts.run_opened()
    assert opened.run_id == "ab" * 16
    read, remains = found(folder)
    # These facts were written under another id than they tell.
    assert (read, remains.run) == ({}, None)
    run = folder.parent.parent / "own" / "journal"
    kit.two_segments(run, drops=3, run=bytes.fromhex(opened.run_id))
    for path in run.glob("*.odj"):
        path.write_bytes(bytes(frames.SEGMENT_SIZE) + path.read_bytes()[88:])
    read, remains = found(run)
    assert read == whole
    assert len(remains.flaws) == 2


def test_a_damaged_header_tells_the_run_still(quick: Path) -> None:
    """Where it is the only one, and the first frame is damaged too."""
    kit.write(quick / "one", [[[facts.run_opened()], [facts.dropped(0)], []]])
    whole, path = found(quick / "one")[0], quick / "one" / "000001.odj"
    data = bytearray(path.read_bytes())
    data[frames.SEGMENT_SIZE - 1] ^= 1
    data[frames.SEGMENT_SIZE + 60] ^= 1
    path.write_bytes(data)
    read, remains = found(quick / "one")
    assert (read, remains.run) == ({n: whole[n] for n in (2, 3)}, kit.RUN)
    assert len(remains.flaws) == 2


def test_what_only_looks_like_a_frame_is_none(folder: Path) -> None:
    """With a sound header of its own: nothing in the chain vouches for it."""
    whole, path = found(folder)[0], folder / "000002.odj"
    forged, _ = frames.encode_frame(kit.RUN, bytes(32), 18, b"\x90")
    path.write_bytes(path.read_bytes() + forged)
    read, remains = found(folder)
    assert read == whole
    assert not remains.flaws[0].torn
    assert is_refused(folder)


def test_a_file_that_cannot_be_read_is_a_flaw(folder: Path) -> None:
    """The rest is read."""
    whole = found(folder)[0]
    (folder / "000002.odj").unlink()
    (folder / "000002.odj").mkdir()
    (folder / "notes.odj").write_text("not ours")
    read, remains = found(folder)
    assert read == {number: whole[number] for number in range(1, 9)}
    assert "000002.odj: the file cannot be read" in str(remains.flaws[0])
