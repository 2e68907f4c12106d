"""Two processes that want one run: one has it, and the other changes nothing."""

from __future__ import annotations

import re
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from onlinedpo.journal.audit.auditing import audit
from onlinedpo.journal.lock import holder
from onlinedpo.journal.reader import Reader
from onlinedpo.states.errors import RunLocked, UsageError
from onlinedpo.states.given import in_force
from tests.conftest import Count
from tests.journal import kit, processes
from tests.processes import Child, Outcome, begin, final_bytes, onlinedpo
from tests.states import facts

LOCKED, USAGE = RunLocked.exit_code, UsageError.exit_code

RACE = """
for line in sys.stdin:
    name, way = line.split()
    journal = None
    try:
        if way == "open":
            journal = Journal.open(folder / name, {}, by_table)
        else:
            journal = Journal.create(folder / name, way.encode() * 16, by_table)
        say("own")
    except RunLocked as error:
        say("locked", error.exit_code)
    sys.stdin.readline()
    if journal:
        if journal.ledger.opened:
            journal.append([fact(journal.ledger.next_ticket)])
        journal.close()
    say("done")
"""


@pytest.mark.parametrize("rounds", [20, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize("ways", [("open", "open"), ("a", "b")])
def test_of_two_processes_one_has_the_journal(
    ways: tuple[str, str], rounds: int, tmp_path: Path, count: Count
) -> None:
    """To take it up, and to begin it: each time exactly one, and the other is told."""
    racers = [processes.start(RACE, tmp_path) for _ in ways]

    def tell(lines: tuple[str, str]) -> list[str]:
        for racer, line in zip(racers, lines, strict=True):
            assert racer.stdin
            racer.stdin.write(f"{line}\n")
            racer.stdin.flush()
        return [processes.line(racer) for racer in racers]

    for number in range(rounds):
        journal = tmp_path / str(number)
        if ways[0] == "open":
            kit.write(journal, [[[facts.run_opened()]]])
        said = tell((f"{number} {ways[0]}", f"{number} {ways[1]}"))
        assert sorted(said) == [f"locked {LOCKED}", "own"]
        assert tell(("", "")) == ["done", "done"]
        reader = Reader(journal)
        reader.fold()
        assert reader.position and reader.position.run == (
            kit.RUN if ways[0] == "open" else ways[said.index("own")].encode() * 16
        )
    for racer in racers:
        processes.kill(racer)
    count("races for a run", rounds)


KILLED = """
try:
    journal = Journal.open(folder, {}, by_table)
    journal.append([fact(journal.ledger.next_ticket)])
    say("own")
except RunLocked:
    say("locked")
sys.stdin.read()
"""


@pytest.mark.slow
def test_after_kill_9_the_lock_is_free_a_hundred_times(
    tmp_path: Path, count: Count
) -> None:
    """Two race, the owner is killed, two race: the journal grows by one each time."""
    folder = tmp_path / "journal"
    kit.write(folder, [[[facts.run_opened()]]])
    for number in range(100):
        racers = [processes.start(KILLED, folder) for _ in range(2)]
        said = [processes.line(racer) for racer in racers]
        assert sorted(said) == ["locked", "own"]
        for racer in racers:
            processes.kill(racer)
        assert len(kit.recorded(folder)) == number + 2
    count("races for a run", 100)


# -- the program itself ----------------------------------------------------------


def refused(outcome: Outcome, code: int, words: str) -> None:
    """A process left with this code and one message."""
    assert outcome.code == code, outcome.output
    assert re.search(words, outcome.output), outcome.output
    assert outcome.output.count("onlinedpo: ") == 1
    assert "Traceback" not in outcome.output


def both(*racers: Child) -> list[Outcome]:
    """How processes end that race."""
    with ExitStack() as left:
        for racer in racers:
            left.callback(racer.close)
        return [racer.ended() for racer in racers]


@pytest.mark.parametrize("rounds", [2, pytest.param(40, marks=pytest.mark.slow)])
def test_two_runs_that_begin_in_one_folder(
    rounds: int, flags: tuple[str, ...], tmp_path: Path, count: Count
) -> None:
    """One begins, under its own settings; the other is told, and leaves no trace."""
    for number in range(rounds):
        run = tmp_path / str(number)
        first, second = both(
            *(begin("run", run, *flags, "--seed", seed) for seed in "12")
        )
        assert (first.code == 0) != (second.code == 0), first.output + second.output
        seed, other = (1, second) if first.code == 0 else (2, first)
        # Or, where it came to it so late that the first had ended, of its settings.
        refused(other, 4 if other.code == 4 else LOCKED, "another process|seed")
        reader = Reader(run / "journal")
        assert in_force(reader.fold().settings).seed == seed
        assert f"seed: {seed}\n" in (run / "config.yaml").read_text()
        audit(run)
        assert not [path for path in run.rglob(".tmp-*")]
    count("races for a run", rounds)


def waiting(run: Path, flags: tuple[str, ...]) -> Child:
    """A run that waits for people, and holds its lock as long as it is left alone."""
    child = begin("run", run, *flags, "--judge", "human")
    # All files are there when it says so, and it changes nothing until it is answered.
    while "label files wait" not in child.printed():
        assert child.lives(0.05), child.ended().output
    return child


def test_beside_a_run_at_work_others_are_told_and_change_nothing(
    flags: tuple[str, ...], tmp_path: Path
) -> None:
    """A second run, a rewind and a salvage are refused; a fork is whole."""
    run = tmp_path / "run"
    child = waiting(run, flags)
    before = kit.contents(run)
    refused(onlinedpo("run", run), LOCKED, rf"{run}: another process \(pid \d+ on ")
    refused(onlinedpo("rewind", run, "--to", "0"), LOCKED, "another process")
    new = tmp_path / "new"
    refused(onlinedpo("journal", "salvage", run, new), LOCKED, "works on this run")
    assert not new.exists()
    assert onlinedpo("status", run).output.startswith(f"{run}: running")
    assert kit.contents(run) == before
    child.kill()
    child.close()
    assert holder(run / "journal") is None, "a lock that outlived its process"
    refused(onlinedpo("rewind", run, "--to", "0"), USAGE, "step 0 is not one")


@pytest.mark.parametrize("replaced", [False, True], ids=["moved", "replaced"])
def test_a_run_that_is_moved_while_it_waits_ends_and_says_so(
    replaced: bool, flags: tuple[str, ...], tmp_path: Path
) -> None:
    """Else it would wait for ever for answers that nobody can give it.

    Also where a copy lies in its place, as after a backup was put back.
    """
    run, now, copy = tmp_path / "run", tmp_path / "now", tmp_path / "copy"
    child = waiting(run, flags)
    if replaced:
        shutil.copytree(run, copy)
    before = kit.contents(copy)
    run.rename(now)
    if replaced:
        copy.rename(run)
    assert not child.lives(120), "it goes on where nothing is"
    refused(child.ended(), LOCKED, f"{run}: this run was moved")
    child.close()
    assert run.exists() == replaced, "something is made where it was"
    assert kit.contents(run) == before
    audit(now)
    assert onlinedpo("run", now, "--no-wait").code == 3


@pytest.mark.parametrize("removed", [False, True], ids=["moved", "removed"])
def test_a_run_that_is_moved_or_removed_while_it_trains_ends_and_says_so(
    removed: bool, flags: tuple[str, ...], tmp_path: Path
) -> None:
    """Where it lies then, it goes on."""
    run, now = tmp_path / "run", tmp_path / "now"
    child = begin("run", run, *flags, "--iters", "100000")
    while not (run / "checkpoints" / "step-000002").exists():
        assert child.lives(0.05), child.ended().output
    run.rename(now)
    if removed:
        shutil.rmtree(now, ignore_errors=True)
    assert not child.lives(120), "it goes on where nothing is"
    ended = child.ended()
    child.close()
    refused(ended, LOCKED, f"{run}: this run was moved, removed")
    if not removed:
        steps = Reader(now / "journal").fold().steps
        done = onlinedpo("run", now, "--iters", str(steps + 1))
        assert done.code == 0, done.output
        audit(now)


@pytest.mark.parametrize("rounds", [3, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize("command", ["fork", "salvage"])
def test_two_that_make_one_new_run(
    command: str, rounds: int, whole: Path, tmp_path: Path, count: Count
) -> None:
    """One makes it, whole; the other is told, and nothing half-made is left."""
    words = ("fork",) if command == "fork" else ("journal", "salvage")
    for number in range(rounds):
        new = tmp_path / "made" / str(number)
        ended = both(*(begin(*words, whole, new) for _ in range(2)))
        codes = sorted(each.code for each in ended)
        assert codes[0] == 0 and codes[1] in (USAGE, LOCKED), ended
        refused(
            max(ended, key=lambda e: e.code), codes[1], "exists already|another process"
        )
        audit(new)
    assert {path.name for path in (tmp_path / "made").iterdir()} == {
        str(number) for number in range(rounds)
    }
    assert onlinedpo("run", new).code == 0
    expected, came = final_bytes(whole), final_bytes(new)
    del expected["losses"], came["losses"]
    assert came == expected
    count("races to make a run", rounds)
