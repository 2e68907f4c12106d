"""A rewind that is refused, told on the command line, or killed half-way."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from onlinedpo.cli.rewind import rewind as command
from onlinedpo.states.errors import RunLocked, UsageError
from onlinedpo.states.records import Label, Rewound
from tests.engine.kit import DROPOUT
from tests.engine.runs import opened, steps
from tests.people.kit import Parts, Person, nothing
from tests.people.runs import (
    again,
    back,
    correct,
    pairs,
    standing,
    those,
    work,
)
from tests.processes import killed, onlinedpo

pytestmark = pytest.mark.usefixtures("hurry")

SLOW = [pytest.param(times, marks=pytest.mark.slow) for times in (1, 2, 4)]


@pytest.mark.parametrize("to", [-1, 3, 4])
def test_a_step_that_is_not_there_is_refused(
    to: int, human: Parts, tmp_path: Path
) -> None:
    """With the numbers that could be given; the run is as it was."""
    before = work(tmp_path, **human)
    with pytest.raises(UsageError, match=rf"step {to} is not one") as caught:
        back(tmp_path, to)

    assert "0 to 2" in caught.value.hint
    assert those(tmp_path, Rewound) == []
    assert work(tmp_path).state == before.state


def test_a_run_that_works_is_not_rewound(human: Parts, tmp_path: Path) -> None:
    """Nor one whose earlier rewind was not trained through."""
    work(tmp_path, **human)
    with opened(tmp_path), pytest.raises(RunLocked) as locked:
        back(tmp_path, 1)
    assert (UsageError.exit_code, locked.value.exit_code) == (2, 6)
    back(tmp_path, 1)
    with pytest.raises(UsageError, match="has not been trained through"):
        back(tmp_path, 0)


def test_the_command_says_what_it_did(human: Parts, tmp_path: Path) -> None:
    """And its exit code is 2 where there is no such step."""
    run = tmp_path / "run"
    work(run, **human)
    correct(run, 4)
    work(run)

    missing = onlinedpo("rewind", run, "--to", "3")
    done = onlinedpo("rewind", run, "--to", "1")

    assert missing.code == 2
    assert "the run stands after step 3" in missing.output
    assert done.code == 0
    assert "stands after step 1 again; 2 steps are undone" in done.output
    assert f"1 pairs have another label now: {pairs(run)[4].pair}" in done.output
    assert f"onlinedpo run {run}" in done.output
    assert "Traceback" not in missing.output + done.output


def test_what_is_no_run_is_not_rewound(tmp_path: Path) -> None:
    """And no run is begun there."""
    nowhere = tmp_path / "nowhere"
    ended = CliRunner().invoke(command, [str(nowhere), "--to", "1"])

    assert isinstance(ended.exception, UsageError)
    assert "is not a run" in str(ended.exception)
    assert not nowhere.exists()


@pytest.mark.parametrize("times", [3, *SLOW])
def test_killed_while_it_trains_again_it_ends_equal(
    times: int, human: Parts, tmp_path: Path
) -> None:
    """At a commit of the retraining, or before it: the next start goes on."""
    settings = {**human, "lora_parameters": DROPOUT, "save_every": 3, "iters": 5}
    before = work(tmp_path, **settings)
    stood = standing(tmp_path)
    back(tmp_path, 1)

    died = onlinedpo("run", tmp_path, crash=f"journal.sync@{times}")
    assert killed(died), died.output
    after = work(tmp_path, Person(nothing))

    assert after.state == before.state
    assert standing(tmp_path) == stood


@pytest.mark.parametrize("times", [*SLOW[:1], 2])
def test_killed_while_it_rewinds_nothing_is_half_done(
    times: int, human: Parts, tmp_path: Path
) -> None:
    """Killed at its appends, the run is as it was, or is rewound."""
    before = work(tmp_path, **human)
    died = onlinedpo("rewind", tmp_path, "--to", "1", crash=f"journal.sync@{times}")
    assert killed(died), died.output

    stands = work(tmp_path, Person(nothing), iters=3)
    assert stands.state == before.state
    assert len(steps(tmp_path)) == (3 if times == 1 else 5)
    assert {r.source for r in those(tmp_path, Label)} == {"human"}
    assert again(tmp_path, 0).state == before.state
