"""What was salvaged goes on: to the bytes that the run would have come to undamaged."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from onlinedpo.cli.main import cli
from onlinedpo.journal.reader import Reader
from onlinedpo.states.records import Label, Record, Step, Vote
from tests.engine.runs import Listener, steps
from tests.golden.runs import SHORT, Everybody, go_on, toys, working_in
from tests.journal import damage
from tests.journal.kit import contents
from tests.people.runs import standing, those

ENOUGH = 20
"""Times that a run waits in vain before a test gives up."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working directory with a toy model and prompts."""
    with working_in(tmp_path_factory.mktemp("runs")):
        toys()
        yield Path.cwd()


@pytest.fixture(scope="module")
def judged(folder: Path) -> Path:
    """A run that a model judges, by two processes."""
    settings = {**SHORT, "judge": "model", "val_prompts": 0, "iters": 4}
    go_on(folder / "judged", Listener(stop_after=2), **settings)
    go_on(folder / "judged")
    return folder / "judged"


@pytest.fixture(scope="module")
def asked(folder: Path) -> Path:
    """A run that people judge, two of them in a half of the pairs."""
    settings = {**SHORT, "judge": "human", "overlap": 0.5, "resolve": "majority"}
    go_on(folder / "asked", Everybody(), **settings, iters=4)
    return folder / "asked"


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """Where the salvaged run goes."""
    return tmp_path / "new"


def damaged(run: Path, kind: type, which: int, tmp_path: Path) -> Path:
    """A copy of a run with a damaged frame: of those with such a record, this one."""
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    numbers = [number for number, batch in frames(run).items() if has(batch, kind)]
    damage.flipped(copy / "journal", numbers[which])
    return copy


def frames(run: Path) -> dict[int, list[Record]]:
    """The records of each frame of a sound run."""
    batches = Reader(run / "journal").batches()
    return {place.number: batch for place, batch in batches}


def has(batch: list[Record], kind: type) -> bool:
    """Whether there is such a record among these."""
    return any(isinstance(record, kind) for record in batch)


def typed(*words: str | Path) -> None:
    """Give a command, which has to do."""
    done = CliRunner().invoke(cli, [*map(str, words)])
    assert done.exit_code == 0, done.output


def salvaged(run: Path, new: Path) -> None:
    """Salvage a run, as the command does."""
    typed("journal", "salvage", run, new)


class Drops(Listener):
    """Nobody answers: whenever the run waits, salvaged answers are dropped again."""

    def __init__(self, labels: Path) -> None:
        super().__init__()
        (self.later,) = labels.glob("salvaged-later-*.jsonl")
        self.times = 0

    def waiting(self, files: int, folder: Path) -> None:
        """Copy the file under a name of its own."""
        self.times += 1
        assert self.times < ENOUGH
        inbox = folder.parent / "inbox"
        shutil.copyfile(self.later, inbox / f"again-{self.times}.jsonl")


@pytest.mark.parametrize(("kind", "which"), [(Step, 0), (Step, 2), (Label, 1)])
def test_a_judged_run_ends_as_if_nothing_had_happened(
    kind: type, which: int, judged: Path, new: Path, tmp_path: Path
) -> None:
    """Steps that stand are taken again and compared; the lost ones are taken anew."""
    salvaged(damaged(judged, kind, which, tmp_path), new)
    kept = len(steps(new))
    assert kept == (which if kind is Step else 1)
    watch = Listener()
    go_on(new, watch)
    assert standing(new) == standing(judged)
    assert steps(new)[-1].state == steps(judged)[-1].state != ""
    assert watch.told(f"re-applying steps 1 to {kept}") == (kept > 0)
    assert not watch.told("not equal")
    typed("audit", new)


def test_the_answers_after_the_damage_bring_the_lost_steps_back(
    asked: Path, new: Path, tmp_path: Path
) -> None:
    """With nobody there: the same pairs are sampled, and the answers dropped again."""
    salvaged(damaged(asked, Step, 0, tmp_path), new)
    before = len(those(new, Vote))
    go_on(new, Drops(new / "labels"))
    assert before < len(those(new, Vote))
    assert answers(new) == answers(asked)
    assert standing(new) == standing(asked)
    assert steps(new)[-1].state == steps(asked)[-1].state
    typed("audit", new)


def test_an_answer_that_is_lost_is_asked_for_again(
    asked: Path, new: Path, tmp_path: Path
) -> None:
    """Only that one; those to the other pairs in flight are taken in at once."""
    run = damaged(asked, Vote, 0, tmp_path)
    lost = next(batch for batch in frames(asked).values() if has(batch, Vote))
    salvaged(run, new)
    assert len(those(new, Vote)) == 0
    (inbox,) = (new / "labels" / "inbox").glob("salvaged-*.jsonl")
    assert len(inbox.read_text().splitlines()) > 0
    watch = Asked()
    go_on(new, watch)
    assert watch.first == sum(isinstance(record, Vote) for record in lost)
    assert standing(new) == standing(asked)


def answers(run: Path) -> list[tuple[object, ...]]:
    """All that people decided in a run."""
    return sorted(
        (v.ticket, v.slot, v.value, v.strong, v.shown, v.annotator, v.note)
        for v in those(run, Vote)
    )


class Asked(Everybody):
    """Everybody answers; and how many files waited first is noted."""

    first = 0

    def waiting(self, files: int, folder: Path) -> None:
        """Note it, and answer."""
        self.first = self.first or files
        super().waiting(files, folder)


def test_the_old_run_is_as_it_was(judged: Path, new: Path, tmp_path: Path) -> None:
    """Nothing in it is touched, and the new one has no part of it."""
    run = damaged(judged, Step, 1, tmp_path)
    before = contents(run)
    salvaged(run, new)
    go_on(new)
    assert contents(run) == before
    assert len(steps(new)) == 4
