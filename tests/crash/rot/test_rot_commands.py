"""Commands that read a damaged run say what is wrong, and change and guess nothing."""

from __future__ import annotations

import io
import random
import re
import shutil
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from onlinedpo.cli.main import main
from onlinedpo.journal import manifest
from onlinedpo.journal.reader import Reader, begun
from onlinedpo.states.errors import JournalError
from tests.conftest import Count
from tests.journal import audited, damage, kit

WHOLE_READERS = ("status", "audit", "replay", "agreement", "journal cat", "diff")
"""Those that look at every frame: damage anywhere must end them."""

READERS = (
    *("status RUN", "status RUN --json", "audit RUN", "audit RUN --json"),
    *("journal verify RUN", "journal doctor RUN", "journal cat RUN"),
    *("journal cat RUN --past-damage", "replay RUN", "show RUN 3", "config RUN"),
    *("trace RUN --step 2", "agreement RUN", "diff RUN WHOLE", "diff WHOLE RUN"),
    *("export RUN -o OUT", "export RUN --pending", "runs BELOW --json"),
)

OF_DAMAGE = {0, 2, 5, 11}
"""Exit codes: read all the same, no run or pair, damaged, cannot be read at all."""


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def command(*arguments: str | Path) -> Ended:
    """Run the command line in this process; whatever is raised but an exit goes on."""
    out, err, code = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO(), 0
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", ["onlinedpo", *map(str, arguments)])
        try:
            main()
        except SystemExit as left:
            code = int(left.code or 0)
    out.seek(0)
    return Ended(code, out.read(), err.getvalue())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two processes with a model as judge, and no damage."""
    return audited.judged(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, bytes]]:
    """The segments of another run."""
    folder = tmp_path_factory.mktemp("other")
    kit.two_segments(folder, drops=3, run=kit.OTHER_RUN)
    return [kit.files(folder)]


def damaged(run: Path) -> str:
    """What is wrong with a journal's bytes and facts, with its checkpoints."""
    try:
        Reader(run / "journal").fold()
    except (JournalError, OSError) as error:
        return str(error)
    return ""


def refused(run: Path) -> str:
    """Why the writer would not take the bytes up; empty where it would."""
    sound, _ = manifest.find(run / "checkpoints")
    anchors = {found.frame: found.chain for found in sound}
    try:
        for _ in Reader(run / "journal", anchors).whole_frames():
            pass
    except (JournalError, OSError) as error:
        return str(error)
    return ""


def read_all(place: Path, whole: Path, harm: Callable[[Path], object]) -> int:
    """Let each command read a harmed copy of a run; how many there were."""
    below = place / "below"
    run = Path(shutil.copytree(whole, below / "run"))
    harm(run)
    before, wrong = kit.contents(run), damaged(run)
    for line in READERS:
        names = {"RUN": run, "WHOLE": whole, "BELOW": below, "OUT": place / "out.jsonl"}
        ended = command(*(names.get(word, word) for word in line.split()))
        assert ended.code in OF_DAMAGE, (line, ended)
        assert "Traceback" not in ended.out + ended.err, (line, ended)
        assert kit.contents(run) == before, line
        assert_told(line, ended)
        if wrong and line.startswith(WHOLE_READERS) and "--past-damage" not in line:
            assert ended.code, (line, wrong, ended)
        if line == "journal verify RUN" and begun(run / "journal"):
            assert bool(ended.code) == bool(refused(run)), (ended, refused(run))
    shutil.rmtree(below)
    (place / "out.jsonl").unlink(missing_ok=True)
    return len(READERS)


def assert_told(line: str, ended: Ended) -> None:
    """An error is one message of what and where, and what to do."""
    if ended.code and "doctor" not in line:
        what, *hints = ended.err.strip().splitlines()
        assert "onlinedpo: " in what, (line, ended)
        assert hints or ended.code == 2, (line, ended)


@pytest.mark.parametrize("harm", damage.HARMS, ids=lambda harm: harm.__name__)
def test_every_command_says_what_is_wrong(
    harm: damage.Harm, whole: Path, place: Path, count: Count
) -> None:
    """A frame at the beginning, in the middle and at the end of the journal."""
    last = damage.count(whole / "journal")
    for number in (1, last // 2, last):
        tried = read_all(place, whole, partial(harmed, harm, number))
        count("commands that read a damaged run", tried)


@pytest.mark.parametrize("harm", damage.HARMS, ids=lambda harm: harm.__name__)
def test_a_damaged_run_is_not_gone_on_with(
    harm: damage.Harm, whole: Path, place: Path
) -> None:
    """Nor rewound, nor forked: file and byte are named, nothing changed or begun."""
    run = Path(shutil.copytree(whole, place / "run"))
    harm(run / "journal", damage.count(whole / "journal") // 2)
    of_file = r"/000001\.odj: (byte \d+: frame|.* \(byte 0\))"
    if harm is damage.gone:
        of_file = r": segment 000001\.odj is missing"
    names_it = f"^onlinedpo: {re.escape(str(run))}/journal{of_file}"
    before = kit.contents(place)
    for line in ("run RUN", "rewind RUN --to 1", "fork RUN NEW"):
        names = {"RUN": run, "NEW": place / "new"}
        ended = command(*(names.get(word, word) for word in line.split()))
        assert ended.code == 5 and re.search(names_it, ended.err), (line, ended)
        assert kit.contents(place) == before, line


def harmed(harm: damage.Harm, number: int, run: Path) -> None:
    """Do harm to a frame of a run's journal."""
    harm(run / "journal", number)


def some_harm(others: list[dict[str, bytes]], seed: int) -> Callable[[Path], None]:
    """Something that may come to any file of a run, once or more often."""
    chance = random.Random(seed)

    def harm(run: Path) -> None:
        for _ in range(chance.choice([1, 1, 2, 4])):
            damage.spoil(run, others, chance)

    return harm


def test_whatever_file_is_damaged(
    whole: Path, place: Path, others: list[dict[str, bytes]], count: Count
) -> None:
    """Journal, checkpoints, adapter, settings, metrics: any of them, in any way."""
    for seed in range(6):
        tried = read_all(place, whole, some_harm(others, seed))
        count("commands that read a damaged run", tried)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_whatever_file_is_damaged_however_often(
    whole: Path, place: Path, others: list[dict[str, bytes]], part: int, count: Count
) -> None:
    """The same 400 times."""
    for seed in range(1000 + 100 * part, 1100 + 100 * part):
        tried = read_all(place, whole, some_harm(others, seed))
        count("commands that read a damaged run", tried)
