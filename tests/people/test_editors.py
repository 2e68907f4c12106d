"""Real editors on a real run: what is saved becomes a label."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import TypeVar

from onlinedpo.journal.reader import Reader
from onlinedpo.states.records import Label, Step, Vote
from tests.processes import Child, begin, onlinedpo

Editor = Callable[[Path, str], None]
T = TypeVar("T")


def with_vim(path: Path, choice: str) -> None:
    """Vim in its silent mode: it writes as it does for a person."""
    put = f"%s/^choice:.*/choice: {choice}/"
    subprocess.run(["vim", "-es", "-c", put, "-c", "wq", str(path)], check=True)


def with_sed(path: Path, choice: str) -> None:
    """`sed -i`: a new file takes the old one's name."""
    put = f"s/^choice:.*/choice: {choice}/"
    subprocess.run(["sed", "-i", put, str(path)], check=True)


def by_atomic_save(path: Path, choice: str) -> None:
    """A program that writes beside and renames."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    beside.write_text(path.read_text().replace("choice: \n", f"choice: {choice}\n"))
    os.replace(beside, path)


def in_place(path: Path, choice: str) -> None:
    """An editor that writes into the file itself."""
    text = path.read_text()
    with path.open("r+") as file:
        file.write(text.replace("choice: \n", f"choice: {choice}\n"))


EDITORS: list[Editor] = [with_sed, by_atomic_save, in_place]
if shutil.which("vim"):
    EDITORS.insert(0, with_vim)

DEMO = (
    *("--demo", "--judge", "human", "--iters", "2", "--batch-size", "4"),
    *("--val-prompts", "0"),
)


@contextmanager
def running(run: Path) -> Iterator[Child]:
    """The demo with people as judges, until the block ends: then it is killed."""
    child = begin("run", run, *DEMO)
    try:
        yield child
    finally:
        child.close()


def waiting(run: Path, count: int) -> list[Path]:
    """The label files, once there are so many."""
    todo = run / "labels" / "todo"
    return until(lambda: sorted(todo.glob("*.md")), lambda files: len(files) == count)


def until(look: Callable[[], T], holds: Callable[[T], bool]) -> T:
    """What is seen once it is as it should be; fails after a minute."""
    end = time.monotonic() + 60
    while not holds(seen := look()):
        assert time.monotonic() < end, seen
        time.sleep(0.05)
    return seen


def votes_in(run: Path) -> list[Vote]:
    """The answers in a run's journal."""
    records = Reader(run / "journal").records()
    return [record for record in records if isinstance(record, Vote)]


def labelled(run: Path, path: Path) -> Path:
    """Where a label file went once its answer was in the journal."""
    done = run / "labels" / "done" / path.name
    return until(lambda: done, Path.exists)


def test_what_any_editor_saves_becomes_a_label(tmp_path: Path) -> None:
    """While the run waits, and while no process runs; to trained steps."""
    run = tmp_path / "run"
    editors = cycle(EDITORS)
    saved: dict[str, bytes] = {}

    def save(path: Path, choice: str) -> None:
        next(editors)(path, choice)
        saved[path.name] = path.read_bytes()

    with running(run):
        first, second, third, _ = waiting(run, 4)
        for path, choice in zip((first, second, third), ("1", "tie", "2"), strict=True):
            save(path, choice)
        for path in (first, second, third):
            labelled(run, path)
    down = waiting(run, 1)
    save(down[0], "strongly 2")
    with running(run) as process:
        labelled(run, down[0])
        for path, choice in zip(waiting(run, 4), "1212", strict=True):
            save(path, choice)
        ended = process.ended()

    assert ended.code == 0, ended.output
    records = list(Reader(run / "journal").records())
    labels = [r for r in records if isinstance(r, Label)]
    steps = [r for r in records if isinstance(r, Step)]
    votes = {Path(vote.path).name: vote.raw for vote in votes_in(run)}
    assert saved.keys() == votes.keys()
    assert all(votes[name] == raw for name, raw in saved.items())
    assert len(labels) == 8
    assert [label.reason for label in labels if not label.chosen] == ["tie"]
    assert {label.source for label in labels} == {"human"}
    assert [len(step.tickets) for step in steps] == [3, 4]


def test_a_mind_can_be_changed_in_done_until_the_step(tmp_path: Path) -> None:
    """A file in done/ that is saved again is the label from then on."""
    run = tmp_path / "run"
    with running(run) as process:
        first, *others = waiting(run, 4)
        with_sed(first, "1")
        with_sed(labelled(run, first), "2")
        until(
            lambda: [v.raw for v in votes_in(run)],
            lambda raws: len(raws) == 2 and b"choice: 2" in raws[-1],
        )
        for path in others:
            with_sed(path, "1")
        waiting(run, 4)
        process.kill()
    sides = [vote.value for vote in votes_in(run)]
    last = [r for r in Reader(run / "journal").records() if isinstance(r, Label)]

    assert sorted(sides[:2]) == ["first", "second"]
    assert [r.chosen for r in last if r.ticket == 0] == sides[:2]


def test_without_waiting_the_run_leaves_with_a_code_of_its_own(tmp_path: Path) -> None:
    """Code 3, and in words: how many files wait, where, and how to go on."""
    run = tmp_path / "run"

    ended = onlinedpo("run", run, *DEMO, "--no-wait")
    again = onlinedpo("run", run, "--no-wait")

    assert (ended.code, again.code) == (3, 3), ended.output
    assert f"4 label files wait in {run / 'labels' / 'todo'}" in ended.output
    assert f"onlinedpo label {run}" in ended.output
