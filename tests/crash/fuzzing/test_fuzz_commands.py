"""Hostile journals, to every command that reads one: done, or refused in words."""

from __future__ import annotations

import random
import shutil
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgpack
import pytest
from click.testing import CliRunner

from onlinedpo.cli.main import cli
from onlinedpo.states.errors import JournalError, OnlineDPOError
from tests.conftest import Count
from tests.crash.fuzzing.fuzz import Target, fuzz, tiers
from tests.crash.fuzzing.fuzz_changes import of_trees
from tests.crash.fuzzing.fuzz_made import GOLDEN, packed, unpacked
from tests.journal import kit

INPUTS = {"quick": 15, "full": 700}
COMMANDS = 3
"""So many of them are given each input."""

ODD = (msgpack.ExtType(5, b"x"), msgpack.Timestamp(1, 1), b"\xff\0", {5: 1}, {b"k": 1})
"""What msgpack can hold, and neither JSON nor YAML."""

COMMAND_LINES = """
status RUN
status RUN --json
runs RUNS
runs RUNS --json
config RUN
config RUN --json
config RUN --iters 9
diff RUN OTHER
diff OTHER RUN --json
show RUN PAIR
show RUN PAIR --json
trace RUN --step STEP
trace RUN --step STEP --json
trace RUN --pair PAIR
trace RUN --pair PAIR --json
trace RUN --prompt PAIR
trace RUN --prompt PAIR --json
trace RUN --file inbox/a.jsonl
replay RUN
replay RUN --json
replay RUN --pair PAIR
replay RUN --prompt PAIR --json
replay RUN --step STEP
replay RUN --to STEP
replay RUN --state dropped
replay RUN --source judge
export RUN
export RUN --style plain
export RUN --format jsonl -o OUT
export RUN --format mlx-lm-lora -o OUT
export RUN --format parquet -o OUT
export RUN --format inspect -o OUT
export RUN --pending
export RUN --pending --format csv
export RUN --pending --format label-studio -o OUT
export RUN --pending --format argilla
export RUN --pending --format prodigy
export RUN --pending --format arena
agreement RUN
agreement RUN --json
audit RUN
audit RUN --json
journal verify RUN
journal doctor RUN
journal cat RUN
journal cat RUN --past-damage
journal salvage RUN NEW
fork RUN NEW
fork RUN NEW --labels human
rewind RUN --to STEP
""".strip().splitlines()


class Commands:
    """Gives journals to commands, as the only segment of a run."""

    def __init__(self, place: Path, sound: Path) -> None:
        """Beside it lies a run with the journal that is sound."""
        self.run = place / "runs" / "run"
        self._place, self._other = place, place / "other"
        shutil.copytree(sound, self._other / "journal")

    def __call__(self, data: bytes) -> None:
        """Call some of them, the same ones for the same bytes."""
        chance = random.Random(zlib.crc32(data))
        refused = [*self.called(data, chance, chance.sample(COMMAND_LINES, COMMANDS))]
        if refused:
            raise refused[0]

    def called(
        self, data: bytes, chance: random.Random, lines: Sequence[str]
    ) -> Iterator[JournalError]:
        """What these commands refuse the journal with.

        That something is not in it that is asked for is no refusal; what is not told in
        words is a failure.
        """
        for line in lines:
            # A command may have begun another segment.
            kit.put(self.run / "journal", {"000001.odj": data})
            for made in (new := self._place / "new", out := self._place / "out"):
                shutil.rmtree(made, ignore_errors=True)
            out.mkdir()
            names = {
                "RUN": self.run,
                "RUNS": self.run.parent,
                "OTHER": self._other,
                "NEW": new,
                "OUT": out / "x.eval",
                "PAIR": chance.randrange(12),
                "STEP": chance.randrange(4),
            }
            words = [str(names.get(word, word)) for word in line.split()]
            done = CliRunner().invoke(cli, words, standalone_mode=False)
            match done.exception:
                case JournalError() as error:
                    assert str(self.run) in str(error), (line, error)
                    yield error
                case None | OnlineDPOError() | click.ClickException():
                    pass
                case error:
                    raise AssertionError(f"{line}: {error!r}") from error


def one_changed(
    chance: random.Random, frames: list[Any], pool: Sequence[list[Any]]
) -> list[Any]:
    """The frames with values changed in one of them."""
    at, other = chance.randrange(len(frames)), chance.choice(chance.choice(pool))
    changed = of_trees(*ODD)(chance, frames[at], [other])
    return [*frames[:at], changed, *frames[at + 1 :]]


@tiers
@pytest.mark.parametrize("journal", ["hybrid", "offline", "people", "rejudged"])
def test_commands_on_journals_changed_anyhow(
    journal: str, tier: str, tmp_path: Path, count: Count
) -> None:
    """Any value under a chain that holds: no command ends in a traceback.

    Nearly every input is refused, so that is not counted here.
    """
    frames, run = unpacked(GOLDEN / journal)

    commands = Commands(tmp_path, GOLDEN / journal)
    # All that is imported only when it is needed is there from here on.
    sound = commands.called(packed(frames, run), random.Random(1), COMMAND_LINES)
    assert not [*sound]
    target = Target(
        f"commands on {journal}",
        [frames],
        one_changed,
        commands,
        (JournalError,),
        partial(packed, run=run),
    )
    fuzz(target, INPUTS[tier], count)
