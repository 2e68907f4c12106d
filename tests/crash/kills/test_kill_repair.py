"""What a start has to mend after a kill: steps, checkpoints, and half a frame."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Count
from tests.crash.kills.alone import Way
from tests.crash.kills.kills import Killed, at_point, passed
from tests.crash.kills.points import OF_A_REPAIR, general
from tests.processes import final_bytes, killed, onlinedpo


@pytest.mark.parametrize(
    "times",
    [
        11,
        pytest.param(4, marks=pytest.mark.slow),
        pytest.param(19, marks=pytest.mark.slow),
    ],
)
def test_sparse_checkpoints_resume_to_the_same_bytes(
    times: int, alone: Way, tmp_path: Path, count: Count
) -> None:
    """With a checkpoint every third step, the steps after it are applied again."""
    run = Killed(tmp_path / "run", *alone("sparse").arguments)
    assert run.dies(at_point("journal.sync", times))
    run.ends_like(alone("sparse").left)
    count("kills at named points", 1)


def test_a_run_without_its_checkpoints_is_rebuilt_from_the_journal(
    alone: Way, tmp_path: Path
) -> None:
    """With the checkpoints deleted half-way, and again at the end, nothing is lost."""
    run, left_alone = tmp_path / "run", alone("dropout")
    ended = onlinedpo("run", run, *left_alone.arguments, crash="folder.sync@4")
    assert killed(ended), ended.output
    shutil.rmtree(run / "checkpoints")
    ended = onlinedpo("run", run)
    assert ended.code == 0, ended.output
    assert "re-applying steps 1 to 3" in ended.output
    assert left_alone.left == final_bytes(run)

    shutil.rmtree(run / "checkpoints")
    shutil.rmtree(run / "adapters")
    ended = onlinedpo("run", run)
    assert ended.code == 0, ended.output

    assert left_alone.left == final_bytes(run)


def test_a_torn_frame_is_cut_told_and_kept(
    alone: Way, tmp_path: Path, count: Count
) -> None:
    """A frame cut short by a crash is set aside, also if the repair crashes too."""
    run, left_alone = tmp_path / "run", alone("dropout")
    died = onlinedpo("run", run, *left_alone.arguments, crash="journal.append@9")
    assert killed(died), died.output
    segment = run / "journal" / "000001.odj"
    segment.write_bytes(segment.read_bytes()[:-5])
    # Each time at another point of the repair.
    points = tmp_path / "points"
    copy = shutil.copytree(run, tmp_path / "copy")
    assert onlinedpo("run", copy, crash=f"list:{points}").code == 0
    repair = {name for name in passed(points) if general(name) in OF_A_REPAIR}
    assert {*map(general, repair)} == OF_A_REPAIR
    for end in ("write", "rename", "cut"):
        (point,) = {name for name in repair if name.endswith(end)}
        died = onlinedpo("run", run, crash=f"{point}@1")
        assert killed(died), died.output
    segment.write_bytes(segment.read_bytes() + b"garbage")

    ended = onlinedpo("run", run)

    assert ended.code == 0, ended.output
    assert "torn tail: 7 bytes" in ended.output
    kept = sorted((run / "quarantine").iterdir())
    assert len(kept) == 2
    assert {k.read_bytes() for k in kept} >= {b"garbage"}
    assert left_alone.left == final_bytes(run)
    count("kills at named points", 1 + len(repair))
