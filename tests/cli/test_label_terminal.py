"""`onlinedpo label` in a real terminal: what is on the screen, and what is left."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from onlinedpo.journal.lock import Lock
from tests.cli.labelling import Terminal, pair, waiting

LEGEND = ("1 2 better", "t tie", "u undo", "? help", "q quit")
SIZES = [(80, 24), (40, 12)]


@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_the_keys_are_always_on_the_screen(
    columns: int, rows: int, tmp_path: Path
) -> None:
    """At the bottom, also below a text that is longer than the screen."""
    long = "\n".join(f"line {n}" for n in range(100))
    run = waiting(tmp_path, pair(0, long), pair(1))

    with Terminal(run, columns=columns, rows=rows) as terminal:
        for keys, text in (("", "Question 0?"), (" ", "line 3"), ("1", "Question 1?")):
            terminal.press(keys)
            shown = terminal.shows(text)
            lines = shown.split("\n")
            assert all(words in shown for words in LEGEND)
            assert len(lines) == rows
            assert lines[-1].endswith("q quit")
            assert all(len(line) <= columns for line in lines)


def test_in_a_tiny_window_the_keys_come_first(tmp_path: Path) -> None:
    """There the text has whatever room is left."""
    run = waiting(tmp_path, pair(0))

    with Terminal(run, columns=30, rows=5) as terminal:
        shown = terminal.shows("q quit")
        assert all(words in shown for words in LEGEND)


def test_one_key_labels_and_shows_the_next(tmp_path: Path) -> None:
    """No Enter; the answer is in the file when the next pair is there."""
    run = waiting(tmp_path, pair(0), pair(1))

    with Terminal(run, "--annotator", "anna") as terminal:
        terminal.shows("Question 0?")
        terminal.press("3")
        shown = terminal.shows("Question 1?")
        assert run.choices() == ["strongly 1", ""]
        assert "Question 0?" not in shown and "1/2 labelled" in shown
    assert run.said(0).annotator == "anna"


def test_the_time_from_showing_to_the_key_is_kept(tmp_path: Path) -> None:
    """Seconds that the person looked at the pair, and not more."""
    run = waiting(tmp_path, pair(0), pair(1))

    with Terminal(run) as terminal:
        terminal.shows("Question 0?")
        terminal.press("?")
        terminal.shows("take the last answer back")
        time.sleep(0.6)
        terminal.press("x1")
        terminal.shows("Question 1?")
        terminal.press("2")
        terminal.shows("Nothing is left")

    first, second = run.said(0).seconds, run.said(1).seconds
    assert first is not None and 0.5 <= first <= 5
    assert second is not None and second < first


def test_undo_goes_back_twice(tmp_path: Path) -> None:
    """Each u shows the pair before and takes its answer back."""
    run = waiting(tmp_path, *map(pair, range(3)))

    with Terminal(run) as terminal:
        terminal.shows("Question 0?")
        terminal.press("12")
        terminal.shows("Question 2?")
        terminal.press("u")
        assert "taken back: 2" in terminal.shows("Question 1?")
        assert run.choices() == ["1", "", ""]
        terminal.press("u")
        terminal.shows("Question 0?")
        assert run.choices() == ["", "", ""]
        terminal.press("t")
        terminal.shows("Question 1?")
        assert run.choices() == ["tie", "", ""]


def test_the_last_answer_can_be_taken_back(tmp_path: Path) -> None:
    """With nothing left it says how to go on, and waits for u or q."""
    run = waiting(tmp_path, pair(0))

    with Terminal(run) as terminal:
        terminal.shows("Question 0?")
        terminal.press("1")
        assert "onlinedpo run" in terminal.shows("Nothing is left to label")
        terminal.press("u")
        terminal.shows("Question 0?")
        assert run.choices() == [""]
        terminal.press("2q")
        assert terminal.ended() == 0
    assert run.choices() == ["2"]


def test_a_note_is_typed_at_the_bottom(tmp_path: Path) -> None:
    """Backspace takes letters back, Enter keeps the note, Esc the one before."""
    run = waiting(tmp_path, pair(0), pair(1))

    with Terminal(run) as terminal:
        terminal.shows("Question 0?")
        terminal.press("nzu qu\xe9x\x7f")
        assert "Question 0?" in terminal.shows("note: zu qu\xe9\n")
        terminal.press("\r")
        terminal.shows("q quit")
        assert "note: zu qu\xe9" in "\n".join(terminal.lines()[:3])
        terminal.press("nno")
        terminal.shows("note: zu qu\xe9no")
        terminal.press("\x1b")
        terminal.shows("q quit")
        terminal.press("1")
        terminal.shows("Question 1?")
    assert run.said(0).note == "zu qu\xe9"
    assert run.choices() == ["1", ""]


@pytest.mark.parametrize("no_color", ["", "1"])
def test_what_differs_is_underlined_when_wanted(no_color: str, tmp_path: Path) -> None:
    """d shows it, d again hides it; with NO_COLOR it is seen as well."""
    run = waiting(tmp_path, pair(0, "a red ball", "a blue ball"))

    with Terminal(run, NO_COLOR=no_color) as terminal:
        terminal.shows("a red ball")
        assert not underlined(terminal)
        terminal.press("d")
        terminal.until(lambda: underlined(terminal) == {"red", "blue"})
        terminal.press("d")
        terminal.until(lambda: not underlined(terminal))
        assert ("\x1b[1;36m" in terminal.output) == (not no_color)


def underlined(terminal: Terminal) -> set[str]:
    """The underlined parts of the last drawing."""
    drawn = terminal.output.rpartition("\x1b[H")[2]
    return set(re.findall(r"\x1b\[1;4m([^\x1b]*)\x1b", drawn))


def test_long_texts_are_paged(tmp_path: Path) -> None:
    """space and f go down, p goes up, and the screen says where one is."""
    long = "\n".join(f"line {n:03}" for n in range(40))
    run = waiting(tmp_path, pair(0, long, long + "\nEND"))

    with Terminal(run) as terminal:
        first = terminal.shows("space: more")
        assert "lines 1 to 20 of 88" in first
        terminal.press(" f  \x1b[6~")
        terminal.shows("lines 69 to 88 of 88")
        assert "END" in terminal.output
        assert "space: more" not in "\n".join(terminal.lines())
        terminal.press("p\x1b[5~")
        terminal.shows("lines 31 to 50")
        terminal.press("ppp")
        terminal.shows("lines 1 to 20")


def test_new_files_appear_while_the_run_goes_on(tmp_path: Path) -> None:
    """Keys pressed while nothing is shown answer nothing; q leaves."""
    run = waiting(tmp_path, pair(0), pair(1))
    run.todo(1).unlink()
    lock = Lock(tmp_path / "journal")
    try:
        with Terminal(run) as terminal:
            terminal.shows("Question 0?")
            terminal.press("1")
            terminal.shows("New pairs come as the run goes on")
            terminal.press("2")
            run.offer(run.ask(1))
            terminal.shows("Question 1?")
            assert run.choices() == ["1", ""]
            terminal.press("q")
            assert terminal.ended() == 0
    finally:
        lock.release()


def test_a_resized_window_is_drawn_anew(tmp_path: Path) -> None:
    """Within a second or so, without a key, and its lines are broken anew."""
    run = waiting(tmp_path, pair(0, *["x" * 30 + "a long line"] * 2))

    with Terminal(run) as terminal:
        terminal.shows("Question 0?")
        terminal.resize(30, 15)
        terminal.until(lambda: len(terminal.lines()) == 15, "15 lines")
        shown = terminal.lines()
        assert "q quit" in shown[-1]
        assert "a long line" in shown


def test_a_dumb_terminal_gets_plain_lines(tmp_path: Path) -> None:
    """No control sequences, and the keys work all the same."""
    run = waiting(tmp_path, pair(0), pair(1))

    with Terminal(run, TERM="dumb") as terminal:
        terminal.until(lambda: "q quit" in terminal.output)
        terminal.press("1")
        terminal.until(lambda: "Question 1?" in terminal.output)
        terminal.press("nab\x7fc\rtq")
        assert terminal.ended() == 0
    assert "\x1b" not in terminal.output
    assert run.choices() == ["1", "tie"]
    assert run.said(1).note == "ac"


def test_two_people_are_shown_different_pairs(tmp_path: Path) -> None:
    """What is on one screen is not offered on another, until it is left."""
    run = waiting(tmp_path, pair(0), pair(1))

    with Terminal(run, "--annotator", "anna") as anna:
        anna.shows("Question 0?")
        with Terminal(run, "--annotator", "ben") as ben:
            ben.shows("Question 1?")
            ben.press("2")
            ben.shows("on other people's screens")
            anna.process.kill()
            ben.shows("Question 0?")
            ben.press("t")
            ben.shows("Nothing is left")
    assert run.choices() == ["tie", "2"]


def test_a_note_stays_with_its_pair(tmp_path: Path) -> None:
    """It does not go on to the next pair, and comes back with undo."""
    run = waiting(tmp_path, *map(pair, range(3)))

    with Terminal(run) as terminal:
        terminal.shows("Question 0?")
        terminal.press("nmine\r1")
        assert "note:" not in terminal.shows("Question 1?")
        terminal.press("2u")
        terminal.shows("taken back: 2")
        terminal.press("u")
        assert "note: mine" in terminal.shows("Question 0?")
        terminal.press("2t")
        terminal.shows("Question 2?")
    assert (run.said(0).note, run.said(1).note) == ("mine", "")
    assert run.choices() == ["2", "tie", ""]


def test_control_characters_saved_by_others_do_not_reach_the_terminal(
    tmp_path: Path,
) -> None:
    """A file is made safe to show again, since anybody may have changed it."""
    run = waiting(tmp_path, pair(0))
    text = run.todo(0).read_text().replace("first of 0", "\x1b[31m\x07red")
    run.todo(0).write_text(text)

    with Terminal(run) as terminal:
        terminal.shows("\\x1b[31m\\x07red")
        assert "\x1b[31m" not in terminal.output and "\x07" not in terminal.output
