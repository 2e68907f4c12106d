"""People who label while a run is killed: one edits files, another drops bundles.

Both answer by a rule, from the texts alone, so that the labels do not depend on when
somebody comes by.  Of three pairs one belongs to who drops bundles from a process of
their own; of the other two the first is often answered wrongly, and corrected in done/
before the second, which the run then waits for.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from onlinedpo.journal.reader import Reader
from onlinedpo.states.answers import Ask
from onlinedpo.states.people import label_file
from onlinedpo.states.records import Record, Sampled, Vote
from tests.people.kit import Case, greater, read

OTHER = {"1": "2", "2": "1"}
DROPPER = "dora"


def is_dropped(ask: Ask) -> bool:
    """Whether a pair is answered in bundles."""
    return ask.ticket % 3 == 2


class Annotator:
    """Answers label files, changes answers in done/, and knows what was saved."""

    def __init__(self, labels: Path, chance: random.Random) -> None:
        self.labels, self._chance = labels, chance
        self.saved: dict[str, list[bytes]] = defaultdict(list)
        """All versions of each file, by its name."""
        self._wrong: set[str] = set()

    def work(self) -> None:
        """Come by once, and do one thing, if any is to be done."""
        # The run may take a file away that is just being opened.
        with suppress(FileNotFoundError):
            for path in self._done():
                if path.name in self._wrong:
                    self._correct(path)
                    return
            for path in sorted((self.labels / "todo").glob("*.md")):
                if not self.saved[path.name] and self._answer(path):
                    return

    def _answer(self, path: Path) -> bool:
        case = read(path)
        if is_dropped(case.ask) or (case.ask.ticket % 3 == 1 and self._owes()):
            return False
        choice = greater(case)
        wrong = case.ask.ticket % 3 == 0 and self._chance.random() < 0.5
        self._save(path, case.ask, OTHER[choice] if wrong else choice)
        self._wrong |= {path.name} if wrong else set()
        return True

    def _save(self, path: Path, ask: Ask, choice: str) -> None:
        text = label_file.fill(path.read_text(), ask, choice=choice, annotator="ann")
        path.write_text(text)
        self.saved[path.name].append(text.encode())

    def _owes(self) -> bool:
        """Whether something is wrong, or the pair before is not answered yet."""
        todo = {p.name for p in (self.labels / "todo").glob("*.md")}
        open_ones = {name for name in todo if not self.saved[name]}
        asks = [Ask.parse(Path(name).stem) for name in open_ones]
        return bool(self._wrong) or any(ask and ask.ticket % 3 == 0 for ask in asks)

    def _done(self) -> Iterator[Path]:
        return (self.labels / "done").glob("*.md")

    def _correct(self, path: Path) -> None:
        case = read(path)
        self._wrong.discard(path.name)
        self._save(path, case.ask, greater(case))


def drop_bundles(labels: str, seed: int) -> None:
    """In a process of its own: drop answers to all pairs that wait for it, for ever.

    A bundle may hold a line that is no answer, and may come a second time.
    """
    chance, place = random.Random(seed), Path(labels)
    while True:
        time.sleep(0.02)
        number, answered = _dropped(place)
        rows = [
            {"id": str(case.ask), "choice": greater(case), "annotator": DROPPER}
            for case in _asked(place)
            if str(case.ask) not in answered
        ]
        if rows:
            if chance.random() < 0.3:
                rows.append({"id": "000000-00000000", "choice": "1"})
            name = f"bundle-{os.getpid()}-{number}.jsonl"
            half = place / "inbox" / f".{name}"
            half.write_text("".join(json.dumps(row) + "\n" for row in rows))
            half.rename(place / "inbox" / name)


def _asked(labels: Path) -> Iterator[Case]:
    """What waits for bundles; the other files may be half-saved just now."""
    for path in sorted((labels / "todo").glob("*.md")):
        ask = Ask.parse(path.stem)
        if ask and is_dropped(ask):
            with suppress(FileNotFoundError):
                yield read(path)


def _dropped(labels: Path) -> tuple[int, set[str]]:
    """How many bundles were dropped, and what they answer."""
    found = set[str]()
    files: dict[str, bytes] = {}
    # What goes from the one to the other meanwhile is seen twice, and not never.
    for folder in ("inbox", "done"):
        for path in (labels / folder).glob("bundle-*.jsonl"):
            try:
                files[path.name] = path.read_bytes()
            except FileNotFoundError:
                files.setdefault(path.name, b"")
    for data in files.values():
        found |= {json.loads(line)["id"] for line in data.splitlines()}
    return len(files), found


def bundles(labels: Path) -> list[Path]:
    """All bundles that were read."""
    return sorted((labels / "done").glob("bundle-*.jsonl"))


def must_all_be_there(run: Path, annotator: Annotator) -> None:
    """Every answer that was given is in the journal once for each of its versions."""
    records = [*Reader(run / "journal").records()]
    votes = [record for record in records if isinstance(record, Vote)]
    saved: dict[str, list[bytes]] = defaultdict(list)
    for vote in votes:
        if vote.source == "human":
            saved[Path(vote.kept_as).name].append(vote.raw)
    for name in saved.keys() | annotator.saved.keys():
        lost = [raw for raw in annotator.saved[name] if raw not in saved[name]]
        assert saved[name] == annotator.saved[name], f"{run}: {name}: {lost} lost"
    given = [
        (json.loads(line)["id"], json.loads(line)["choice"])
        for path in bundles(run / "labels")
        for line in path.read_text().splitlines()
        if "annotator" in line
    ]
    names = {r.ticket: r.pair for r in records if isinstance(r, Sampled)}
    taken = [
        (names[vote.ticket], json.loads(vote.raw)["choice"])
        for vote in votes
        if vote.source == "file"
    ]
    assert sorted(given) == sorted(taken)
    for path in bundles(run / "labels"):
        assert path.with_name(f"{path.name}.receipt").exists(), f"{path}: no receipt"


def must_be_journalled(labels: Path, records: list[Record], mine: Annotator) -> None:
    """What lies in done/ is in the journal, but for corrections not read yet."""
    known = {vote.raw for vote in records if isinstance(vote, Vote)}
    for path in (labels / "done").glob("*.md"):
        # A file that nobody answered may lie there too, with a hidden name or its own:
        # it was being taken away, because its pair was answered in a bundle.
        for first in mine.saved[path.name][:1]:
            assert first in known, f"{path} was moved, and is not journalled"
    lines = {vote.raw.strip() for vote in records if isinstance(vote, Vote)}
    for path in bundles(labels):
        for line in path.read_bytes().splitlines():
            assert b"annotator" not in line or line in lines, f"{path}: {line!r}"
