"""Another judge's verdicts serve for the run that they were given on, and no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from onlinedpo.journal import forking, other_labels
from onlinedpo.journal.reader import Position, Reader
from onlinedpo.states.errors import UsageError
from onlinedpo.states.records import Record, Sampled
from tests.journal.kit import OTHER_RUN, RUN, write
from tests.states import facts

OPENED = replace(facts.run_opened(judge="toy"), run_id=RUN.hex())
PAIRS = [facts.sampled(0), facts.sampled(1)]


@pytest.fixture
def source(tmp_path: Path) -> forking.Source:
    """A run of two pairs."""
    write(tmp_path / "run", [[[OPENED], [*PAIRS]]])
    return forking.read(tmp_path / "run")


def position(source: forking.Source) -> Position:
    """Where the run's journal ends."""
    reader = Reader(source.journal)
    reader.fold()
    assert reader.position
    return reader.position


def judged(folder: Path, source: forking.Source, *pairs: Sampled) -> Path:
    """The folder of a judge who was asked about these pairs, and has said all."""
    at = position(source)
    derived = facts.derived(
        purpose="rejudge", source=RUN.hex(), frame=at.number, chain=at.chain
    )
    tickets = [pair.ticket for pair in pairs]
    batches: list[list[Record]] = [
        [facts.run_opened(), derived],
        [*pairs],
        [facts.submitted(*tickets)],
    ]
    for ticket in tickets:
        batches.append([facts.verdict(ticket), facts.dropped(ticket)])
    write(folder / "journal", [batches], OTHER_RUN)
    return folder


def test_the_verdicts_on_a_runs_pairs_are_read(
    source: forking.Source, tmp_path: Path
) -> None:
    """By the pairs that they are on."""
    read = other_labels.rejudged(judged(tmp_path / "other", source, *PAIRS), source)
    assert {*read.verdicts} == {0, 1}
    assert read.left_out == 0


def test_a_pair_that_the_run_has_otherwise_is_refused(
    source: forking.Source, tmp_path: Path
) -> None:
    """Its name is of what is in it: the verdict is on another pair."""
    foreign = facts.sampled(1, first=facts.completion(9, 9, 9))
    assert foreign.pair != PAIRS[1].pair
    folder = judged(tmp_path / "other", source, PAIRS[0], foreign)
    with pytest.raises(UsageError, match=f"pair {PAIRS[1].pair} is {foreign.pair}"):
        other_labels.rejudged(folder, source)


def test_a_run_that_was_put_back_and_went_another_way_is_refused(
    source: forking.Source, tmp_path: Path
) -> None:
    """The same run by its name, but not at the place where it was judged."""
    folder = judged(tmp_path / "other", source, *PAIRS)
    write(tmp_path / "again", [[[OPENED], [PAIRS[0]], [facts.submitted(0)]]])
    other = forking.read(tmp_path / "again")
    with pytest.raises(UsageError, match="frame 2 is another one"):
        other_labels.rejudged(folder, other)
