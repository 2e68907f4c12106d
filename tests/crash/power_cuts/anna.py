"""A person who labels, always alike: so a run comes to the same end after a crash."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onlinedpo.journal import atomic, disk
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.people import label_file
from tests.crash.power_cuts.hashed import number
from tests.engine.runs import Listener
from tests.people.kit import greater, read

CHANGED_HER_MIND = "I changed my mind"

Told = Callable[[object], None]


@dataclass(frozen=True, slots=True)
class Saved:
    """Somebody's editor has acknowledged a file: it was synced."""

    raw: bytes


class Anna(Listener):
    """Answers what waits when the run can do nothing else: all at once.

    A single file she answers in place, several in one file that she drops.  Some pairs
    she leaves as long as there are others.  Late in the run she changes her mind once.
    """

    def __init__(self, told: Told = lambda what: None, **more: Any) -> None:
        super().__init__(**more)
        self.waits = 0
        self._told = told
        self._steps = 0

    def doing(self, what: str, ledger: Ledger | None = None) -> None:
        """See how far the run is."""
        self._steps = ledger.steps if ledger else self._steps

    def waiting(self, files: int, folder: Path) -> None:
        """Do what is to be done."""
        self.waits += 1
        assert self.waits < 200, "the run waits for ever"
        todo = sorted(folder.glob("*.md"))
        if not all([self._sound(path) for path in todo]) or len(todo) < files:
            # What she has thrown away is written again.
            return
        if self._steps >= 2:
            self._change_mind(folder.parent / "done")
        ready = [path for path in todo if read(path).ticket % 5 != 3] or todo
        if len(ready) == 1:
            (path,) = ready
            self._save(path, _filled(path), durable=not is_careless(path))
        elif ready:
            name = f"{number(*[path.name for path in ready]):08x}.jsonl"
            rows = [{"id": path.stem, "choice": greater(read(path))} for path in ready]
            text = "".join(json.dumps(row) + "\n" for row in rows)
            self._save(folder.parent / "inbox" / name, text.encode())

    def _sound(self, path: Path) -> bool:
        """Whether a file can be read; one that a crash has spoilt is thrown away.

        Or of which the run says, beside it, that it is no answer: half a line is lost.
        """
        with suppress(AssertionError, UnicodeDecodeError):
            read(path)
            if not path.with_name(f"{path.name}.error").exists():
                return True
        assert is_careless(path), f"{path} is as we wrote it, and is spoilt"
        disk.remove(path)
        return False

    def _change_mind(self, done: Path) -> None:
        answered = [p for p in sorted(done.glob("*.md")) if not is_careless(p)]
        for path in answered:
            text, case = path.read_text(), read(path)
            if label_file.read(text, case.ask).choice and CHANGED_HER_MIND not in text:
                other = {"1": "2", "2": "1"}[greater(case)]
                self._save(path, _filled(path, other, note=CHANGED_HER_MIND))

    def _save(self, path: Path, raw: bytes, *, durable: bool = True) -> None:
        atomic.replace(path, raw, durable=durable)
        if durable:
            self._told(Saved(raw))


def is_careless(path: Path) -> bool:
    """Whether she saves this file with an editor that does not sync, as some do not."""
    return int(path.name.split("-")[0]) % 3 == 1


def _filled(path: Path, choice: str = "", **more: str) -> bytes:
    case = read(path)
    choice = choice or greater(case)
    return label_file.fill(path.read_text(), case.ask, choice=choice, **more).encode()
