"""Sound frames and segments in the wrong place make an unsound journal."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, permutations
from pathlib import Path

import pytest

from onlinedpo.journal.reader import Reader
from onlinedpo.journal.writer import Journal
from onlinedpo.states.errors import JournalDamaged
from onlinedpo.states.lifecycle import by_table
from onlinedpo.states.records import Record
from tests.conftest import Count
from tests.journal import kit
from tests.journal.rot import FIRST, LAST
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


@pytest.mark.parametrize("name", [FIRST, LAST])
@pytest.mark.parametrize("how", ["instead", "before", "from there on"])
def test_a_frame_of_another_segment_is_seen(
    quick: Path, name: str, how: str, count: Count
) -> None:
    """Every frame of one segment, at every place of the other one of the same run."""
    folder = quick / "run" / "journal"
    batches = kit.two_segments(folder, drops=2)
    good = kit.files(folder)
    own = kit.spans(folder / name)
    other = kit.spans(folder / (LAST if name == FIRST else FIRST)).frames
    size, tried = len(own.frames), 0
    for at in range(size + (how != "instead")):
        for index, frame in enumerate(other):
            inserted = other[index:] if how == "from there on" else [frame]
            rest = [] if how == "from there on" else own.frames[at + (how[0] == "i") :]
            spliced = [*own.frames[:at], *inserted, *rest]
            (folder / name).write_bytes(own.header + b"".join(spliced))
            tried += 1
            if name == LAST and not rest and len(inserted) == 1:
                found, told = read(folder)
                assert found == list(chain(*batches[: 7 + at])) and told
            else:
                with pytest.raises(JournalDamaged, match=r"00000[12].odj: byte \d+"):
                    read(folder)
    kit.put(folder, good)
    assert read(folder) == (list(chain(*batches)), False)
    count("frames spliced into a journal", tried)


def test_a_frame_at_any_other_place_of_its_segment_is_seen(
    quick: Path, count: Count
) -> None:
    """Moved, or copied over another one: from every place to every place."""
    folder = quick / "run" / "journal"
    batches = kit.two_segments(folder, drops=2)
    tried = 0
    for name, good in kit.files(folder).items():
        segment = kit.spans(folder / name)
        size = len(segment.frames)
        for at, to in permutations(range(size), 2):
            moved = [*segment.frames]
            moved.insert(to, moved.pop(at))
            copied = [*segment.frames]
            copied[to] = copied[at]
            for frames in (moved, copied):
                (folder / name).write_bytes(segment.header + b"".join(frames))
                tried += 1
                if name == LAST and frames is copied and to == size - 1:
                    assert read(folder) == (list(chain(*batches[:-1])), True)
                else:
                    with pytest.raises(JournalDamaged, match=rf"{name}: byte \d+"):
                        read(folder)
        (folder / name).write_bytes(good)
    count("frames spliced into a journal", tried)


def test_what_was_put_back_from_earlier_is_seen_if_anything_speaks_of_later(
    quick: Path, count: Count
) -> None:
    """Each segment, and both, as they were after each frame.

    The next segment speaks for all of an earlier one, and a checkpoint for all that was
    written before it.  Where neither is left, an earlier state of the whole journal is
    a sound journal: nothing in the folder can tell.  A head that was noted elsewhere
    tells, given to `onlinedpo audit --expect`.
    """
    folder = quick / "run" / "journal"
    batches = kit.two_segments(folder, drops=2)
    good = kit.files(folder)
    chains = {f.number: f.chain for _, f in Reader(folder).whole_frames()}
    first, last = kit.spans(folder / FIRST), kit.spans(folder / LAST)
    tried = 0
    for left in range(len(first.frames)):
        earlier = first.header + b"".join(first.frames[:left])
        kit.put(folder, {**good, FIRST: earlier})
        with pytest.raises(JournalDamaged, match=f"{LAST}: byte 0: .*not continue"):
            read(folder)
        kit.put(folder, {FIRST: earlier})
        tried += 2 + _anchored(folder, batches[:left], chains)
    for left in range(len(last.frames)):
        kit.put(folder, {**good, LAST: last.header + b"".join(last.frames[:left])})
        tried += 1 + _anchored(folder, batches[: 7 + left], chains)
    count("segments put back from earlier", tried)


def _anchored(folder: Path, batches: kit.Batches, chains: dict[int, bytes]) -> int:
    """Sound without an anchor, and with those before its end; refused with others."""
    assert read(folder) == (list(chain(*batches)), False)
    for number, head in chains.items():
        reader = Reader(folder, {number: head})
        if number <= len(batches):
            reader.fold()
            continue
        with pytest.raises(JournalDamaged, match=f"ends before frame {number}"):
            reader.fold()
        with pytest.raises(JournalDamaged, match=f"ends before frame {number}"):
            Journal.open(folder, {number: head}, by_table)
    return len(chains)
