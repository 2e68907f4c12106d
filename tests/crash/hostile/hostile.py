"""A run that waits for people, in a folder in which others do what they like."""

from __future__ import annotations

import os
import signal
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from onlinedpo.engine.people.inbox import Inbox
from onlinedpo.journal.label_folder import LabelFolder
from onlinedpo.journal.reader import Reader
from onlinedpo.journal.writer import Journal
from onlinedpo.states.answers import Ask
from onlinedpo.states.config import Settings
from onlinedpo.states.lifecycle import LiveMachine
from onlinedpo.states.people import label_file
from onlinedpo.states.records import Record, Vote
from tests.people.kit import Leaps
from tests.states import facts

RUN = bytes(range(16))
SECRET = b"the secret of somebody else\n"
OURS = (".error", ".receipt")

Seen = dict[str, tuple[int, bytes]]


class Waiting:
    """Some pairs wait for people; nothing else of a run is there, and no model."""

    def __init__(self, folder: Path, pairs: int = 3) -> None:
        """Begin the run."""
        self.folder, self.labels = folder, folder / "labels"
        self.told: list[str] = []
        self.settings = Settings(judge="human", annotator="anna")
        self.journal = Journal.create(folder / "journal", RUN, LiveMachine())
        opened = facts.run_opened(judge="human", annotator="anna")
        tickets = range(pairs)
        self.journal.append([opened, *map(facts.sampled, tickets)])
        self.journal.append([facts.submitted(*tickets)])
        self.journal.append([facts.escalated(ticket) for ticket in tickets])
        self.inbox = self._inbox()

    def look(self, times: int = 3) -> None:
        """Let all that was saved settle, and take it in."""
        for _ in range(times):
            self.inbox.take_in()
        while self.inbox.unsettled:
            self.inbox.take_in()

    def restart(self) -> None:
        """Another process takes the run up."""
        self.journal.close()
        self.journal = Journal.open(self.folder / "journal", {}, LiveMachine())
        self.inbox = self._inbox()

    def asks(self) -> list[Ask]:
        """What is wanted still."""
        return [*self.journal.ledger.open_asks()]

    def file(self, ask: Ask) -> Path:
        """The label file that was offered."""
        return self.labels / "todo" / f"{ask}.md"

    def answered(self, ask: Ask, choice: str = "1", **more: str) -> bytes:
        """A label file as somebody would save it."""
        text = label_file.fill(
            self.file(ask).read_text(), ask, choice=choice, annotator="anna"
        )
        for name, value in more.items():
            text = text.replace(f"{name}: anna", f"{name}: {value}")
        return text.encode()

    def records(self) -> list[Record]:
        """All that the journal holds."""
        return [*Reader(self.folder / "journal").records()]

    def votes(self) -> list[Vote]:
        """The answers in it."""
        return [r for r in self.records() if isinstance(r, Vote)]

    def bytes_in_journal(self) -> bytes:
        """All of its segments, as they lie there."""
        files = sorted((self.folder / "journal").iterdir())
        return b"".join(file.read_bytes() for file in files)

    def contents(self) -> Counter[bytes]:
        """What people's files hold, wherever in the labels folder they lie now."""
        found: Counter[bytes] = Counter()
        for parent, _, names in os.walk(os.fsencode(self.labels)):
            for name in names:
                path = os.path.join(parent, name)
                ours = os.fsdecode(name).endswith(OURS) or name == b"guidelines.md"
                if stat.S_ISREG(os.lstat(path).st_mode) and not ours:
                    with open(path, "rb") as file:
                        found[file.read()] += 1
        return found

    def stands_still(self) -> bool:
        """Whether looking again, and taking it up again, changes nothing any more."""
        before = everything(self.labels), self.records()
        self.look()
        self.restart()
        self.look()
        return (everything(self.labels), self.records()) == before

    def _inbox(self) -> Inbox:
        return Inbox(
            *(LabelFolder(self.labels), self.journal, self.settings),
            *(self.told.append, Leaps()),
        )


def everything(folder: Path) -> Seen:
    """Each name below a folder: its kind and rights, and what it holds."""
    found: Seen = {}
    for parent, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = os.path.join(parent, name)
            seen, raw = os.lstat(path), b""
            if stat.S_ISLNK(seen.st_mode):
                raw = os.fsencode(os.readlink(path))
            elif stat.S_ISREG(seen.st_mode) and seen.st_size < 1 << 20:
                with open(path, "rb") as file:
                    raw = file.read()
            found[path] = (seen.st_mode, raw)
    return found


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Fail where the block has not ended by then: it waits for what never comes."""

    def late(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"it hangs: nothing came within {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
