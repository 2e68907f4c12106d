"""A disk that is really full, or read-only: a small one, in a name space of our own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import LINKS, final_bytes, onlinedpo
from tests.toys import prompts_file, toy_model


def alone(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a shell script as the root of its own mounts; `odpo` is the command line."""
    odpo = f'odpo() {{ "{sys.executable}" -m onlinedpo.cli "$@"; }}\n'
    return subprocess.run(
        ["unshare", "-rm", "sh", "-c", odpo + script, "sh", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(LINKS), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


def mounts() -> bool:
    """Whether this machine lets us mount anything."""
    if not shutil.which("unshare"):
        return False
    return not alone("mount -t tmpfs tmpfs /mnt").returncode


pytestmark = pytest.mark.skipif(not mounts(), reason="no mounts of our own here")


@pytest.fixture(scope="module")
def flags(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A short run on a toy."""
    folder = tmp_path_factory.mktemp("toy")
    model = str(toy_model(folder / "model", opinionated=True))
    data = str(prompts_file(folder / "data", 10, held_out=2))
    parts = ["--model", model, "--judge", model, "--data", data, "--judge-orders", "1"]
    size = ["--iters", "4", "--batch-size", "2", "--max-completion-length", "8"]
    return [*parts, *size, "--save-every", "1"]


def test_what_is_read_only_is_told_before_a_model_is_loaded(
    flags: list[str], tmp_path: Path
) -> None:
    """A new run there, and one that lies there; it can be looked at."""
    run = tmp_path / "run"
    assert onlinedpo("run", run, *flags).code == 0
    script = """
    at=$1 run=$2; shift 2; mkdir $at; mount -t tmpfs tmpfs $at
    cp -r $run $at/run; mount -o remount,ro $at
    odpo run $at/run --iters 9; echo "code $?"
    odpo run $at/new "$@"; echo "code $?"
    odpo status $at/run > /dev/null; echo "code $?"
    odpo runs $at
    """

    done = alone(script, tmp_path / "disk", run, *flags)

    assert [x for x in done.stdout.split("\n") if x.startswith("code ")] == [
        *("code 11", "code 11", "code 0")
    ]
    assert f"{tmp_path / 'disk' / 'run'} cannot be written" in done.stderr
    assert f"{tmp_path / 'disk'} cannot be written" in done.stderr
    assert "memory" not in done.stdout, "nothing was estimated, let alone loaded"
    assert "finished" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("room", ["4k", "8k", "12k", "16k", "24k", "40k", "64k"])
def test_a_run_on_a_full_disk_goes_on_when_there_is_space(
    room: str, flags: list[str], tmp_path: Path
) -> None:
    """It says so and leaves with 11; with space again it ends with the same bytes."""
    whole = tmp_path / "whole"
    assert onlinedpo("run", whole, *flags).code == 0
    script = """
    at=$1 room=$2 out=$3; shift 3; mkdir $at; mount -t tmpfs -o size=$room tmpfs $at
    odpo run $at/run "$@" > /dev/null; echo "code $?"
    test -e $at/run && echo begun
    mount -o remount,size=64m $at
    odpo run $at/run "$@" > /dev/null; echo "code $?"
    cp -r $at/run $out
    """

    done = alone(script, tmp_path / "disk", room, tmp_path / "run", *flags)

    lines = done.stdout.split()
    assert lines[:2] == ["code", "11"] and lines[-2:] == ["code", "0"], done.stderr
    assert ("begun" in lines) == (room not in ("4k", "8k")), "or nothing is left"
    assert "Traceback" not in done.stderr
    assert final_bytes(tmp_path / "run") == final_bytes(whole)
