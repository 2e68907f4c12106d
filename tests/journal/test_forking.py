"""A journal that begins as another one does."""

from __future__ import annotations

from pathlib import Path

import pytest

from onlinedpo.journal import forking
from onlinedpo.journal.reader import Reader
from onlinedpo.journal.writer import Journal
from onlinedpo.states.errors import UsageError
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.lifecycle import Phase, by_table
from onlinedpo.states.records import (
    Derived,
    Dropped,
    Escalated,
    Evaluated,
    Record,
    Restored,
    RunOpened,
    TailCut,
)
from tests.journal.kit import OTHER_RUN, RUN, recorded, write
from tests.states import facts

BEGUN: list[Record] = [facts.run_opened(judge="toy"), facts.process_started()]
TWO_STEPS: list[list[Record]] = [
    BEGUN,
    [facts.evaluated(0, "win")],
    *facts.life(0, 1),
    [facts.sampled(1, step=1), facts.sampled(2, step=1)],
    [facts.submitted(1, 2)],
    [facts.verdict(1), facts.label(1)],
    [facts.step(2, 1, state="s2")],
    [facts.verdict(2), facts.label(2, "second")],
]


def forked(folder: Path, frame: int | None = None, *, win_rates: bool = True) -> Ledger:
    """Copy the journal `here` to `there`, up to a frame; the state it adds up to."""
    source = forking.read(folder / "here")
    with Journal.create(folder / "there", OTHER_RUN, by_table) as journal:
        until = source.frame if frame is None else frame
        forking.copy(source, journal, until, facts.NOW, win_rates=win_rates)
        return journal.ledger


def test_each_step_that_stands_has_its_frame(tmp_path: Path) -> None:
    """After a rewind it is that of the step that was taken last."""
    back: list[list[Record]] = [
        [facts.restored(facts.sampled(1, step=1), facts.label(1))],
        [facts.rewound(1, (1,))],
        [facts.step(2, 1)],
        [facts.step(3, 2)],
    ]
    write(tmp_path / "here", [[*TWO_STEPS, *back]])
    source = forking.read(tmp_path / "here")
    chains = {p.number: p.chain for p, _ in Reader(tmp_path / "here").batches()}

    assert {i: frame for i, (frame, _) in source.steps.items()} == {1: 6, 2: 14, 3: 15}
    assert {frame: chain for frame, chain in source.steps.values()} == {
        frame: chains[frame] for frame in (6, 14, 15)
    }
    assert (source.frame, source.chain) == (15, chains[15])


def test_facts_are_copied_into_a_chain_of_their_own(tmp_path: Path) -> None:
    """Frame by frame, under another name; a tail that was cut stays where it is."""
    write(tmp_path / "here", [[*TWO_STEPS[:3], [facts.tail_cut()]], TWO_STEPS[3:]])
    ledger = forked(tmp_path)

    copied, facts_here = recorded(tmp_path / "there"), recorded(tmp_path / "here")
    assert [r for r in facts_here if not isinstance(r, RunOpened | TailCut)] == copied[
        1:
    ]
    assert isinstance(copied[0], RunOpened)
    assert copied[0].run_id == OTHER_RUN.hex() != RUN.hex()
    assert copied[0].settings == TWO_STEPS[0][0].settings  # type: ignore[union-attr]
    assert ledger.steps == 2 and ledger.in_phase(Phase.LABELLED)
    lengths = [len(batch) for _, batch in Reader(tmp_path / "there").batches()]
    assert lengths == [len(batch) for batch in TWO_STEPS]


def test_what_comes_after_a_frame_is_left(tmp_path: Path) -> None:
    """What was in flight there is in flight."""
    write(tmp_path / "here", [TWO_STEPS])
    source = forking.read(tmp_path / "here")
    ledger = forked(tmp_path, source.steps[2][0], win_rates=False)

    assert ledger.steps == 2
    assert [turn.phase for turn in ledger.turns.values()] == [Phase.JUDGING]
    assert not [r for r in recorded(tmp_path / "there") if isinstance(r, Evaluated)]


