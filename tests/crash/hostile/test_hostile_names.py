"""Names that mean harm: of files, pairs, runs and people, in folders and in files."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from onlinedpo.states.answers import Ask
from onlinedpo.states.people import label_file
from onlinedpo.states.records import Kept
from tests.conftest import Count
from tests.crash.hostile.hostile import Waiting, everything

CAFE = "caf\u00e9.md"
FILE_NAMES: tuple[str | bytes, ...] = (
    *("-rf", "--help.md", "-", "~", "~root.md", "$(touch x).md", "`id`.md", "a;b.md"),
    *("*.md", "?.md", "[a].md", "%s%n.md", "{name}.md", "{0}", "!x.md", "a|b"),
    *(".tmp-a.md", ".tmp-a.md-0badcaff.md", ".withdrawn-a.md", ".withdrawn-", "..."),
    *("..\\..\\x.md", "C:\\x.md", "a:b.md", "CON", "nul.md", "aux.", " .md", "a "),
    *("A.md", "a.md", "a.MD", "A.ERROR", "a.md.error.md", "x.receipt.jsonl"),
    *(CAFE, unicodedata.normalize("NFD", CAFE), "\u212b.md", "\u00c5.md"),
    *("a\nb.md", "\r", "\t", "a\nb", "\x1b]0;t\x07.md", "\x9b2J.md", "\x7f"),
    *("\u202egnp.md", "\u2066a\u2069", "\u200b.md", "\U0001f600.md", "\u2028"),
    *("x" * 255, "x" * 252 + ".md", "y" * 248 + ".jsonl", "\u00e9" * 127, "z" * 247),
    *("a." + "b" * 253, "." + "c" * 254, "\U0001f600" * 63),
    *(b"\xff\xfe.md", b"a\x80b", b"\xc3.jsonl", b"\xed\xa0\x80.md"),
)
"""Each is the name of a file that somebody may save, in one piece of a path."""

IDS = (
    *("../../x", "/etc/passwd", "000000-00000000/../../x", "..", ".", "", "-1", "~"),
    *("000000-00000000\x00", "000000-00000000\n", "0" * 5000 + "-00000000", "1e999"),
    *("9" * 18 + "-00000000", "9" * 19 + "-00000000", "000000-0000000G", "\udcff"),
    *("000000-00000000.0", "000000-00000000.99", "000000-00000000.100", "C:\\x"),
    *("\u202e000000-00000000", "\u0660\u0660\u0660\u0660\u0660\u0660-00000000"),
    *("x" * 300, "x" * 5000, "\x1b[2J", "{0}", "%s"),
)
"""What a file may say that it answers."""

PEOPLE = (
    *("../../x", "/etc/passwd", "a\x00b", "-", "--json", "\x1b[31m", "\u202eanna"),
    *("x" * 5000, "anna\u0301", "\U0001f600", "CON", "{0}", "%n", ".tmp-a", "[red]"),
)
"""What people may call themselves, in one line."""


def put(folder: Path, name: str | bytes, raw: bytes) -> None:
    """Save a file of this name."""
    path = os.path.join(os.fsencode(folder), os.fsencode(name))
    with open(path, "wb") as file:
        file.write(raw)


def surroundings(folder: Path) -> dict[str, tuple[int, bytes]]:
    """All that lies beside a run."""
    inside = str(folder / "run")
    return {k: v for k, v in everything(folder).items() if not k.startswith(inside)}


@pytest.fixture
def run(tmp_path: Path) -> Waiting:
    """A run in which three pairs wait, in a folder with other things beside."""
    (tmp_path / "x").write_bytes(b"beside")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "x").write_bytes(b"in the run")
    return Waiting(tmp_path / "run")


@pytest.mark.parametrize("part", ["todo", "done", "inbox"])
@pytest.mark.parametrize("what", ["answer", "rows", "nothing"])
def test_no_file_name_leads_anywhere(
    what: str, part: str, run: Waiting, tmp_path: Path, count: Count
) -> None:
    """Whatever a file is called, it stays in the labels folder, whole, and is told of.

    An answer in it is taken in; a note beside it, or a receipt, says why it is none.
    Looking again, and again at the next start, changes nothing more.
    """
    before, beside = run.contents(), surroundings(tmp_path)
    first, second, third = run.asks()
    raws: dict[bytes, str | bytes] = {}
    for number, name in enumerate(FILE_NAMES):
        raw = b"nothing to be read: %d\n" % number
        if what == "answer":
            raw = run.answered(first, "12"[number % 2], annotator=f"p{number}")
        elif what == "rows":
            row = {"id": str(second), "choice": "1", "annotator": f"p{number}"}
            raw = json.dumps(row).encode() + b"\n"
        put(run.labels / part, name, raw)
        raws[raw] = name
    run.look()
    run.restart()
    run.look()

    settled = run.stands_still()
    after = run.contents()
    gone = Counter({raw for raw in before if raw not in after})
    assert settled
    lost = [name for raw, name in raws.items() if not after[raw]]
    assert not lost, "these files are gone, or were changed"
    assert len(gone) <= 1, "files that were offered are gone, other than the answered"
    assert surroundings(tmp_path) == beside
    assert {p.name for p in run.folder.iterdir()} == {"journal", "labels", "x"}
    says = {vote.annotator for vote in run.votes()}
    right = (what, part) in {("answer", "todo"), ("answer", "done"), ("rows", "inbox")}
    # Hidden files and backups are editors' own.
    theirs = [n for n in FILE_NAMES if os.fsencode(n)[:1] != b"." and n != "~"]
    # What a crash left hidden in done/ comes back under its own name.
    hidden = 2 if part == "done" else 0
    assert len(says) == (len(theirs) + hidden if right else 0)
    assert all(run.file(ask).exists() for ask in (second, third) if what != "rows")
    for note in run.labels.glob("*/*.error"):
        assert re.fullmatch(r"[^\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]*", note.read_text())
    count("hostile file names", len(FILE_NAMES))


@pytest.mark.parametrize("of", ["pair", "run"])
def test_what_a_label_file_says_it_answers_is_no_path(
    of: str, run: Waiting, tmp_path: Path, count: Count
) -> None:
    """It is kept in the journal and told of in a note; nothing else comes of it."""
    beside, ask = surroundings(tmp_path), run.asks()[0]
    raw = run.answered(ask).decode()
    for number, name in enumerate(IDS):
        said = f"id: {ask}" if of == "pair" else f"run: {'00010203'}"
        assert said in raw
        text = raw.replace(said, f"{said.split()[0]} {name}")
        if of == "pair":
            text = text.replace(f"your answer to {ask}", f"your answer to {name}")
        saved = text.encode(errors="surrogateescape")
        (run.labels / "todo" / f"n{number}.md").write_bytes(saved)
    run.look()

    assert run.votes() == []
    kept = [r for r in run.records() if isinstance(r, Kept)]
    assert len(kept) == len(IDS) == len([*(run.labels / "todo").glob("*.error")])
    assert surroundings(tmp_path) == beside
    assert run.stands_still()
    count("hostile names in files", len(IDS))


def test_what_a_dropped_row_says_it_answers_is_no_path(
    run: Waiting, tmp_path: Path, count: Count
) -> None:
    """Each such row is refused in one line of the receipt; the good one counts."""
    beside, ask = surroundings(tmp_path), run.asks()[0]
    rows = [{"id": name, "choice": "1"} for name in IDS]
    rows += [{"id": str(ask), "choice": "2", "annotator": "ben"}]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (run.labels / "inbox" / "a.jsonl").write_text(text)
    run.look()

    (vote,) = run.votes()
    receipt = (run.labels / "done" / "a.jsonl.receipt").read_text()
    assert vote.annotator == "ben"
    assert len(re.findall("^  line ", receipt, re.M)) == len(IDS)
    assert receipt.isprintable() or set(receipt) - {"\n"} <= {
        c for c in receipt if c.isprintable()
    }
    assert surroundings(tmp_path) == beside
    count("hostile names in files", len(IDS))


@pytest.mark.parametrize("dropped", [False, True])
def test_a_persons_name_is_only_a_name(
    dropped: bool, run: Waiting, tmp_path: Path, count: Count
) -> None:
    """In a label file or a dropped row: it is journalled as it stands, or refused."""
    beside, ask = surroundings(tmp_path), run.asks()[0]
    for number, name in enumerate(PEOPLE):
        if dropped:
            row = {"id": str(ask), "choice": "12"[number % 2], "annotator": name}
            path = run.labels / "inbox" / f"a{number}.jsonl"
            path.write_text(json.dumps(row) + "\n")
        else:
            raw = run.answered(ask, "12"[number % 2], annotator=name)
            (run.labels / "todo" / f"a{number}.md").write_bytes(raw)
    run.look()

    said = {vote.annotator for vote in run.votes()}
    assert said <= {" ".join(name.split()) for name in PEOPLE}
    assert len(said) >= len(PEOPLE) - (2 if dropped else 0)
    assert surroundings(tmp_path) == beside
    assert run.stands_still()
    count("hostile names in files", len(PEOPLE))


def test_a_pair_of_any_name_is_found_by_no_other(run: Waiting) -> None:
    """What names a pair has one spelling: digits, a dash, a digest, perhaps a slot."""
    for name in (*IDS, *PEOPLE):
        found = Ask.parse(name)
        assert found is None or str(found) == name.strip()
        assert found is None or re.fullmatch(
            r"\d{6,18}-[0-9a-f]{8}(\.\d\d?)?", str(found)
        )
    text = f"---\nid: {'9' * 5000}-00000000\nrun: x\n---\n"
    assert label_file.identify(text) is None
