"""Killed at any instant, the other commands that write leave all, or nothing, or less.

A fork, salvage, export or rewind is done wholly or not at all, answers given in the
terminal are there one after the other, and a rejudge goes on with the next pair.
The same command, given again, comes to what it would have come to.  Each is killed at
every named point, at changes of files, and at any moment; `pytest -m slow tests/crash`
kills each at all changes of files.
"""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from onlinedpo.journal import codec
from onlinedpo.journal.reader import Reader
from onlinedpo.states.errors import JournalError
from onlinedpo.states.records import Restored, RunOpened, TailCut
from tests.cli.labelling import pair, waiting
from tests.conftest import Count
from tests.crash.kills import points
from tests.crash.kills.kills import (
    LEFT_ALONE,
    Death,
    at_moment,
    at_point,
    died,
    passed,
)
from tests.golden import make
from tests.journal import damage, kit
from tests.people.process import standing
from tests.processes import Outcome, killed

GOLDEN = Path(make.__file__).parent / make.VERSION


@dataclass(frozen=True)
class Command:
    """A command that writes, given in a folder in which `prepare` made `run`."""

    arguments: tuple[str, ...]
    prepare: Callable[[Path], None]
    made: str
    """What is there whole as soon as it is there; empty where the run is changed."""
    points: set[str]

    def given(self, place: Path, death: Death, patch: pytest.MonkeyPatch) -> Outcome:
        """Give it in a folder, to a process that dies so."""
        patch.chdir(place)
        journal = place / (self.made or "run") / "journal"
        return died(death.in_run(journal), *self.arguments)


def golden(name: str) -> Callable[[Path], None]:
    """A small run with records of every kind, as it was kept."""
    return lambda place: kit.put(place / "run/journal", kit.files(GOLDEN / name))


def damaged(place: Path) -> None:
    """One with a flipped bit, and with people's answers behind it."""
    golden("people")(place)
    damage.flipped(place / "run/journal", 20)
    (place / "run/labels").mkdir()
    (place / "run/labels/guidelines.md").write_text("Be fair.")


COMMANDS = {
    "rewind": Command(
        ("rewind", "run", "--to", "1"), golden("people"), "", points.OF_A_REWIND
    ),
    "fork": Command(
        ("fork", "run", "new", "--at", "2"), golden("people"), "new", points.OF_A_FORK
    ),
    "salvage": Command(
        ("journal", "salvage", "run", "new"), damaged, "new", points.OF_A_SALVAGE
    ),
    "export": Command(
        ("export", "run", "-o", "pairs.jsonl"),
        golden("people"),
        "pairs.jsonl",
        points.OF_AN_EXPORT,
    ),
    "export of a log": Command(
        ("export", "run", "--format", "inspect", "-o", "judge.eval"),
        golden("judged"),
        "judge.eval",
        points.OF_AN_EXPORT,
    ),
    "export of tasks": Command(
        ("export", "run", "--pending", "--format", "label-studio", "-o", "tasks.json"),
        golden("people"),
        "",
        points.OF_TASKS,
    ),
}


@dataclass(frozen=True)
class Whole:
    """What a command came to that was left alone."""

    left: dict[str, Any]
    points: dict[str, int]
    changes: int


def done_whole(command: Command, place: Path, patch: pytest.MonkeyPatch) -> Whole:
    """Give it once, and see what it passes."""
    command.prepare(place)
    at, changes = place.with_name("points"), place.with_name("changes")
    ended = command.given(place, Death(f"list:{at}", f"list:{changes}"), patch)
    assert ended.code == 0, ended.output
    return Whole(left(place), passed(at), len(changes.read_text().splitlines()))


def left(place: Path) -> dict[str, Any]:
    """All that lies there, but for times, and for names that are made anew."""
    found: dict[str, Any] = {}
    for path in sorted(place.rglob("*")):
        name = str(path.relative_to(place))
        if ".tmp-" in name or "quarantine/" in name:
            # What a kill leaves, and half a frame that was cut off.
            continue
        if path.is_dir():
            found |= {name: facts(path)} if path.name == "journal" else {}
        elif path.suffix == ".eval":
            with ZipFile(path) as log:
                found[name] = {entry: log.read(entry) for entry in log.namelist()}
        elif path.parent.name != "journal":
            found[name] = path.read_bytes()
    return found


def facts(journal: Path) -> Any:
    """What a journal says; of a run that was rewound where it stands."""
    try:
        found = [*Reader(journal).records()]
    except JournalError:
        return kit.files(journal)
    found = [record for record in found if not isinstance(record, TailCut)]
    if any(isinstance(record, Restored) for record in found):
        ledger = Reader(journal).fold()
        where = standing(ledger)
        return re.sub(r"time=[0-9.]+", "", repr((where, ledger.plan())))
    ids = [r.run_id for r in found if isinstance(r, RunOpened)]
    told = [{**codec.as_map(record), "time": 0} for record in found]
    return repr(told).replace(ids[0], "ID")


