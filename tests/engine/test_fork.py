"""A fork begins as another run did: left as it was, it comes to the same bytes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.engine.loop import train
from onlinedpo.engine.observer import Silent
from onlinedpo.engine.rebuild import rebuild
from onlinedpo.engine.run_folder import RunFolder, read_settings
from onlinedpo.engine.start import take_up
from onlinedpo.journal.manifest import find
from onlinedpo.journal.reader import Reader
from onlinedpo.journal.rewinding import rewind
from onlinedpo.states.errors import SettingsChanged, UsageError
from onlinedpo.states.given import FIXED_BY_COPY
from onlinedpo.states.records import Derived, RunOpened, Step, Verdict
from tests.engine.forks import facts_until, fork
from tests.engine.kit import DROPOUT
from tests.engine.runs import (
    Listener,
    go_on,
    opened,
    records,
    state,
    steps,
)
from tests.engine.test_rebuild import contents
from tests.tables import settings

STEPS: dict[str, Any] = {
    "iters": 6,
    "steps_per_eval": 2,
    "val_prompts": 2,
    "lora_parameters": DROPOUT,
}


@pytest.fixture(scope="module")
def model(toy: Path, data: Path) -> dict[str, Any]:
    """What the runs here are made of."""
    return {"model": str(toy), "judge": str(toy), "data": str(data)}


@pytest.fixture(scope="module")
def finished(
    model: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """A finished run of six steps, and the digest of its state."""
    run = tmp_path_factory.mktemp("finished") / "run"
    return run, go_on(run, **model, **STEPS)


def outcome(run: Path) -> list[Any]:
    """What the steps of a run came to."""
    return [(s.index, s.tickets, s.loss, s.grad_norm, s.state) for s in steps(run)]


@pytest.mark.parametrize("at", [2, 5])
def test_a_fork_goes_on_to_the_bytes_of_the_run_itself(
    at: int, finished: tuple[Path, str], tmp_path: Path
) -> None:
    """With a checkpoint (5) and without; the other run is not touched."""
    run, whole = finished
    before = contents(run)
    done = fork(run, tmp_path / "new", at)

    assert (done.step, done.checkpoint, done.changed) == (at, at >= 5, {})
    copied = [r for r in records(tmp_path / "new") if not isinstance(r, RunOpened)]
    assert copied[:-1] == facts_until(run, at)
    assert isinstance(copied[-1], Derived)
    assert go_on(tmp_path / "new") == whole
    assert outcome(tmp_path / "new") == outcome(run)
    assert contents(run) == before


def test_a_fork_says_whose_it_is(finished: tuple[Path, str], tmp_path: Path) -> None:
    """It has an id of its own, the place that it was read up to, and its settings."""
    run, _ = finished
    fork(run, tmp_path / "new")
    reader = Reader(tmp_path / "new" / "journal")
    ledger, there = reader.fold(), Reader(run / "journal").fold()
    chains = {
        place.number: place.chain for place, _ in Reader(run / "journal").batches()
    }

    assert ledger.opened and there.opened and ledger.derived and reader.position
    assert ledger.opened.run_id != there.opened.run_id
    assert ledger.opened.run_id == reader.position.run.hex()
    assert ledger.derived.source == there.opened.run_id
    assert ledger.derived.chain == chains[ledger.derived.frame]
    assert ledger.derived.step == ledger.steps == 6
    assert read_settings(tmp_path / "new" / "config.yaml") == ledger.settings
    (checkpoint,) = find(tmp_path / "new" / "checkpoints")[0]
    (theirs, _) = find(run / "checkpoints")[0]
    assert checkpoint.files == theirs.files
    assert checkpoint.state == checkpoint.state_of_files() == theirs.state
    assert checkpoint.chain == reader.position.chain


def test_a_damaged_checkpoint_is_not_taken_along(
    finished: tuple[Path, str], tmp_path: Path
) -> None:
    """The steps are taken again from the journal instead."""
    run = Path(shutil.copytree(finished[0], tmp_path / "run"))
    file = run / "checkpoints" / "step-000006" / "optimizer.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)

    assert not fork(run, tmp_path / "new").checkpoint
    assert go_on(tmp_path / "new") == finished[1]


@pytest.mark.parametrize("at", [pytest.param(3, marks=pytest.mark.slow), 5])
def test_a_changed_learning_rate_counts_from_there_on(
    at: int, model: dict[str, Any], tmp_path: Path
) -> None:
    """As if a schedule had said so; stopped, and rebuilt from nothing, it is the same.

    The rates are powers of two, so that the schedule's arithmetic is exact.
    """
    fast, slow = 2.0**-7, 2.0**-8
    schedule = {"name": "step_decay", "arguments": [fast, 0.5, at]}
    scheduled = go_on(tmp_path / "scheduled", **model, **STEPS, lr_schedule=schedule)
    run, new = tmp_path / "run", tmp_path / "new"
    unchanged = go_on(run, **model, **STEPS, learning_rate=fast)
    done = fork(run, new, at, learning_rate=slow)

    assert done.changed == {"learning_rate": slow}
    assert read_settings(new / "config.yaml")["learning_rate"] == slow
    go_on(new, Listener(stop_after=1))
    shutil.rmtree(new / "checkpoints")
    watch = Listener()
    assert go_on(new, watch) == scheduled != unchanged
    assert watch.told(f"re-applying steps 1 to {at + 1}")
    shutil.rmtree(new / "checkpoints")
    with opened(new) as rebuilt:
        assert state(rebuilt) == scheduled
    again = rebuild(RunFolder(new), tmp_path / "again", Silent(), to=None, model=None)
    assert (again.first, again.step) == (None, 6)
    with (
        pytest.raises(SettingsChanged, match="learning_rate"),
        opened(new, learning_rate=fast),
    ):
        pass


@pytest.mark.parametrize(
    "changed",
    [
        {"beta": 0.4, "dpo_cpo_loss_type": "ipo"},
        {"lr_schedule": {"name": "cosine_decay", "arguments": [1e-2, 9]}},
        *(
            pytest.param(changed, marks=pytest.mark.slow)
            for changed in (
                {"batch_size": 2, "temperature": 0.5},
                {"judge_system": "Prefer rhymes.", "iters": 7},
            )
        ),
    ],
    ids=str,
)
def test_other_settings_may_change_too(
    changed: dict[str, Any], finished: tuple[Path, str], tmp_path: Path
) -> None:
    """The steps before are as they were; rebuilt from the journal it is the same."""
    new = tmp_path / "new"
    assert fork(finished[0], new, 4, **changed).changed == changed
    ended = go_on(new)

    assert ended != finished[1]
    assert outcome(new)[:4] == outcome(finished[0])[:4]
    shutil.rmtree(new / "checkpoints")
    with opened(new) as rebuilt:
        assert state(rebuilt) == ended


OTHER: dict[str, Any] = {
    **settings.OTHER,
    **{"model": "other", "data": "other", "seed": 1, "val_prompts": 1},
    **{"max_seq_length": 99, "fine_tune_type": "dora", "num_layers": 1},
    **{"lora_parameters": {**DROPOUT, "rank": 2}, "optimizer": "sgd"},
    "optimizer_config": {"adam": {"eps": 1e-6}},
}


@pytest.mark.parametrize("name", FIXED_BY_COPY)
def test_what_made_the_copied_facts_cannot_change(
    name: str, finished: tuple[Path, str], tmp_path: Path
) -> None:
    """It is refused, and nothing is left behind."""
    with pytest.raises(UsageError, match=f"cannot change {name}:"):
        fork(finished[0], tmp_path / "new", **{name: OTHER[name]})
    assert list(tmp_path.iterdir()) == []

    before = Reader(finished[0] / "journal").fold().settings
    done = fork(finished[0], tmp_path / "new", **{name: before[name]})
    assert done.changed == {}


def test_a_fork_never_writes_the_adapter_of_the_run(
    model: dict[str, Any], tmp_path: Path
) -> None:
    """A place that was chosen for the run's adapter is the run's alone."""
    place = tmp_path / "adapter"
    go_on(tmp_path / "run", **model, iters=2, adapter_path=str(place))
    before = contents(place)
    done = fork(tmp_path / "run", tmp_path / "new")
    go_on(tmp_path / "new", iters=3)

    assert done.changed == {"adapter_path": None}
    assert contents(place) == before
    assert (tmp_path / "new" / "adapters" / "adapters.safetensors").exists()


def test_a_run_at_work_can_be_forked(model: dict[str, Any], tmp_path: Path) -> None:
    """Its lock is not asked for; what is half-written at the end is not read."""
    run, new = tmp_path / "run", tmp_path / "new"
    go_on(run, Listener(stop_after=2), **model, **STEPS)
    with opened(run):
        segment = sorted((run / "journal").glob("*.odj"))[-1]
        whole = segment.read_bytes()
        segment.write_bytes(whole + b"half a frame")
        fork(run, new)
        segment.write_bytes(whole)

    assert go_on(new) == go_on(run)


def test_a_rewound_run_is_forked_as_it_stands(
    model: dict[str, Any], finished: tuple[Path, str], tmp_path: Path
) -> None:
    """Before, in the middle and after steps were taken again; and a fork of a fork."""
    run = Path(shutil.copytree(finished[0], tmp_path / "run"))
    with take_up(RunFolder(run), Silent()) as journal:
        rewind(journal, 3)
    assert fork(run, tmp_path / "rewound").step == 3
    go_on(run)
    fork(run, tmp_path / "before", 2)
    fork(run, tmp_path / "after", 5)
    fork(tmp_path / "after", tmp_path / "twice", 4)

    for name, taken in (("rewound", 6), ("before", 6), ("after", 9), ("twice", 9)):
        assert go_on(tmp_path / name) == finished[1], name
        assert len(steps(tmp_path / name)) == taken, name


def test_a_fork_of_a_changed_fork_keeps_each_change_at_its_place(
    finished: tuple[Path, str], tmp_path: Path
) -> None:
    """Rebuilt from the journal, every step is taken under the settings it had."""
    one, two = tmp_path / "one", tmp_path / "two"
    fork(finished[0], one, 2, learning_rate=5e-3)
    go_on(one)
    fork(one, two, 4, learning_rate=2e-2)
    ended = go_on(two)

    assert outcome(two)[:4] == outcome(one)[:4] != outcome(finished[0])[:4]
    again = rebuild(RunFolder(two), tmp_path / "again", Silent(), to=None, model=None)
    assert again.first is None
    shutil.rmtree(two / "checkpoints")
    with opened(two) as rebuilt:
        assert state(rebuilt) == ended


def test_another_judge_takes_over_at_the_fork(
    finished: tuple[Path, str], opinionated: Path, tmp_path: Path
) -> None:
    """It is known by content from there on, and judges what is sampled then."""
    new = tmp_path / "new"
    fork(finished[0], new, 5, judge=str(opinionated), judge_orders=1)
    with opened(new) as at_work:
        train(at_work)
        assert at_work.ledger.opened and at_work.judge
        assert at_work.ledger.opened.judge == at_work.judge.identity
    weights = [
        record.judge["weights"]
        for record in records(new)
        if isinstance(record, Verdict) and "weights" in record.judge
    ]

    assert {*weights} == {at_work.judge.identity["weights"]}


@pytest.mark.parametrize("at", [0, 7, -1])
def test_a_step_that_does_not_stand_is_refused(
    at: int, finished: tuple[Path, str], tmp_path: Path
) -> None:
    """With the numbers that could be given."""
    with pytest.raises(UsageError, match=f"no step {at}") as caught:
        fork(finished[0], tmp_path / "new", at)

    assert "1 to 6" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_taken_is_refused(
    finished: tuple[Path, str], tmp_path: Path
) -> None:
    """An empty folder is no obstacle."""
    fork(finished[0], tmp_path / "new", 1)
    with pytest.raises(UsageError, match="exists already"):
        fork(finished[0], tmp_path / "new", 2)
    (tmp_path / "empty").mkdir()
    fork(finished[0], tmp_path / "empty", 2)

    assert [len(steps(tmp_path / name)) for name in ("new", "empty")] == [1, 2]
    assert {path.name for path in tmp_path.iterdir()} == {"new", "empty"}


def test_a_run_without_a_step_cannot_be_forked(
    model: dict[str, Any], tmp_path: Path
) -> None:
    """There is nothing to begin from."""
    with opened(tmp_path / "run", **model):
        pass
    with pytest.raises(UsageError, match="no step 0"):
        fork(tmp_path / "run", tmp_path / "new")
    assert not [r for r in records(tmp_path / "run") if isinstance(r, Step)]
