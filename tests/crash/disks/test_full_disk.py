"""A disk that is really full, or read-only: a small one, in a name space of our own.

And a limit on the size of files, for the whole program.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from onlinedpo.cli.main import main
from onlinedpo.journal.audit.auditing import audit
from tests import starter
from tests.conftest import Count
from tests.processes import LINKS, final_bytes, left_alone, onlinedpo
from tests.toys import toy_flags


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


own_mounts = pytest.mark.skipif(not mounts(), reason="no mounts of our own here")


ROOMS = [
    *(f"size={size}k" for size in (4, 8, 12, 16, 24, 40, 64, 100, 140)),
    *(f"size=64m,nr_inodes={number}" for number in (2, 4, 6, 8, 10, 12, 14, 16, 18)),
]
"""How little a disk holds: bytes, or files."""
TOO_SMALL = ("size=4k", "size=8k", "size=64m,nr_inodes=2", "size=64m,nr_inodes=4")
"""Where not even a run can begin."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """A short run on a toy, which writes what these disks have no room for."""
    return toy_flags(
        tmp_path_factory.mktemp("toy"),
        held_out=2,
        iters=4,
        batch_size=2,
        max_completion_length=8,
        save_every=1,
    )


@pytest.fixture(scope="module")
def undisturbed(
    settings: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The run with these settings, for which there was room."""
    return left_alone(tmp_path_factory.mktemp("undisturbed") / "run", *settings)


@own_mounts
def test_what_is_read_only_is_told_before_a_model_is_loaded(
    settings: tuple[str, ...], undisturbed: Path, tmp_path: Path
) -> None:
    """A new run there, and one that lies there; it can be looked at."""
    script = """
    at=$1 run=$2; shift 2; mkdir $at; mount -t tmpfs tmpfs $at
    cp -r $run $at/run; mount -o remount,ro $at
    odpo run $at/run --iters 9; echo "code $?"
    odpo run $at/new "$@"; echo "code $?"
    odpo status $at/run > /dev/null; echo "code $?"
    odpo runs $at
    """

    done = alone(script, tmp_path / "disk", undisturbed, *settings)

    assert [x for x in done.stdout.split("\n") if x.startswith("code ")] == [
        *("code 11", "code 11", "code 0")
    ]
    assert f"{tmp_path / 'disk' / 'run'} cannot be written" in done.stderr
    assert f"{tmp_path / 'disk'} cannot be written" in done.stderr
    assert "memory" not in done.stdout, "nothing was estimated, let alone loaded"
    assert "finished" in done.stdout


@own_mounts
@pytest.mark.slow
@pytest.mark.parametrize("room", ROOMS)
def test_a_run_on_a_full_disk_goes_on_when_there_is_space(
    room: str,
    settings: tuple[str, ...],
    undisturbed: Path,
    tmp_path: Path,
    count: Count,
) -> None:
    """It says so and leaves with 11; with space again it ends with the same bytes."""
    script = """
    at=$1 room=$2 out=$3; shift 3; mkdir $at; mount -t tmpfs -o $room tmpfs $at
    odpo run $at/run "$@" > /dev/null; echo "code $?"
    test -e $at/run && echo begun
    mount -o remount,size=64m,nr_inodes=0 $at
    odpo run $at/run "$@" > /dev/null; echo "code $?"
    cp -r $at/run $out
    """

    done = alone(script, tmp_path / "disk", room, tmp_path / "run", *settings)

    lines = done.stdout.split()
    assert lines[:2] == ["code", "11"] and lines[-2:] == ["code", "0"], done.stderr
    assert ("begun" in lines) == (room not in TOO_SMALL), "or nothing is left"
    assert "Traceback" not in done.stderr
    assert final_bytes(tmp_path / "run") == final_bytes(undisturbed)
    count("full disks", 1)


PEOPLE = """
work() {
    while true; do
        odpo run $at/run --no-wait "$@" > /dev/null; code=$?; echo "run $code"
        test $code = 3 || return
        printf 1111 | odpo label $at/run --annotator ann > /dev/null
        code=$?; echo "label $code"
        test $code = 0 || return
    done
}
at=$1 room=$2 out=$3; shift 3; mkdir $at; mount -t tmpfs -o $room tmpfs $at
work "$@"
echo full
mount -o remount,size=64m,nr_inodes=0 $at
work "$@"
cp -r $at/run $out
"""
"""A run that waits for a person, and the person: until there is no room, and on."""


@pytest.fixture(scope="module")
def by_people(settings: tuple[str, ...]) -> tuple[str, ...]:
    """The same, judged by people; TensorBoard's files are written beside it."""
    return (*settings, "--judge", "human", "--report-to", "tensorboard")


@pytest.fixture(scope="module")
def labelled(
    by_people: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """What a run leaves for which there was room."""
    folder = tmp_path_factory.mktemp("labelled")
    done = alone(PEOPLE, folder / "disk", "size=64m", folder / "run", *by_people)
    assert done.stdout.split("full")[0].split()[-2:] == ["run", "0"], done.stderr
    return final_bytes(folder / "run")


@own_mounts
@pytest.mark.slow
@pytest.mark.parametrize(
    "room",
    [
        *(f"size={size}k" for size in (24, 40, 64, 96, 128, 160, 200)),
        *(f"size=64m,nr_inodes={number}" for number in (12, 16, 20, 24, 28, 32, 36)),
    ],
)
def test_people_label_on_a_full_disk_and_go_on_when_there_is_space(
    room: str,
    by_people: tuple[str, ...],
    labelled: dict[str, str],
    tmp_path: Path,
    count: Count,
) -> None:
    """No answer is lost that was said to be saved; TensorBoard's files are there."""
    done = alone(PEOPLE, tmp_path / "disk", room, tmp_path / "run", *by_people)

    small, after = done.stdout.split("full")
    # What fails of TensorBoard is told, and the run goes on.
    assert small.split()[-1] == "11" or "tensorboard failed" in done.stdout, done.stderr
    assert after.split()[-2:] == ["run", "0"], done.stderr
    assert "Traceback" not in done.stderr
    assert final_bytes(tmp_path / "run") == labelled
    audit(tmp_path / "run")
    count("full disks", 1)


def limited(size: int, *arguments: str) -> None:
    """The program, no file of which may grow beyond so many bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    output = os.open(arguments[0], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.argv = ["onlinedpo", *arguments[1:]]
    main()


@pytest.mark.parametrize(
    "size",
    [
        3000,
        *(
            pytest.param(size, marks=pytest.mark.slow)
            for size in (*range(0, 12000, 250), 20_000, 200_000)
            if size != 3000
        ),
    ],
)
def test_a_limit_on_the_size_of_files_is_told_and_loses_nothing(
    size: int,
    settings: tuple[str, ...],
    undisturbed: Path,
    tmp_path: Path,
    count: Count,
) -> None:
    """One clear message and code 11; without the limit the run goes on."""
    run, said = tmp_path / "run", tmp_path / "said"
    process = starter.child_of(limited, size, str(said), "run", str(run), *settings)
    process.join(600)
    text = said.read_text()
    assert process.exitcode == (0 if size >= 200_000 else 11), text
    assert "Traceback" not in text
    # What is said is in a file as well, which may be the one that is too long.
    assert text.count("onlinedpo: ") == (size < 200_000) or len(text) >= size
    ended = onlinedpo("run", run, *settings)
    assert ended.code == 0, ended.output
    assert final_bytes(run) == final_bytes(undisturbed)
    audit(run)
    count("limits on the size of files", 1)