def test_a_half_written_frame_is_not_read(tmp_path: Path) -> None:
    """The run may be at work."""
    write(tmp_path / "here", [TWO_STEPS])
    segment = tmp_path / "here" / "000001.odj"
    before = segment.read_bytes()
    segment.write_bytes(before + before[-60:-20])
    source = forking.read(tmp_path / "here")

    assert source.frame == len(TWO_STEPS)
    assert segment.read_bytes() == before + before[-60:-20]


def test_changes_count_from_where_they_are_said(tmp_path: Path) -> None:
    """Later than what the other run had changed; also in a fork of a fork."""
    write(
        tmp_path / "here",
        [[*TWO_STEPS[:6], [facts.process_started(iters=70)], *TWO_STEPS[6:]]],
    )
    source = forking.read(tmp_path / "here")
    seen = []
    with Journal.create(tmp_path / "there", OTHER_RUN, by_table) as journal:
        forking.copy(source, journal, source.frame, facts.NOW)
        for iters, judge in ((80, {"kind": "people"}), (90, {"kind": "model"})):
            seen.append(journal.ledger.settings["iters"])
            forking.derive(
                journal,
                source,
                step=2,
                labels="same",
                changed={"iters": iters},
                judge=judge,
                now=facts.NOW,
            )
        ledger = journal.ledger

    assert [*seen, ledger.settings["iters"]] == [70, 80, 90]
    assert ledger.opened and ledger.opened.judge == {"kind": "model"}
    said = [r for r in recorded(tmp_path / "there") if isinstance(r, Derived)]
    assert len(said) == 2 and ledger.derived == said[-1]
    assert (said[0].frame, said[0].chain) == source.steps[2]
    assert said[0].source == TWO_STEPS[0][0].run_id  # type: ignore[union-attr]


def test_people_are_asked_what_a_judge_was_about_to_be_asked(tmp_path: Path) -> None:
    """Where they judge from there on; else the new judge is asked."""
    write(tmp_path / "here", [TWO_STEPS])
    source = forking.read(tmp_path / "here")
    for name, judge, asked in (("people", "human", [2]), ("other", "other", [])):
        with Journal.create(tmp_path / name, OTHER_RUN, by_table) as journal:
            forking.copy(source, journal, source.steps[2][0], facts.NOW)
            forking.derive(
                journal,
                source,
                step=2,
                labels="same",
                changed={"judge": judge},
                judge={},
                now=facts.NOW,
            )
            forking.ask_people(journal, facts.NOW)
        sent = [r.ticket for r in recorded(tmp_path / name) if isinstance(r, Escalated)]
        assert sent == asked


def test_steps_come_again_under_other_labels(tmp_path: Path) -> None:
    """All of them; what a judge had labelled and was not trained on yet goes."""
    write(tmp_path / "here", [TWO_STEPS])
    source = forking.read(tmp_path / "here")
    with Journal.create(tmp_path / "there", OTHER_RUN, by_table) as journal:
        forking.copy(source, journal, source.frame, facts.NOW)
        planned = forking.replan(
            journal, lambda end: end.restored(facts.label(0), facts.NOW), "human", {}
        )
        forking.begin_again(journal, planned, facts.NOW)
        ledger = journal.ledger
    copied = recorded(tmp_path / "there")

    assert planned.batches == ((0,), (1,))
    assert ledger.steps == 0
    assert [*ledger.planned] == [(0,), (1,)]
    assert [r.ticket for r in copied if isinstance(r, Dropped)] == [2]
    assert [r.sampled.ticket for r in copied if isinstance(r, Restored)] == [0, 1]


def test_without_any_winner_there_is_nothing_to_begin(tmp_path: Path) -> None:
    """It is said whose labels these are."""
    write(tmp_path / "here", [TWO_STEPS])
    forked(tmp_path)
    for labels, who in (("human", "people"), ("rejudged", "the other judge")):
        with (
            Journal.open(tmp_path / "there", {}, by_table) as journal,
            pytest.raises(UsageError, match=f"{who} found no winner"),
        ):
            forking.replan(journal, lambda ended: None, labels, {})


def test_an_empty_journal_has_nothing_to_begin_from(tmp_path: Path) -> None:
    """A run that was killed before its first fact."""
    write(tmp_path / "here", [[]])
    with pytest.raises(UsageError, match="has not begun"):
        forking.read(tmp_path / "here")
