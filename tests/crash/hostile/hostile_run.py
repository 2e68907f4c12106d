"""A real run in which every text is hostile, and terminals to look at it from.

Folder, model, prompts, rubric, completions, what the judge said, people's names, notes,
files and what they dropped: all of it would drive a terminal that it came to.
"""

from __future__ import annotations

import errno
import json
import os
import pty
import re
import select
import shutil
import sys
import tempfile
import termios
import time
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, pre_tokenizers

from onlinedpo.states.errors import WaitingForPeople
from tests import starter
from tests.engine.stub import Answer, Call, as_json, says
from tests.people.kit import Case, Parts, Person, in_a_hurry, nothing
from tests.people.runs import work
from tests.toys import SPECIALS, toy_model

OSC, BEL, CSI = "\x1b]", "\x07", "\x1b["
PIECES = (
    f"{OSC}52;c;RVZJTA=={BEL}",  # what is in the clipboard
    f"{OSC}0;EVIL{BEL}",  # the window's title
    f"{OSC}8;;http://evil.example\x1b\\EVIL{OSC}8;;\x1b\\",  # a link
    f"{CSI}2J{CSI}7;7H{CSI}3A{CSI}48;5;201m",  # the screen, the cursor, a colour
    f"{CSI}?1049l{CSI}6n\x1bc\x1b7\x1bPq\x1b\\",  # the other screen, a reset, a report
    "\x9b2J\x9d0;EVIL\x9c\x90q\x9c\x84\x85",  # the same in one character each
    "\b\b\b\x7f\v\f\x0e\x00\x1a",
    "over\rwritten",
    "\u202eLIVE\u202c \u2066a\u2069 \u200e\u200f\u061c",  # the direction turned
    "E\u200bV\u00adI\ufeffL\u2060 \U000e0045",  # letters that are not seen
    "line\u2028line\u2029line",
    "[red]EVIL[/red] [link=http://evil.example]x[/link] [bold :heart: [/]",
    "{0} {name} %s %n $(EVIL) `EVIL` <script>EVIL</script> &amp; =EVIL|'x'!A1",
)
LINE = "EVIL " + "".join(piece for piece in PIECES if "over" not in piece)
"""All of them in a line."""
SETTING = f"{LINE}\n{LINE}".replace("\0", "")
"""The same as a value of a setting, which has no NUL."""
NAME = "EVIL" + "".join(PIECES[i] for i in (1, 3, 8)).replace("/", "")
"""Some of them, as a name of a file."""

_OURS = re.compile(
    # Plain colours; the cursor shown, hidden, and up; a line or all after it wiped;
    # the other screen, and its first place.
    r"\x1b\[(?:(?:\d{1,2};)?\d{1,2}|38;5;\d+)?m|\x1b\[\?25[lh]|\x1b\[1A|\x1b\[[02]?[KJ]"
    r"|\x1b\[\?1049[lh]|\x1b\[H"
)


def steers(shown: str, *, ours: bool) -> list[str]:
    """What in this could drive a terminal, or hide something on one.

    The sequences that rich writes for us are allowed where `ours` is.
    """
    rest = shown
    if ours:
        # A wiped screen comes with the cursor at its first place.
        assert f"{CSI}2J{CSI}7;7H" not in shown
        rest = _OURS.sub("", shown)
    kinds = ((c, unicodedata.category(c)) for c in rest if c not in "\n\t\u200d")
    found = [c for c, kind in kinds if kind[0] == "C" or kind in ("Zl", "Zp")]
    return [repr(c) for c in found if not (ours and c == "\r")]


def evil_tokenizer(model: Path) -> None:
    """Let tokens that no text has be hostile ones: a model then says them by itself."""
    file = model / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    vocabulary = tokenizer["model"]["vocab"]
    spelled = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    # These bytes are in no UTF-8.
    never = [0xC0, 0xC1, *range(0xF5, 0x100)]
    symbols = [spelled_byte(byte) for byte in never]
    for symbol, piece in zip(symbols, PIECES, strict=False):
        ((token, _),) = spelled.pre_tokenize_str(piece)
        vocabulary[token] = vocabulary.pop(symbol)
    file.write_text(json.dumps(tokenizer))
    Tokenizer.from_file(str(file))


def spelled_byte(byte: int) -> str:
    """The letter by which a byte-level vocabulary spells a byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    assert byte in plain and SPECIALS
    return chr(byte)


def hostile_server(call: Call) -> Answer:
    """A judge's server: what it lists and what it says are hostile."""
    if call.path.endswith("models"):
        return as_json({"data": [{"id": LINE}]})
    if call.body is None or call.body["model"] == "refused":
        return as_json({"error": {"message": LINE}}, 400)
    return says(LINE, model=LINE)


