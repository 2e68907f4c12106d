"""The tests have teeth: whatever safeguard is left out, they fail.

`pytest -m slow tests/crash/mutants` breaks a copy of the program in one place at a time
and runs the quick tier of the fault tests on it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Count
from tests.crash.mutants.mutants import MUTANTS, ROOT, Mutant, copy_of_the_program

FIRST = ("power_cuts", "rot", "disks", "io_errors", "kills")
SUITE = (
    "tests/crash/power_cuts",
    "tests/journal",
    "tests/engine/test_checkpoint.py",
    *(f"tests/crash/{part}" for part in FIRST[1:]),
    *(
        f"tests/crash/{part.name}"
        for part in sorted((ROOT / "tests" / "crash").iterdir())
        if part.is_dir() and part.name not in (*FIRST, "mutants", "__pycache__")
    ),
)
"""What is run on each mutant, the likeliest first; it passes on the program itself."""


def suite(copy: Path) -> subprocess.CompletedProcess[str]:
    """Run the tests on a copy until one fails."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-x", "-n", "0"),
            *("-p", "no:cacheprovider", "--tb=line", *SUITE),
        ],
        cwd=copy,
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")},
        capture_output=True,
        text=True,
    )


def test_every_mutant_is_a_change_of_the_program(tmp_path: Path) -> None:
    """The text that each one replaces stands there, once."""
    copy = copy_of_the_program(tmp_path / "copy")
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 12
    for mutant in MUTANTS:
        before = (copy / mutant.path).read_text()
        mutant.put_into(copy)
        compile((copy / mutant.path).read_text(), mutant.path, "exec")
        (copy / mutant.path).write_text(before)


@pytest.mark.slow
def test_the_copy_passes_as_it_is(tmp_path: Path) -> None:
    """Or else the mutants would fail for being copies."""
    done = suite(copy_of_the_program(tmp_path / "copy"))
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=[m.name for m in MUTANTS])
def test_a_program_without_it_fails(
    mutant: Mutant, tmp_path: Path, count: Count
) -> None:
    """Tests fail, rather than not being found or not being able to run."""
    copy = copy_of_the_program(tmp_path / "copy")
    mutant.put_into(copy)
    done = suite(copy)
    assert done.returncode == 1, f"survives:\n{done.stdout[-3000:]}"
    print(done.stdout.splitlines()[-2])
    count("mutants killed", 1)
