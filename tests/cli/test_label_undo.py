"""Taking answers back in `onlinedpo label`: how far it goes, and what it writes."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from tests.cli.labelling import pair, piped, waiting
from tests.states import facts


def test_undo_goes_back_to_any_depth(tmp_path: Path) -> None:
    """Taken back answers leave the files as they were, and are asked again in order."""
    run = waiting(tmp_path, *map(pair, range(4)))
    before = [run.todo(n).read_bytes() for n in range(4)]

    _, told = piped(run, "121uuu")

    assert [run.todo(n).read_bytes() for n in range(4)] == before
    assert "taken back: 2" in told

    piped(run, "111uu2t")
    assert run.choices() == ["1", "2", "tie", ""]


def test_undo_reaches_what_was_answered_earlier(tmp_path: Path) -> None:
    """In a new session u goes on with this person's answers of the one before."""
    run = waiting(tmp_path, *map(pair, range(3)))
    piped(run, "12", "--annotator", "anna")

    piped(run, "uu", "--annotator", " anna ")

    assert run.choices() == ["", "", ""]
    assert run.said(0).annotator == ""


def test_nobody_sees_or_takes_back_the_answers_of_others(tmp_path: Path) -> None:
    """u ends at the person's own answers, and the pairs of others are not shown."""
    run = waiting(tmp_path, *map(pair, range(3)))
    piped(run, "n secret\n1", "--annotator", "anna")

    _, told = piped(run, "u", "--annotator", "ben")

    assert run.choices() == ["1", "", ""]
    assert "there is no answer of yours to take back" in told
    assert "0/2 labelled" in told
    assert "secret" not in told and "Question 0?" not in told


def test_an_answer_in_the_journal_is_taken_back_by_the_word_undo(
    tmp_path: Path,
) -> None:
    """In done/ the file says `choice: undo`, and can be answered again at once."""
    run = waiting(tmp_path, *map(pair, range(2)))
    me = pwd.getpwuid(os.getuid()).pw_name
    piped(run, "1")
    run.taken_in(0, annotator=me)

    _, told = piped(run, "u")
    assert "choice: undo" in run.done(0).read_text()
    assert "Question 0?" in told and "taken back: 1" in told

    run.done(0).write_bytes(run.done(0).read_bytes().replace(b": undo", b": 1"))
    run.journalled(facts.vote(0, raw=run.done(0).read_bytes(), annotator=me))
    piped(run, "u2")
    assert "choice: 2" in run.done(0).read_text()


def test_what_was_trained_on_is_not_taken_back(tmp_path: Path) -> None:
    """Earlier answers can be undone until their pair has ended."""
    run = waiting(tmp_path, *map(pair, range(2)))
    piped(run, "1", "--annotator", "anna")
    run.taken_in(0, annotator="anna")
    run.journalled(facts.people_say(0))
    run.journalled(facts.step(1, 0))

    _, told = piped(run, "u", "--annotator", "anna")

    assert "there is no answer of yours to take back" in told
    assert "choice: 1" in run.done(0).read_text()
