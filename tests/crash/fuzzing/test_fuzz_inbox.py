"""Hostile files in the folders of people: the run goes on, and what was saved stays."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from onlinedpo.engine.people.inbox import Inbox
from onlinedpo.journal.label_folder import LabelFolder, run_name
from onlinedpo.journal.reader import Reader
from onlinedpo.journal.writer import Journal
from onlinedpo.states.answers import Ask
from onlinedpo.states.config import Settings
from onlinedpo.states.lifecycle import by_table
from onlinedpo.states.people import label_file
from onlinedpo.states.records import Bundle, Vote
from tests.conftest import Count
from tests.crash.fuzzing.fuzz import ending, tiers
from tests.crash.fuzzing.fuzz_changes import of_bytes
from tests.crash.fuzzing.test_fuzz_people import dropped_files, label_files
from tests.journal import kit
from tests.people.kit import Leaps
from tests.states import facts

ROUNDS = {"quick": 60, "full": 2_000}
PAIRS = 6

NAMES = (
    *("a.jsonl", "a.json", "a.csv", "a.zip", "a", "\u202egpj.exe", "-rf", "$(touch x)"),
    *("a b\nc.json", "..x", "a" * 200 + ".csv", "CON", "a.jsonl.receipt.json", "%s%n"),
)


@contextmanager
def inbox(run: Path) -> Iterator[tuple[Inbox, Journal, list[str]]]:
    """A run in which some pairs wait for people, and what it tells."""
    pairs = [facts.sampled(n) for n in range(PAIRS)]
    settings = Settings(judge="human", batch_size=PAIRS)
    said: list[str] = []
    with Journal.create(run / "journal", kit.RUN, by_table) as journal:
        journal.append([facts.run_opened(judge="human"), *pairs])
        asked = [facts.escalated(n) for n in range(PAIRS)]
        journal.append([facts.submitted(*range(PAIRS)), *asked])
        folder = LabelFolder(run / "labels")
        yield Inbox(folder, journal, settings, said.append, Leaps()), journal, said


def zipped() -> bytes:
    """A zip file with every trick: it is never opened."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("../../out.jsonl", '{"id": "x"}')
        file.writestr("/tmp/out.jsonl", "x")
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        file.writestr(link, "/etc/passwd")
        file.writestr("bomb", bytes(10_000_000))
    data = bytearray(made.getvalue())
    data[6] |= 1  # It says that it is encrypted.
    return bytes(data)


@tiers
def test_whatever_is_saved_the_run_goes_on(
    tier: str, tmp_path: Path, count: Count
) -> None:
    """Answers come in, the rest is told; no byte that somebody saved is lost."""
    name, chance = run_name(kit.RUN), random.Random("inbox")
    pairs = [facts.sampled(n) for n in range(PAIRS)]
    blanks = [
        label_file.render(pair, Ask(pair.pair), "first-second", name) for pair in pairs
    ]
    sound = label_file.fill(blanks[0], Ask(pairs[0].pair), choice="2").encode()
    rows = "".join(json.dumps({"id": p.pair, "choice": "1"}) + "\n" for p in pairs)
    labels = [*(b.encode() for b in blanks), sound, *label_files()]
    dropped = [rows.encode(), rows.encode("utf-16"), zipped(), *dropped_files()]
    with inbox(tmp_path / "run") as (box, journal, said):
        before = outside(tmp_path)
        for _ in range(ROUNDS[tier]):
            data = of_bytes(chance, chance.choice(labels), labels)
            files = [*box.folder.todo.glob("*.md"), *box.folder.done.glob("*.md")]
            fresh = box.folder.todo / "x.md"
            chance.choice([*sorted(files), fresh]).write_bytes(data)
            other = of_bytes(chance, chance.choice(dropped), dropped)
            (box.folder.inbox / chance.choice(NAMES)).write_bytes(other)
            with ending():
                for _ in range(2):
                    box.take_in(1.0)
            kept = {p.read_bytes() for p in box.folder.path.rglob("*") if p.is_file()}
            assert kept >= {data, other}
            for file in box.folder.inbox.iterdir():
                file.unlink()  # Somebody tidies up.
        assert outside(tmp_path) == before, "nothing was put anywhere else"
        assert all(isinstance(line, str) for line in said)
        standing = journal.ledger.counts()
    records = [*Reader(tmp_path / "run" / "journal").records()]
    assert Reader(tmp_path / "run" / "journal").fold().counts() == standing
    assert {Vote, Bundle} <= {type(record) for record in records}
    print(f"{len(said)} told, {len(records)} facts")
    count("hostile inputs", 2 * ROUNDS[tier])


def outside(path: Path) -> set[Path]:
    """What lies anywhere but in the folders for people."""
    labels, journal = path / "run" / "labels", path / "run" / "journal"
    found = {p for p in path.rglob("*") if not p.is_relative_to(labels)}
    return {p for p in found if not p.is_relative_to(journal)}


@pytest.mark.parametrize("name", ["a.zip", "a.jsonl", "a.csv"])
def test_an_archive_is_not_unpacked(name: str, tmp_path: Path) -> None:
    """It stays where it was dropped, with a receipt that says why."""
    with inbox(tmp_path / "run") as (box, _, said):
        before = outside(tmp_path)
        path = box.folder.inbox / name
        archive = zipped()
        path.write_bytes(archive)
        for _ in range(3):
            box.take_in(1.0)
        assert path.read_bytes() == archive
        receipt = path.with_name(f"{name}.receipt").read_text()
        assert "is binary" in receipt or "is neither UTF-8" in receipt
        assert any("could not be used" in line for line in said)
        assert outside(tmp_path) == before
