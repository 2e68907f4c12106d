"""People who save the same file again and again, each in a process of their own."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from onlinedpo.states.answers import Ask
from onlinedpo.states.people import label_file


class Hammer:
    """One person with one label file, which the run moves about meanwhile."""

    def __init__(self, labels: Path, ask: Ask, seed: int) -> None:
        """Find the file as it was offered."""
        self.labels, self.ask, self.rng = labels, ask, random.Random(seed)
        self.offered = self.place().read_bytes()
        self.known = {self.offered}
        self.wrong: list[str] = []

    def place(self) -> Path:
        """Where the file lies now."""
        names = [self.labels / part / f"{self.ask}.md" for part in ("todo", "done")]
        return next((path for path in names if path.exists()), names[0])

    def version(self, name: str) -> bytes:
        """An answer that bears a name of its own; all are of one length."""
        text = self.offered.decode()
        choice = self.rng.choice("12")
        filled = label_file.fill(text, self.ask, choice=choice, annotator=f"{name:<8}.")
        self.known.add(filled.encode())
        return filled.encode()

    def save(self, raw: bytes) -> None:
        """Save it in some way; what lay there has to be what this person saved."""
        path = self.place()
        try:
            here = path.read_bytes()
        except FileNotFoundError:
            here = self.offered
        if not any(known.startswith(here) for known in self.known):
            self.wrong.append(here.decode(errors="replace"))
        self.rng.choice(WAYS)(path, raw)


def in_place(path: Path, raw: bytes) -> None:
    """Empty it, then write."""
    path.write_bytes(raw)


def in_parts(path: Path, raw: bytes) -> None:
    """Empty it, then write piece after piece."""
    with path.open("wb", buffering=0) as file:
        for start in range(0, len(raw), 97):
            file.write(raw[start : start + 97])


def by_renaming(path: Path, raw: bytes) -> None:
    """Write beside, then rename."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    beside.write_bytes(raw)
    os.replace(beside, path)


def by_deleting(path: Path, raw: bytes) -> None:
    """Delete it, then write a new one."""
    path.unlink(missing_ok=True)
    path.write_bytes(raw)


def with_backup(path: Path, raw: bytes) -> None:
    """Rename the old one to a backup, write, delete the backup: as vim does."""
    backup = path.with_name(f"{path.name}~")
    with suppress(FileNotFoundError):
        os.replace(path, backup)
    path.write_bytes(raw)
    backup.unlink(missing_ok=True)


def of_the_same_time(path: Path, raw: bytes) -> None:
    """As many bytes over the old ones, and then the old time."""
    before = path.stat() if path.exists() else None
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b") as file:
        file.write(raw)
        file.truncate()
    if before:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def of_an_earlier_time(path: Path, raw: bytes) -> None:
    """As from a sync program: saved an hour ago, elsewhere."""
    path.write_bytes(raw)
    os.utime(path, ns=(0, path.stat().st_mtime_ns - 3600 * 10**9))


WAYS: tuple[Callable[[Path, bytes], None], ...] = (
    *(in_place, in_parts, by_renaming, by_deleting, with_backup),
    *(of_the_same_time, of_an_earlier_time),
)


def hammer(labels: str, ask: str, seed: int, times: int, report: str) -> None:
    """Save so many versions, and a last one; then tell how it went."""
    named = Ask.parse(ask)
    assert named is not None
    person = Hammer(Path(labels), named, seed)
    saved = 0
    while saved < times:
        try:
            person.save(person.version(f"v{saved}"))
        except FileNotFoundError:
            # It was moved at this instant; an editor would say so, and one tries again.
            continue
        saved += 1
    last = person.version("last")
    person.rng.choice([in_place, by_renaming, by_deleting])(person.place(), last)
    told = {"last": last.decode(), "saved": saved + 1, "wrong": person.wrong}
    Path(report).write_text(json.dumps(told))
