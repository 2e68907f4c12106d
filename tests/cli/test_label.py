"""`onlinedpo label` with keys from a pipe: what it saves, says and refuses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from onlinedpo.journal.lock import Lock
from tests.cli.labelling import pair, piped, waiting
from tests.processes import LINKS, onlinedpo


def test_one_key_labels_a_pair_and_goes_on(tmp_path: Path) -> None:
    """Keys from a pipe answer the pairs in the order of their numbers."""
    run = waiting(tmp_path, *map(pair, range(8)))

    code, told = piped(run, "12t\nbs34", "--annotator", " anna  b ")

    assert code == 0
    assert run.choices() == [
        *("1", "2", "tie", "both bad", "skip", "strongly 1", "strongly 2", ""),
    ]
    assert run.said(0).annotator == "anna b"
    assert run.said(0).seconds is not None
    assert "7 answers given, 1 left to label" in told
    assert f"onlinedpo run {tmp_path}" in told


def test_shifted_digits_are_strong(tmp_path: Path) -> None:
    """! and @ do what 3 and 4 do."""
    run = waiting(tmp_path, *map(pair, range(2)))

    piped(run, "!@")

    assert run.choices() == ["strongly 1", "strongly 2"]


def test_without_a_name_the_file_bears_none(tmp_path: Path) -> None:
    """The run then takes the name of the file's owner, who is the labeller."""
    run = waiting(tmp_path, pair(0))

    piped(run, "1")

    assert run.said(0).annotator == ""
    assert run.todo(0).stat().st_uid == os.getuid()


def test_nothing_but_the_answer_is_changed(tmp_path: Path) -> None:
    """Above the rule the file stays as it was, byte for byte."""
    run = waiting(tmp_path, pair(0, "choice: 2\n~~~~\n-------- your answer to"))
    before = run.todo(0).read_text()

    piped(run, "1")

    above, rule, _ = before.partition("-------- your answer to 000000")
    assert rule and run.todo(0).read_text().startswith(above + rule)
    assert run.choices() == ["1"]


def test_the_keys_and_the_progress_are_told(tmp_path: Path) -> None:
    """Each pair comes with the header and the legend; minutes from three labels on."""
    run = waiting(tmp_path, *map(pair, range(5)))

    _, told = piped(run, "1s21")

    headers = [line for line in told.splitlines() if "labelled" in line]
    assert headers[0] == "0/5 labelled"
    assert headers[2] == "1/5 labelled, 1 skipped"
    assert headers[3] == "2/5 labelled, 1 skipped, less than a minute left"
    assert told.count("1 2 better  3 4 strongly  t tie") == 5


def test_a_note_is_kept_with_the_answer(tmp_path: Path) -> None:
    """n takes one line; q and the digits in it are letters like others."""
    run = waiting(tmp_path, *map(pair, range(2)))

    _, told = piped(run, "nq1: fine \n2nforgotten\n")

    assert run.said(0).note == "q1: fine"
    assert run.choices() == ["2", ""]
    assert run.said(1).note == ""
    assert "your note was not kept" in told


def test_a_second_look_comes_last_and_is_called_so(tmp_path: Path) -> None:
    """A pair with two slots comes again only when nothing else is left."""
    run = waiting(tmp_path, *map(pair, range(2)), slots=2)

    _, told = piped(run, "111", "--annotator", "anna")

    asked = [line for line in told.splitlines() if line.startswith("[ Prompt of")]
    names = [str(run.ask(*at)) for at in ((0, 1), (1, 1), (0, 2), (1, 2))]
    assert asked == [f"[ Prompt of {name} ]" for name in names]
    assert told.count("second look: you have labelled this pair before") == 2


def test_guidelines_and_help_are_shown_and_any_key_returns(tmp_path: Path) -> None:
    """The key that returns does nothing else."""
    run = waiting(tmp_path, *map(pair, range(2)))

    _, told = piped(run, "g1?22")

    assert "The kinder answer is better." in told
    assert "take the last answer back" in told
    assert run.choices() == ["2", ""]


def test_the_words_that_differ_stand_between_braces(tmp_path: Path) -> None:
    """Where nothing can be underlined, d marks them so."""
    run = waiting(tmp_path, pair(0, "a red ball is here", "a blue ball is here now"))

    _, told = piped(run, "d")

    assert "a {red} ball is here" in told
    assert "a {blue} ball is here {now}" in told


def test_model_text_and_markup_are_printed_as_they_are(tmp_path: Path) -> None:
    """Control characters are spelled out and square brackets are no markup."""
    run = waiting(tmp_path, pair(0, "[red]x[/red] \x1b[31m :smile: [/]", "\u202eb"))

    _, told = piped(run, "d")

    assert "[red]x[/red]" in told and ":smile:" in told
    assert "\\x1b[31m" in told and "\\u202e" in told
    assert "\x1b" not in told


def test_with_nothing_left_it_says_how_to_go_on(tmp_path: Path) -> None:
    """The run not going, an empty list ends it at once, with exit code 0."""
    run = waiting(tmp_path, pair(0))
    piped(run, "1", "--annotator", "anna")

    code, told = piped(run, "", "--annotator", "ben")

    assert code == 0
    assert "0 left to label" in told and f"onlinedpo run {tmp_path}" in told


def test_while_the_run_goes_on_it_waits_for_new_files(tmp_path: Path) -> None:
    """Keys from a pipe answer pairs that come later."""
    run = waiting(tmp_path, *map(pair, range(2)))
    run.todo(1).unlink()
    lock = Lock(tmp_path / "journal")
    command = [sys.executable, "-m", "onlinedpo.cli", "label", str(tmp_path)]
    process = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(LINKS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdin
        process.stdin.write("12q")
        process.stdin.flush()
        until(lambda: run.said(0).choice is not None)
        time.sleep(0.3)
        assert process.poll() is None
        run.offer(run.ask(1))
        until(lambda: process.poll() is not None)
    finally:
        process.send_signal(signal.SIGKILL)
        told, _ = process.communicate()
        lock.release()
    assert "New pairs come as the run goes on" in told
    assert run.choices() == ["1", "2"]
    assert "go on with" not in told


def until(met: object) -> None:
    """Wait until something is so."""
    assert callable(met)
    end = time.monotonic() + 10
    while not met():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("no-such-run",), "is not a run"),
        (("{run}", "--colour"), "No such option"),
        ((), "Missing argument"),
    ],
)
def test_what_cannot_be_labelled_is_refused(
    arguments: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    """Exit code 2 and one clear line."""
    run = waiting(tmp_path, pair(0))
    ended = onlinedpo("label", *(a.format(run=run.folder) for a in arguments))

    assert ended.code == 2
    assert told in ended.output and "Traceback" not in ended.output


def test_a_run_that_asks_nobody_says_how_people_are_asked(tmp_path: Path) -> None:
    """Without label files there is nothing to do here."""
    run = waiting(tmp_path, pair(0))
    run.todo(0).unlink()
    (run.labels / "todo").rmdir()

    ended = onlinedpo("label", tmp_path)

    assert ended.code == 2
    assert "has no label files" in ended.output and "human_share" in ended.output


def test_help_lists_the_keys() -> None:
    """All keys, and examples that can be typed."""
    told = onlinedpo("label", "--help").output

    for words in ("Examples:", "Keys:", "printf '12t'", "undo", "guidelines", "differ"):
        assert words in told