def make(place: Path, server: str) -> Path:
    """The run: a step was taken on pairs that people labelled, and two more wait."""
    model = toy_model(place / f"model{NAME}")
    evil_tokenizer(model)
    data = place / f"data{NAME}"
    data.mkdir()
    rows = [{"prompt": f"{LINE} {n}\n## Response 1\n~~~~\nchoice: 2"} for n in range(8)]
    for name, part in (("train", rows[:6]), ("valid", rows[6:])):
        text = "".join(json.dumps(row) + "\n" for row in part)
        (data / f"{name}.jsonl").write_text(text)
    run = place / f"run{NAME}"
    settings: Parts = {
        "model": str(model),
        "judge": server,
        "judge_model": SETTING,
        "data": str(data),
        "judge_system": SETTING,
        "judge_orders": 1,
        "judge_retries": 0,
        "escalate_below": 1.0,
        "annotator": SETTING,
        "batch_size": 2,
        "iters": 3,
        "max_waiting": 2,
        "max_completion_length": 12,
        "val_prompts": 2,
    }
    with in_a_hurry():
        person = Person(_first_two, stop_after=1, annotator=LINE, note=LINE)
        work(run, person, **settings)
        _drop(run / "labels")
        with suppress(WaitingForPeople):
            work(run, Person(nothing), patient=False)
    return run


def _first_two(case: Case) -> str:
    return "1" if case.ticket < 2 else ""


def _drop(labels: Path) -> None:
    """Files with hostile names, that cannot be read or say hostile things."""
    (labels / "todo" / f"{NAME}.md").write_text(LINE)
    (labels / "todo" / f"link{NAME}.md").symlink_to(NAME)
    for name, text in {
        "a.csv": f"id,{LINE}\n1,2\n",
        "b.jsonl": LINE,
        "c": "{}",
    }.items():
        (labels / "inbox" / f"{NAME}{name}").write_text(text)
    rows = [{"id": LINE, "choice": LINE, LINE: LINE}, {LINE: LINE}]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (labels / "inbox" / f"{NAME}.jsonl").write_text(text)


# -- terminals -------------------------------------------------------------------------


@dataclass(frozen=True)
class Shown:
    """What a command wrote, and how it ended."""

    code: int
    text: str


def on_terminal(*arguments: str | Path, keys: bytes = b"") -> Shown:
    """What a terminal gets from a command that has it for all three streams."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 100))
    name = os.ttyname(theirs)
    child = starter.child_of(_at_terminal, name, [*map(str, arguments)])
    got, end = b"", time.monotonic() + 60
    if keys:
        os.write(ours, keys)
    try:
        while True:
            child.join(0)
            assert time.monotonic() < end, f"it has not ended: {got!r}"
            readable = _read(ours, 0.05)
            if not readable and child.exitcode is not None:
                break
            got += readable
    finally:
        child.kill()
        child.join()
        os.close(theirs)
        os.close(ours)
    assert child.exitcode is not None
    return Shown(child.exitcode, got.decode(errors="surrogateescape"))


def piped(*arguments: str | Path, keys: bytes = b"") -> tuple[Shown, str]:
    """What programs get from a command: (standard output, standard error)."""
    with tempfile.TemporaryDirectory() as place:
        files = [os.path.join(place, name) for name in ("out", "err", "keys")]
        for file in files:
            Path(file).write_bytes(keys if file.endswith("keys") else b"")
        child = starter.child_of(_at_pipes, files, [*map(str, arguments)])
        child.join(120)
        child.kill()
        assert child.exitcode is not None
        raws = [Path(file).read_bytes() for file in files[:2]]
        out, err = (raw.decode(errors="surrogateescape") for raw in raws)
        return Shown(child.exitcode, out), err


def _read(fd: int, seconds: float) -> bytes:
    if not select.select([fd], [], [], seconds)[0]:
        return b""
    try:
        return os.read(fd, 1 << 16)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return b""


def _at_terminal(name: str, arguments: list[str]) -> None:
    """In the child: be the program, at this terminal."""
    os.setsid()
    fd = os.open(name, os.O_RDWR)
    _be_the_program([fd, fd, fd], arguments)


def _at_pipes(files: list[str], arguments: list[str]) -> None:
    """In the child: be the program, with these files for its streams."""
    os.setsid()
    out, err = (os.open(file, os.O_WRONLY) for file in files[:2])
    _be_the_program([os.open(files[2], os.O_RDONLY), out, err], arguments)


def _be_the_program(fds: list[int], arguments: list[str]) -> None:
    from onlinedpo.cli.main import main

    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    os.environ |= {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="strict")
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace")
    sys.argv = ["onlinedpo", *arguments]
    main()


def copy_of(run: Path, place: Path) -> Path:
    """The same run somewhere else, under as hostile a name."""
    return Path(shutil.copytree(run, place / f"copy{NAME}", symlinks=True))
