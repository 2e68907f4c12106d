"""A journal followed while it grows: all that is whole, once, and never half of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from onlinedpo.journal.following import Following
from onlinedpo.journal.frames import SEGMENT_SIZE
from onlinedpo.journal.reader import Reader
from onlinedpo.journal.writer import Journal
from onlinedpo.states.errors import JournalDamaged
from onlinedpo.states.lifecycle import by_table
from onlinedpo.states.records import Record, TailCut
from tests.journal import kit
from tests.states import facts


def new(following: Following) -> list[Record]:
    """The records that have come since the last look."""
    return list(following.records())


def begun(folder: Path) -> Following:
    """A journal of two segments that was followed to its end."""
    kit.two_segments(folder, drops=2)
    following = Following(folder)
    assert new(following) == kit.recorded(folder)
    return following


def test_each_look_gives_what_has_come_since(tmp_path: Path) -> None:
    """Every appended frame comes once, and nothing while nothing is written."""
    with Journal.create(tmp_path, kit.RUN, by_table) as journal:
        following = Following(tmp_path)
        assert new(following) == []
        journal.append([facts.run_opened(), facts.process_started()])
        assert new(following) == [facts.run_opened(), facts.process_started()]
        assert new(following) == []
        for batch in facts.life(0, 1):
            journal.append(batch)
        assert new(following) == [r for batch in facts.life(0, 1) for r in batch]
        assert new(following) == []


def test_written_byte_by_byte_it_comes_as_it_is_read_at_once(quick: Path) -> None:
    """Whatever part of a frame is there, the frame comes when it is whole."""
    source, folder = quick / "source", quick / "journal"
    batches = kit.two_segments(source, drops=2)
    folder.mkdir()
    following, found, places = Following(folder), [], []
    for name, data in kit.files(source).items():
        ends = {SEGMENT_SIZE}
        for frame in kit.spans(source / name).frames:
            ends.add(max(ends) + len(frame))
        # A segment's header is whole before the file has its name.
        (folder / name).write_bytes(data[:SEGMENT_SIZE])
        with (folder / name).open("ab", buffering=0) as file:
            for at in range(SEGMENT_SIZE + 1, len(data) + 1):
                file.write(data[at - 1 : at])
                came = list(following.batches())
                assert len(came) == (at in ends)
                assert (following.tail is None) == (at in ends)
                places += [str(place) for place, _ in came]
                found += [batch for _, batch in came]
    assert found == batches
    assert places == [str(place) for place, _ in Reader(folder).batches()]


def test_a_torn_tail_is_left_and_the_process_that_cuts_it_is_followed(
    tmp_path: Path,
) -> None:
    """Killed inside an append: then the file shrinks, and a new segment begins."""
    folder = tmp_path / "journal"
    following = begun(folder)
    frame = kit.spans(folder / "000002.odj").frames[0]
    for torn in (frame[:10], frame[:-1], b"\0" * 4000):
        last = max(folder.glob("*.odj"))
        with last.open("ab") as file:
            file.write(torn)
        assert new(following) == []
        assert following.tail is not None and following.tail.data == torn
        with Journal.open(folder, {}, by_table) as journal:
            more = facts.dropped(journal.ledger.next_ticket)
            journal.append([more])
            cut, came = new(following)
            assert isinstance(cut, TailCut) and cut.size == len(torn)
            assert came == more
    assert new(following) == []


def test_several_segments_may_come_between_two_looks(tmp_path: Path) -> None:
    """As they do where processes begin and end quickly."""
    following, more = begun(tmp_path), []
    for _ in range(3):
        with Journal.open(tmp_path, {}, by_table) as journal:
            more.append(facts.dropped(journal.ledger.next_ticket))
            journal.append(more[-1:])
    with Journal.open(tmp_path, {}, by_table):
        # One that has written nothing yet.
        assert new(following) == more
    assert new(following) == []


def test_what_was_read_is_not_read_again(tmp_path: Path) -> None:
    """However long the journal is, a look costs what is new in it."""
    following = begun(tmp_path)
    for name, data in kit.files(tmp_path).items():
        (tmp_path / name).write_bytes(bytes(len(data)))
    assert new(following) == []


def shrunk(folder: Path) -> None:
    """A byte that was read is gone."""
    path = folder / "000002.odj"
    path.write_bytes(path.read_bytes()[:-1])


def removed(folder: Path) -> None:
    """A whole segment is gone."""
    (folder / "000001.odj").unlink()


def another_runs(folder: Path) -> None:
    """The next segments are those of another run."""
    kit.two_segments(folder / "other", drops=2, run=kit.OTHER_RUN)
    for n, name in enumerate(("000001.odj", "000002.odj"), start=3):
        (folder / "other" / name).rename(folder / f"00000{n}.odj")


def broken_before_a_segment(folder: Path) -> None:
    """Bytes were added to a segment that has a successor."""
    Journal.open(folder, {}, by_table).close()
    with (folder / "000002.odj").open("ab") as file:
        file.write(b"more")


def broken_before_a_frame(folder: Path) -> None:
    """A bit is flipped in a frame that has a successor."""
    with Journal.open(folder, {}, by_table) as journal:
        ticket = journal.ledger.next_ticket
        journal.append([facts.dropped(ticket)])
        journal.append([facts.dropped(ticket + 1)])
    path = folder / "000003.odj"
    data = bytearray(path.read_bytes())
    data[SEGMENT_SIZE + 30] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("harm", "where"),
    [
        (shrunk, r"000002.odj: byte \d+: the file ends before"),
        (removed, "000001.odj is missing"),
        (another_runs, "000003.odj: byte 0: .*does not continue"),
        (broken_before_a_segment, r"000002.odj: byte \d+: .*a later segment follows"),
        (broken_before_a_frame, r"000003.odj: byte 88: .*a later frame stands at"),
    ],
)
def test_damage_is_seen_while_following(
    harm: Callable[[Path], None], where: str, tmp_path: Path
) -> None:
    """What no writer and no crash leaves is refused, with file and byte."""
    following = begun(tmp_path)
    harm(tmp_path)
    with pytest.raises(JournalDamaged, match=where):
        new(following)