def dies_all_or_nothing(
    command: Command,
    whole: Whole,
    place: Path,
    death: Death,
    patch: pytest.MonkeyPatch,
) -> bool:
    """Kill it so, look, and give it again; whether it was killed."""
    place.mkdir()
    command.prepare(place)
    before = left(place)
    ended = command.given(place, death, patch)
    assert killed(ended) or ended.code == 0, f"{death}: {ended.output}"
    after = left(place)
    if command.made and (place / command.made).exists():
        there = {n: c for n, c in after.items() if n != "new/config.yaml"}
        wanted = {n: c for n, c in whole.left.items() if n != "new/config.yaml"}
        assert there == wanted, f"{death}: {command.made} is not whole"
    elif command.made:
        assert {n: after[n] for n in before} == before, f"{death}: the run was changed"
    again = command.given(place, LEFT_ALONE, patch)
    while again.code == 2 and (name := re.search(r"(\S+) exists", again.output)):
        # It says so, and what to do; what is there is whole, or it is no run yet.
        if (place / name[1]).exists() and name[1] == command.made:
            break
        (place / name[1]).unlink()
        again = command.given(place, LEFT_ALONE, patch)
    assert again.code in (0, 2), f"{death}: {again.output}"
    # What lies in a run, the next `run` clears away; beside a file that a user named
    # nothing is, since others may be writing.
    half = [path for path in place.glob(".tmp-*") if path.is_dir()]
    assert not any(any(path.iterdir()) for path in half), f"{death}: {half} is left"
    found = left(place)
    found.setdefault("new/config.yaml", whole.left.get("new/config.yaml"))
    wanted = {"new/config.yaml": None, **whole.left}
    assert found == wanted, f"{death}: it came to something else"
    shutil.rmtree(place)
    return killed(ended)


def deaths(whole: Whole, chance: random.Random, changes: int) -> Iterator[Death]:
    """At each point, at so many changes of files, and at some moments."""
    for point, times in sorted(whole.points.items()):
        yield at_point(point, chance.randint(1, times))
    most = range(1, whole.changes + 1)
    for number in sorted(chance.sample(most, min(changes, len(most)))):
        torn = " torn" * (chance.random() < 0.5)
        yield Death(operation=f"{number}{torn}")
    for _ in range(2 + changes // 10):
        yield at_moment(chance, 0.1)


@pytest.mark.parametrize(
    "changes", [6, pytest.param(999, marks=pytest.mark.slow)], ids=["some", "all"]
)
@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_any_instant_a_command_is_done_or_not(
    name: str,
    changes: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    count: Count,
) -> None:
    """And given again it comes to what it would have come to."""
    command, kills, hit = COMMANDS[name], 0, set[str]()
    (tmp_path / "whole").mkdir()
    whole = done_whole(command, tmp_path / "whole", monkeypatch)
    assert {points.general(point) for point in whole.points} == command.points
    for number, death in enumerate(deaths(whole, random.Random(name), changes)):
        place = tmp_path / f"place{number}"
        if dies_all_or_nothing(command, whole, place, death, monkeypatch):
            kills += 1
            hit |= {points.general(death.point)} if death.point else set()
    assert hit == command.points
    count("kills of other commands", kills)


# -- answers in the terminal -------------------------------------------------------

KEYS = b"12t41"


@pytest.mark.parametrize(
    "changes", [6, pytest.param(999, marks=pytest.mark.slow)], ids=["some", "all"]
)
def test_killed_while_somebody_labels_the_answers_stand(
    changes: int, tmp_path: Path, count: Count
) -> None:
    """Those that were given, whole and in order; the next session has the others."""
    run = waiting(tmp_path / "whole", *map(pair, range(5)))
    at, written = tmp_path / "points", tmp_path / "changes"
    ended = label(run.folder, KEYS, Death(f"list:{at}", f"list:{written}"))
    assert ended.code == 0, ended.output
    expected = run.choices()
    assert all(expected) and {*map(points.general, passed(at))} == points.OF_LABELLING
    whole = Whole({}, passed(at), len(written.read_text().splitlines()))
    kills, hit = 0, set[str]()
    for number, death in enumerate(deaths(whole, random.Random(0), changes)):
        run = waiting(tmp_path / f"run{number}", *map(pair, range(5)))
        ended = label(run.folder, KEYS, death)
        assert killed(ended) or ended.code == 0, f"{death}: {ended.output}"
        given = [choice for choice in run.choices() if choice]
        assert run.choices()[: len(given)] == given == expected[: len(given)], death
        label(run.folder, KEYS[len(given) :] or b"q")
        assert run.choices() == expected, death
        kills += killed(ended)
        hit |= {points.general(death.point)} if death.point else set()
    assert hit == points.OF_LABELLING
    count("kills of other commands", kills)


def label(run: Path, keys: bytes, death: Death = LEFT_ALONE) -> Outcome:
    """Label in the terminal; keys come from a pipe."""
    return died(death, "label", run, "--annotator", "anna", keys=keys)
