"""Killed while people label, a run loses no answer and trains on what people said.

Meanwhile somebody saves label files and changes answers in done/, and another process
drops bundles.  Where people judge all, and what they say depends on the texts alone,
the end is the same to the byte as of a run left alone: the run waits for all answers to
a batch, so it does not matter when they come.  Where a model judges too, it goes on
with other pairs meanwhile: which of them make a batch depends on when people come by,
and there the end is held to the journal instead, from which it is made again to the
byte.  The same holds with `max_waiting` or with more than one person for a pair.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import Step
from tests import starter
from tests.conftest import Count
from tests.crash.kills.kills import (
    LEFT_ALONE,
    Death,
    Killed,
    at_change,
    at_point,
    from_outside,
)
from tests.crash.kills.labellers import (
    Annotator,
    drop_bundles,
    must_all_be_there,
    must_be_journalled,
)
from tests.engine.runs import records
from tests.people.kit import taste
from tests.people.runs import pairs, trained_on
from tests.processes import final_bytes, onlinedpo
from tests.toys import toy_flags

TICK = 0.01
PATIENCE = 120.0
"""Seconds after which a run should have ended, so that no test hangs."""

Arguments = tuple[str, ...]

SEEDS = pytest.mark.parametrize(
    ("seeds", "kills"),
    [
        pytest.param(range(3), 10, id="seeds 0-2"),
        *(
            pytest.param(
                range(n, n + 5), 15, id=f"seeds {n}-{n + 4}", marks=pytest.mark.slow
            )
            for n in range(10, 35, 5)
        ),
    ],
)
"""Of the runs that live side by side, and how often each of them is killed."""


class Labelled(Killed):
    """A run that people label while its processes die."""

    def __init__(self, folder: Path, chance: random.Random, *arguments: str) -> None:
        """An annotator here, and one who drops bundles in another process."""
        super().__init__(folder, *arguments)
        self.annotator = Annotator(folder / "labels", chance)
        self._chance = chance

    def lives(self, deaths: Iterator[Death]) -> Iterator[None]:
        """All its life, bit by bit: each process dies as it is told, until it ends."""
        labels = self.folder / "labels"
        dropper = starter.child_of(
            drop_bundles, str(labels), self._chance.randrange(99)
        )
        try:
            for death in deaths:
                for _ in self.dying(death, TICK):
                    self.annotator.work()
                    yield
                must_be_journalled(labels, self.known, self.annotator)
                if not self.deaths or self.deaths[-1] is not death:
                    break
                # Some things are saved while no process runs.
                for _ in range(self._chance.randrange(3)):
                    self.annotator.work()
            end = time.monotonic() + PATIENCE
            for child in self.dying(LEFT_ALONE, TICK):
                self.annotator.work()
                assert time.monotonic() < end, f"{self}\n{child.printed()}"
                yield
        finally:
            dropper.kill()
            dropper.join()
        # What was saved in its last moments is taken in at the next start.
        for _ in self.dying(LEFT_ALONE, TICK):
            yield
        must_all_be_there(self.folder, self.annotator)
        self.is_in_order()


def all_at_once(runs: list[Iterator[None]]) -> None:
    """Let the runs live side by side: each of them waits for most of its time."""
    while runs:
        for run in [*runs]:
            if next(run, StopIteration) is StopIteration:
                runs.remove(run)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Arguments:
    """The arguments of a short run on a toy."""
    return toy_flags(
        tmp_path_factory.mktemp("toy"),
        iters=3,
        batch_size=3,
        max_completion_length=6,
        learning_rate="1e-2",
        seed=5,
        val_prompts=0,
        save_every=1,
        steps_per_report=1,
        lora_parameters="{rank: 4, dropout: 0.1, scale: 2.0}",
    )


@pytest.fixture(scope="module")
def undisturbed(
    toy: Arguments, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """What a run leaves that is not killed."""
    run = Labelled(
        tmp_path_factory.mktemp("undisturbed") / "run",
        random.Random(0),
        *toy,
        *("--judge", "human"),
    )
    all_at_once([run.lives(iter(()))])
    return final_bytes(run.folder)


def deaths(chance: random.Random, count: int) -> Iterator[Death]:
    """So many: at points of the journal, at changes of files, and at any moment."""
    for _ in range(count):
        kind = chance.randrange(3)
        if kind == 0:
            point = chance.choice(("journal.append", "journal.sync", "state.move"))
            yield at_point(point, chance.randint(1, 4))
        elif kind == 1:
            yield at_change(chance, 60)
        else:
            yield from_outside(chance, 1.5)


def lives_of(
    place: Path, seeds: range, kills: int, *arguments: str
) -> tuple[list[Labelled], int]:
    """Runs that live side by side, and how many kills that were in all."""
    runs, lives = list[Labelled](), list[Iterator[None]]()
    for seed in seeds:
        chance = random.Random(seed)
        runs.append(Labelled(place / f"seed{seed}", chance, *arguments))
        lives.append(runs[-1].lives(deaths(chance, kills)))
    all_at_once(lives)
    return runs, sum(len(run.deaths) for run in runs)


def trains_what_people_said(run: Path) -> None:
    """Each pair was trained with the label that their rule gives it."""
    found = pairs(run)
    for step in trained_on(run):
        assert step == {ticket: taste(found[ticket]) for ticket in step}


@SEEDS
def test_killed_while_people_judge_the_end_is_the_same(
    seeds: range,
    kills: int,
    toy: Arguments,
    undisturbed: dict[str, str],
    tmp_path: Path,
    count: Count,
) -> None:
    """No answer is lost or taken twice, corrections count, and no byte differs."""
    runs, killed = lives_of(tmp_path, seeds, kills, *toy, "--judge", "human")

    for run in runs:
        trains_what_people_said(run.folder)
        assert final_bytes(run.folder) == undisturbed, str(run)
    count("kills while people label", killed)


@SEEDS
def test_killed_while_a_model_judges_and_people_correct_it(
    seeds: range, kills: int, toy: Arguments, tmp_path: Path, count: Count
) -> None:
    """What people said in time was trained on, and the end follows from the journal."""
    hybrid = (*("--human-share", "0.5", "--max-waiting", "6", "--iters", "6"),)
    runs, killed = lives_of(tmp_path, seeds, kills, *toy, *hybrid)

    for run in runs:
        people_had_the_last_word(run.folder)
        again = run.folder.with_name(f"{run.folder.name}-again")
        made = onlinedpo("replay", run.folder, "--train", "--into", again)
        assert made.code == 0, f"{run}\n{made.output}"
        for name in ("adapters.safetensors", "optimizer.safetensors"):
            (last,) = (run.folder / "checkpoints").glob(f"step-000006/{name}")
            assert (again / name).read_bytes() == last.read_bytes(), str(run)
    count("kills while people label", killed)


def people_had_the_last_word(run: Path) -> None:
    """A pair that had an answer before its step was trained on as that answer says."""
    ledger, sources, steps = Ledger(), set[str](), 0
    for record in records(run):
        if isinstance(record, Step):
            steps += 1
            for ticket in record.tickets:
                turn = ledger.turns[ticket]
                assert turn.label
                sources.add(turn.label.source)
                for vote in turn.votes.values():
                    assert turn.label.chosen == vote.value, f"{run}: {ticket}"
        ledger.fold(record)
    assert steps == 6 and sources == {"judge", "human", "file"}, (steps, sources)
