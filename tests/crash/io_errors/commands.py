"""Commands as their user sees them, in this process: exit code, output, what is there.

Beside that it is kept what the journal acknowledged, which no failure may take away.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Collection, Iterable
from contextlib import nullcontext, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from onlinedpo.cli import progress
from onlinedpo.cli.main import main
from onlinedpo.cli.progress import Progress
from onlinedpo.journal import manifest
from onlinedpo.states.records import Record, Step, Vote
from tests.crash.io_errors.failing import Nth, NthRead
from tests.crash.power_cuts.scenario import Appended, noted
from tests.journal import kit
from tests.people.kit import answer, greater, read
from tests.processes import final_bytes

PATIENCE = 3
"""Looks at folders where nothing is left to answer after which a person leaves."""


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str
    acknowledged: list[Record] = field(default_factory=list)
    saved: dict[str, bytes] = field(default_factory=dict)
    """What a person saved, by the name of the file in todo/ or inbox/."""


Fault = TypeVar("Fault", bound=Nth | NthRead)


def command(*arguments: str | Path, fault: Nth | NthRead | None = None) -> Ended:
    """Run the command line; somebody answers all label files meanwhile.

    Every third answer is dropped into the inbox, the others are saved in todo/.
    """
    ended = Ended(0, "", "")
    reads = fault if isinstance(fault, NthRead) else None
    changes = fault if isinstance(fault, Nth) else None
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(out),
        redirect_stderr(err),
        noted(changes, closing=bool(changes and changes.closing)) as calls,
        reads.patched() if reads else nullcontext(),
    ):
        patch.setattr(sys, "argv", ["onlinedpo", *map(str, arguments)])
        patch.setattr(progress, "Progress", _answering(ended.saved, reads))
        try:
            main()
        except SystemExit as left:
            ended.code = int(left.code or 0)
        except BaseException as error:
            # As the interpreter would show it.
            ended.code, ended.err = 1, f"Traceback: {error!r}"
    ended.out, ended.err = out.getvalue(), ended.err + err.getvalue()
    for _, what in calls.marks:
        if isinstance(what, Appended):
            ended.acknowledged.extend(what.records)
    return ended


def _answering(saved: dict[str, bytes], reads: NthRead | None) -> type[Progress]:
    """What shows a run, and answers the files that wait."""

    class Answering(Progress):
        idle = 0

        def waiting(self, files: int, folder: Path) -> None:
            super().waiting(files, folder)
            if reads:
                reads.off = True
            worked = [_answer(p, saved) for p in sorted(folder.glob("*.md"))]
            self.idle = 0 if any(worked) else self.idle + 1
            if reads:
                reads.off = False

        def asked_to_stop(self) -> bool:
            return self.idle >= PATIENCE or super().asked_to_stop()

    return Answering


def _answer(path: Path, saved: dict[str, bytes]) -> bool:
    if path.name in saved or f"{path.stem}.jsonl" in saved:
        return False
    case = read(path)
    if case.ticket % 3:
        saved[path.name] = answer(path, greater(case))
    else:
        dropped = path.parents[1] / "inbox" / f"{path.stem}.jsonl"
        row = {"id": str(case.ask), "choice": greater(case), "annotator": "ann"}
        dropped.write_text(json.dumps(row) + "\n")
        saved[dropped.name] = dropped.read_bytes()
    return True


# -- what must hold ---------------------------------------------------------------


def is_told(ended: Ended, folder: Path, codes: Collection[int]) -> None:
    """One message: what failed, where and why, and what to do; no traceback."""
    shown = ended.out + ended.err
    assert "Traceback" not in shown
    assert ended.code in codes, ended.code
    if ended.code == 11:
        told = ended.err.splitlines()
        assert len(told) == 2 and told[0].startswith("onlinedpo: "), shown
        # The run's own name is synced in the folder above it.
        assert f"{folder}" in told[0] or f"{folder.parent}: " in told[0], "where"
        assert told[1].startswith("  ") and "nothing that was ack" in told[1], told


def is_whole(folder: Path, ended: Ended) -> None:
    """All that was acknowledged can be read; no half-made file has a final name."""
    if not folder.exists():
        assert not ended.acknowledged
        return
    there = kit.recorded(folder / "journal")
    assert there[-len(ended.acknowledged) or len(there) :] == ended.acknowledged or (
        # A batch that reached the disk though nobody was told.
        _follows(there, ended.acknowledged)
    )
    for path in folder.glob("checkpoints/step-*"):
        found = manifest.read(path)
        assert found and not found.wrong_file(), path
    for path in folder.rglob("*.json"):
        if ".tmp-" not in str(path):
            json.loads(path.read_bytes())
    for path in folder.glob("labels/todo/*.md"):
        read(path)


def _follows(there: list[Record], acknowledged: list[Record]) -> bool:
    size = len(acknowledged)
    return any(
        there[at : at + size] == acknowledged for at in range(len(there) - size + 1)
    )


def is_as_undisturbed(folder: Path, whole: dict[str, Any], *ended: Ended) -> None:
    """The run ended with the bytes that it would have had, and with all answers."""
    assert outcome(folder) == whole
    assert not [*folder.rglob(".tmp-*")], "what was half-made is cleared away"
    votes = [r for r in kit.recorded(folder / "journal") if isinstance(r, Vote)]
    known = {vote.raw.strip() for vote in votes}
    for name, raw in {k: v for e in ended for k, v in e.saved.items()}.items():
        assert raw.strip() in known, f"the answer in {name} is lost"


def outcome(folder: Path) -> dict[str, Any]:
    """What a run came to: its bytes, its settings, and its steps."""
    taken = {
        r.index: (r.tickets, r.loss, r.state)
        for r in kit.recorded(folder / "journal")
        if isinstance(r, Step)
    }
    config = (folder / "config.yaml").read_bytes()
    return {**final_bytes(folder), "config": config, "steps": taken}


def sweep(
    faults: Iterable[Fault],
    given: Callable[[Fault], Ended],
    holds: Callable[[Fault, Ended], None],
) -> int:
    """Try faults until one does not fire; returns how many did.

    `given` has a command meet a fault, and `holds` asserts what must hold after it.
    """
    fired = 0
    for fault in faults:
        ended = given(fault)
        if not fault.fired:
            break
        try:
            holds(fault, ended)
        except AssertionError as error:
            error.add_note(f"{fault}\n{ended.out}{ended.err}")
            raise
        fired += 1
    return fired
