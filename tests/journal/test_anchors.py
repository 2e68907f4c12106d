"""Anchors: what checkpoints noted of the journal, so that no end of it can vanish."""

from __future__ import annotations

from pathlib import Path

import pytest

from onlinedpo.journal.reader import Reader
from onlinedpo.journal.writer import Journal
from onlinedpo.states.errors import JournalDamaged
from onlinedpo.states.lifecycle import by_table
from tests.journal import kit
from tests.states import facts

Anchors = dict[int, bytes]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A journal of two segments, seven frames each."""
    kit.two_segments(tmp_path / "run" / "journal", drops=2)
    return tmp_path / "run" / "journal"


def anchors_of(folder: Path) -> Anchors:
    """An anchor at every frame."""
    return {frame.number: frame.chain for _, frame in Reader(folder).whole_frames()}


def refused(folder: Path, anchors: Anchors, says: str) -> None:
    """Neither a reader nor the writer takes this journal; nothing is changed."""
    before = kit.files(folder)
    with pytest.raises(JournalDamaged, match=says):
        Reader(folder, anchors).fold()
    with pytest.raises(JournalDamaged, match=says):
        Journal.open(folder, anchors, by_table)
    assert kit.files(folder) == before
    assert not (folder.parent / "quarantine").exists()


def test_a_journal_with_all_its_anchors_is_taken(folder: Path) -> None:
    """Each frame is the one noted; the writer's own position is such an anchor."""
    anchors = anchors_of(folder)
    assert sorted(anchors) == list(range(1, 15))
    Reader(folder, anchors).fold()
    with Journal.open(folder, anchors, by_table) as journal:
        journal.append([facts.dropped(journal.ledger.next_ticket)])
        number, chain = journal.position
        journal.append([facts.dropped(journal.ledger.next_ticket)])
    assert number == 15
    Reader(folder, {**anchors, number: chain}).fold()
    refused(folder, {number: anchors[1]}, "frame 15")


def test_a_journal_shorter_than_an_anchor_is_refused(folder: Path) -> None:
    """Cut between two frames it looks whole: the anchor tells that it is not."""
    anchors, path = anchors_of(folder), folder / "000002.odj"
    frames = kit.spans(path).frames
    data = path.read_bytes()
    for gone in range(1, len(frames) + 1):
        path.write_bytes(data[: len(data) - sum(map(len, frames[-gone:]))])
        Reader(folder, {14 - gone: anchors[14 - gone]}).fold()
        refused(folder, {3: anchors[3], 14: anchors[14]}, "ends before frame 14")
    path.unlink()
    Reader(folder, {7: anchors[7]}).fold()
    refused(folder, {8: anchors[8]}, "000001.odj: the journal ends before frame 8")


def test_a_tail_is_not_cut_below_an_anchor(folder: Path) -> None:
    """A checkpoint was made after that frame: it was whole, so this is damage."""
    anchors, path = anchors_of(folder), folder / "000002.odj"
    whole = path.read_bytes()
    size = len(kit.spans(path).frames[-1])
    for cut in (1, size // 2, size - 1):
        path.write_bytes(whole[:-cut])
        refused(folder, {14: anchors[14]}, r"000002.odj: byte \d+: frame 14 is damaged")
        refused(folder, {99: anchors[14]}, r"000002.odj: byte \d+: frame 14 is damaged")
    path.write_bytes(whole[:-1])
    with Journal.open(folder, {13: anchors[13]}, by_table) as journal:
        assert journal.cuts


@pytest.mark.parametrize("number", [1, 7, 8, 14])
def test_another_history_than_the_anchors_is_refused(folder: Path, number: int) -> None:
    """A journal that is sound in itself, but not the one the checkpoint belongs to."""
    anchors = anchors_of(folder)
    other = {number: anchors[number][:-1] + bytes([anchors[number][-1] ^ 1])}
    name = "000001.odj" if number < 8 else "000002.odj"
    refused(folder, {**anchors, **other}, rf"{name}: byte \d+: frame {number}: this is")


def test_a_journal_that_is_gone_is_missed(folder: Path) -> None:
    """An empty folder does not pass for a run with checkpoints."""
    anchors = anchors_of(folder)
    kit.put(folder, {})
    refused(folder, {1: anchors[1]}, "ends before frame 1")
