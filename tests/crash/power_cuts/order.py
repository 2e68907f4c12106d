"""The order in which writes, syncs, names and acknowledgements have to come.

It is looked at in the calls alone, whatever a power cut would make of a mistake.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from onlinedpo.engine.checkpoint import KEEP
from onlinedpo.journal.atomic import TEMPORARY
from onlinedpo.states.records import Bundle, Rewound, Step, Vote
from tests.crash.calls import Call, Calls
from tests.crash.power_cuts.scenario import Appended
from tests.crash.power_cuts.simulated import Disk, State, replayed

LASTING = ("config.yaml", "journal", "quarantine", "checkpoints")
"""What is durable once something is acknowledged that rests on it."""

MADE_AGAIN = ("metrics.jsonl", "adapters.safetensors", "adapter_config.json")
"""Files that every start makes again from the journal."""


def mistakes(root: Path, run: Path, calls: Calls, before: State) -> list[str]:
    """Every place at which the order is not kept, as a line."""
    found: list[str] = []
    lint = _Lint(run)
    marks = [*calls.marks]
    disks = replayed(root, calls.made, before)
    for place, disk in enumerate(disks):
        while marks and marks[0][0] <= place:
            _, what = marks.pop(0)
            if isinstance(what, Appended):
                found += lint.come_back(what)
                lint.acknowledge(what)
                found += lint.not_lasting(disk, "when it is acknowledged")
        if place < len(calls.made):
            call = calls.made[place]
            found += [f"call {place}, {call}: {why}" for why in lint.of(call, disk)]
    return found


class _Lint:
    """What was acknowledged so far, and what each call may do by that."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._committed = 0
        self._journalled: set[bytes] = set()
        self._left: set[Path] = set()
        """Folders of which files were put away, and that are not synced since."""

    def acknowledge(self, what: Appended) -> None:
        """The journal has these records."""
        for record in what.records:
            match record:
                case Step(index=index):
                    self._committed = index
                case Rewound(to=to):
                    self._committed = to
                case Vote(raw=raw):
                    self._journalled.add(hashlib.sha256(raw).digest())
                case Bundle(sha256=digest):
                    self._journalled.add(bytes.fromhex(digest))

    def come_back(self, what: Appended) -> Iterator[str]:
        """What may lie where it was put away from, and stand against a newer answer."""
        newer = [r for r in what.records if isinstance(r, Vote) and r.source == "human"]
        if any(vote.path.startswith("done/") for vote in newer):
            yield from [f"what left {path.name} may come back" for path in self._left]

    def of(self, call: Call, disk: Disk) -> Iterator[str]:
        """What is wrong with a call, before it is made."""
        if call.name == "sync":
            self._left.discard(call.path)
        if call.to and _is_temporary(call.path) and not _is_temporary(call.to):
            yield from self._named(call, disk)
        elif call.name == "rename" and call.path.parent.name == "checkpoints":
            yield from self._pruned(call)
        elif call.name == "rename" and call.path.parent.name in ("todo", "inbox"):
            yield from self._put_away(call, disk)
        if call.name == "cut":
            yield from self.not_lasting(disk, "when a tail is cut")
            yield from self._cut(call, disk)

    def not_lasting(self, disk: Disk, when: str) -> Iterator[str]:
        """What a power cut could take that something rests on."""
        yield from [f"{p} is not synced {when}" for p in _own(disk, self._run)]
        for name in LASTING:
            for path in _dirty(disk, self._run / name):
                if path.name != "lock" and not _is_temporary(path):
                    yield f"{path.relative_to(self._run)} is not synced {when}"

    def _named(self, call: Call, disk: Disk) -> Iterator[str]:
        assert call.to
        if call.to.name in MADE_AGAIN or call.to.suffix in (".error", ".receipt"):
            return
        if call.name == "rename" and call.to.parent.name == "todo":
            # Somebody's editor, which does as it likes.
            return
        for path in disk.dirty(call.path):
            yield f"{path.name} is not synced when it gets its name"

    def _cut(self, call: Call, disk: Disk) -> Iterator[str]:
        now = disk.now()
        whole = now[call.path.relative_to(disk.root).as_posix()]
        assert whole is not None
        kept = self._run.relative_to(disk.root) / "quarantine"
        if whole[call.offset :] not in [now[p] for p in now if Path(p).parent == kept]:
            yield "what is cut off is not kept"

    def _pruned(self, call: Call) -> Iterator[str]:
        step = int(call.path.name.removeprefix("step-"))
        if self._committed - KEEP < step <= self._committed:
            yield f"step {self._committed} is the last one that is committed"

    def _put_away(self, call: Call, disk: Disk) -> Iterator[str]:
        assert call.to
        if call.to.parent.name != "done" or call.to.name.startswith("."):
            return
        self._left.add(call.path.parent)
        content = disk.now()[call.path.relative_to(disk.root).as_posix()]
        assert content is not None
        if hashlib.sha256(content).digest() not in self._journalled:
            yield "a file is put away before the journal has it"


def _dirty(disk: Disk, path: Path) -> Iterator[Path]:
    """What is not synced of a path: its own name, and what is there and below."""
    yield from _own(disk, path)
    yield from disk.dirty(path)


def _own(disk: Disk, path: Path) -> list[Path]:
    return [dirty for dirty in disk.dirty(path.parent) if dirty == path]


def _is_temporary(path: Path) -> bool:
    return any(part.startswith(TEMPORARY) for part in path.parts)
