"""Links, pipes, devices and folders where a run keeps its own files, and huge files.

A run that came from elsewhere may have any of them: nothing is waited for, read without
end or written through, and once the file is back all goes on.
"""

from __future__ import annotations

import resource
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import pytest

from onlinedpo.journal.plain_files import LARGEST
from tests.conftest import Count
from tests.crash.hostile.hostile import SECRET, everything, within
from tests.crash.hostile.traps import TRAPS, Trap, to_folder, to_journal
from tests.crash.io_errors.commands import command, is_as_undisturbed
from tests.crash.io_errors.place import Place, Stopped
from tests.crash.rot.test_rot_commands import command as reading

READERS = (
    *("status RUN", "audit RUN", "runs BELOW", "journal verify RUN", "config RUN"),
    *("journal doctor RUN", "journal cat RUN", "replay RUN", "show RUN 0"),
    *("trace RUN --step 1", "export RUN -o OUT/a", "agreement RUN --json"),
    *("journal salvage RUN OUT/b", "fork RUN OUT/c", "diff RUN WHOLE"),
)
CODES = {0, 1, 2, 5, 11, 130}
"""Done; not done, and told why; or, of a run, left while label files wait."""

MEMORY = 2 << 30
"""Bytes more than before that a command may ask for."""


def huge(path: Path, outside: Path) -> None:
    """A file without an end, nearly: a hole that takes no room."""
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)


@contextmanager
def bounded() -> Iterator[None]:
    """What waits for a pipe, or reads a device to its end, fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    try:
        with within(60):
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def own_files(run: Path) -> list[Path]:
    """All that a run consists of, but for what people put there."""
    found = sorted(path.relative_to(run) for path in run.rglob("*"))
    return [path for path in found if path.parts[0] != "labels"]


def caught(
    place: Place, stopped: Stopped, outside: Path, path: Path, trap: Trap, n: int
) -> None:
    """Commands meet a trap where a file of the run was, and then the file again."""
    run, before = place.begin(stopped), everything(outside)
    aside = place.folder / "aside" / path.name
    shutil.rmtree(aside.parent, ignore_errors=True)
    aside.parent.mkdir()
    (run / path).rename(aside)
    trap(run / path, outside)
    there = everything(run)
    for line in (READERS * 2)[n % len(READERS) :][:3]:
        _reads(place, line)
        assert everything(run) == there, f"{line} changes the run"
    ended = command("run", run, *place.settings)
    assert "Traceback" not in ended.err and ended.code in CODES, ended
    if ended.code:
        assert str(path.name) in ended.err or ended.code == 130, ended
        _put_back(run / path, aside)
        last = command("run", run, *place.settings)
        assert last.code == 0, last
    else:
        last = ended
    is_as_undisturbed(run, place.whole, stopped.ended, ended, last)
    assert everything(outside) == before


def _reads(place: Place, line: str) -> None:
    out = place.folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    words = {"RUN": place.run, "BELOW": place.folder, "WHOLE": place.source}
    ended = reading(
        *(str(words.get(w, w)).replace("OUT", str(out)) for w in line.split())
    )
    assert "Traceback" not in ended.err and ended.code in CODES, (line, ended)
    assert SECRET.decode().strip() not in ended.out + ended.err, line


def _put_back(path: Path, aside: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    aside.rename(path)


def _all(
    place: Place, stopped: Stopped, outside: Path, which: slice, traps: Sequence[Trap]
) -> int:
    # The folders of a run may be links to others.
    cases = [
        (path, trap)
        for path, trap in product(own_files(stopped.folder), traps)
        if len(path.parts) > 1 or trap not in (to_folder, to_journal)
    ][which]
    for n, (path, trap) in enumerate(cases):
        try:
            with bounded():
                caught(place, stopped, outside, path, trap, n)
        except Exception as error:
            error.add_note(f"{path}: {trap.__name__}")
            raise
    return len(cases)


@pytest.fixture
def outside(place: Place) -> Path:
    """A folder of somebody else, with a secret in it."""
    folder = place.folder / "outside"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "secret").write_bytes(SECRET)
    return folder


LEFT = pytest.mark.parametrize("stopped", ["a step is not committed"], indirect=True)


@LEFT
def test_what_is_no_file_of_a_run_leads_nowhere(
    place: Place, stopped: Stopped, outside: Path, count: Count
) -> None:
    """It is told by name or made anew; no command hangs, and no other file changes."""
    tried = _all(place, stopped, outside, slice(None, None, 7), [*TRAPS, huge])
    count("links, pipes and the like in a run", tried)


@pytest.mark.slow
@LEFT
@pytest.mark.parametrize("trap", [*TRAPS, huge])
def test_whatever_bears_the_name_of_a_file_leads_nowhere(
    trap: Trap, place: Place, stopped: Stopped, outside: Path, count: Count
) -> None:
    """Each of them in the place of each file and folder."""
    tried = _all(place, stopped, outside, slice(None), [trap])
    count("links, pipes and the like in a run", tried)
