"""Nothing that a model, a person, a server or a file says can drive a terminal."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from onlinedpo.cli.main import cli
from tests.conftest import Count
from tests.crash.hostile.hostile_run import (
    LINE,
    NAME,
    copy_of,
    hostile_server,
    make,
    on_terminal,
    piped,
    steers,
)
from tests.engine.stub import Stub

Arguments = list[str | Path]

WORD = LINE.replace("\0", "")
NEW = (
    "--model MODEL --data DATA --judge SERVER --iters 1 --batch-size 2"
    " --max-completion-length 8 --val-prompts 0 --num-layers 1"
)
COMMANDS: dict[str, tuple[str, ...]] = {
    "status": ("RUN", "RUN --json"),
    "runs": ("DIR", "DIR --json"),
    "show": ("RUN 0", "RUN 2", "RUN 0 --json"),
    "replay": ("RUN", "RUN --json", "RUN --to 1", "RUN --pair 0 --source human"),
    "trace": (
        *("RUN --step 1", "RUN --pair 0", "RUN --prompt 2", "RUN --file FILE"),
        *("RUN --step 1 --json", "RUN --pair 0 --json", "RUN --file FILE --json"),
    ),
    "label": ("RUN", "RUN --annotator EVIL"),
    "export": (
        *("RUN", "RUN --style plain", "RUN --format inspect -o OUT.eval"),
        *("RUN --pending", "RUN --pending --format csv"),
        *("RUN --pending --format label-studio", "RUN --pending --format argilla"),
        *("RUN --pending --format prodigy", "RUN --pending --format arena"),
    ),
    "agreement": ("RUN", "RUN --json"),
    "audit": ("RUN", "RUN --json"),
    "config": ("RUN", "RUN --json", "--judge-system EVIL --model EVIL"),
    "diff": ("RUN COPY", "RUN COPY --json"),
    "rewind": ("COPY --to 0",),
    "rejudge": ("RUN --judge-model EVIL", "RUN --judge-model EVIL --json"),
    "fork": ("RUN OUT-fork", "RUN OUT-human --labels human"),
    "run": (
        *("COPY --no-wait", f"OUT-new {NEW} --judge-model EVIL"),
        *(f"--dry-run {NEW} --judge-model EVIL", f"--dry-run {NEW} --judge human"),
        f"OUT-new {NEW} --judge-model refused --judge-attempts 1",
    ),
    "journal verify": ("RUN",),
    "journal cat": ("RUN",),
    "journal doctor": ("RUN",),
    "journal salvage": ("RUN OUT-salvaged",),
}
"""Every command that prints, and how it is called."""

TRAINS = ("rejudge", "run", "rewind", "fork")
"""What takes a model, or seconds."""

MISTAKES = (
    *("EVIL", "status EVIL", "show RUN EVIL", "show RUN 0-EVIL", "runs EVIL"),
    *("replay RUN --kind EVIL", "replay RUN --step EVIL", "trace RUN --file EVIL"),
    *(
        "export RUN --format EVIL",
        "export RUN -o EVIL/x",
        "audit RUN --expect-head EVIL",
    ),
    *("journal cat RUN --frames EVIL", "journal EVIL", "diff RUN EVIL", "label EVIL"),
    *("config -c BAD.yaml", "config -c KEYS.yaml", "config -c VALUES.yaml --EVIL"),
    *("config -c VALUES.yaml", "config -c EVIL", "config --beta EVIL", "label DIR"),
    *(
        "status BROKEN",
        "journal verify BROKEN",
        "journal doctor BROKEN",
        "audit BROKEN",
    ),
    *("runs BROKEN", "replay BROKEN", "journal salvage BROKEN RUN", "fork RUN RUN"),
)
"""Arguments that are wrong, some of which quote what was typed or what a file holds."""


def leaves(group: click.Group, before: str = "") -> Iterator[str]:
    """The commands below a group, by their whole names."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, f"{before}{name} ")
        else:
            yield f"{before}{name}"


class World:
    """The run, and what else commands are called on."""

    def __init__(self, place: Path, server: str) -> None:
        self.place, self.server = place, server
        self.run = make(place, server)
        self._copies = 0
        (place / "BAD.yaml").write_text(f"model: [{LINE}\n", errors="replace")
        text = json.dumps({LINE: LINE, "modle": 1, "report_to": LINE})
        (place / "KEYS.yaml").write_text(text)
        text = json.dumps({"model": WORD, "judge": LINE, "beta": LINE})
        (place / "VALUES.yaml").write_text(text)
        self.broken = copy_of(self.run, place)
        self.broken = self.broken.rename(place / f"broken{NAME}")
        segment = self.broken / "journal" / "000001.odj"
        raw = bytearray(segment.read_bytes())
        at = raw.index(b"EVIL") + 20
        raw[at] ^= 1
        segment.write_bytes(raw)

    def arguments(self, line: str) -> Arguments:
        """What the words of a call stand for."""
        self._copies += 1
        new = self.place / f"new{self._copies}{NAME}"
        if "COPY" in line:
            new.mkdir()
            copy = copy_of(self.run, new)
        known: dict[str, Callable[[], str | Path]] = {
            "RUN": lambda: self.run,
            "DIR": lambda: self.place,
            "COPY": lambda: copy,
            "BROKEN": lambda: self.broken,
            "FILE": lambda: self.run / "labels" / "todo" / f"{NAME}.md",
            "MODEL": lambda: next(self.place.glob("model*")),
            "DATA": lambda: next(self.place.glob("data*")),
            "SERVER": lambda: self.server,
            "EVIL": lambda: WORD,
        }
        found: Arguments = []
        for word in line.split():
            name, dot, end = word.partition(".")
            if name.startswith("OUT"):
                found.append(new.with_name(f"{new.name}{name}{dot}{end}"))
            elif end == "yaml":
                found.append(self.place / word)
            elif "EVIL" in word and word != "EVIL":
                found.append(word.replace("EVIL", WORD))
            else:
                found.append(known[word]() if word in known else word)
        return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The run, and a server that is there as long as the tests of this module are."""
    server = Stub(hostile_server)
    with server.running():
        yield World(tmp_path_factory.mktemp("world"), server.url)


def calls(commands: dict[str, tuple[str, ...]]) -> list[str]:
    """Every call of these commands, as one would type it."""
    return [f"{name} {line}" for name, lines in commands.items() for line in lines]


QUICK = calls({name: c for name, c in COMMANDS.items() if name not in TRAINS})
SLOW = calls({name: c for name, c in COMMANDS.items() if name in TRAINS})
KEYS = b"d1n\x1b[AEVIL\r2ug qqq"
BOTH = ("terminal", "pipes")


def test_every_command_is_looked_at() -> None:
    """A command that is added has to be tried here, too."""
    assert {*leaves(cli)} == {*COMMANDS}


@pytest.mark.parametrize("line", QUICK)
def test_no_command_lets_a_text_drive_the_terminal(
    line: str, world: World, count: Count
) -> None:
    """On a terminal, and into a pipe, where JSON is JSON."""
    look(line, world, count, "terminal")
    look(line, world, count, "pipes")


@pytest.mark.slow
@pytest.mark.parametrize("line", SLOW)
@pytest.mark.parametrize("where", BOTH)
def test_no_command_that_computes_lets_a_text_drive_the_terminal(
    where: str, line: str, world: World, count: Count
) -> None:
    """The same of what loads a model, or asks a judge."""
    look(line, world, count, where)


@pytest.mark.parametrize("line", MISTAKES)
def test_no_mistake_lets_a_text_drive_the_terminal(
    line: str, world: World, count: Count
) -> None:
    """Errors name what was typed, and what stands in files, as it can be shown."""
    words = world.arguments(line)
    shown = on_terminal(*words)

    assert shown.code or line.startswith("runs"), shown.text
    assert "Traceback" not in shown.text
    assert not steers(shown.text, ours=True), shown.text
    count("commands on hostile text", 1)


def look(line: str, world: World, count: Count, where: str) -> None:
    """Call a command; nothing that it prints can drive a terminal."""
    words = world.arguments(line)
    keys = KEYS if line.startswith("label") else b""
    if where == "terminal":
        shown = on_terminal(*words, keys=keys)
        error = ""
    else:
        shown, error = piped(*words, keys=keys)
    text = shown.text
    assert shown.code in (0, 3) or line.startswith("run "), text + error
    assert "Traceback" not in text + error
    assert "EVIL" in text + error or line in SILENT or line.startswith("run "), text
    assert not steers(error, ours=False), error
    if where == "pipes" and "--format csv" in line:
        assert text.replace("\r\n", "\n") != text
    else:
        assert not steers(text, ours=where == "terminal"), text
    if where == "pipes" and ("--json" in line or line in JSON_LINES):
        for part in [text] if text.startswith(("{\n", "[\n")) else text.splitlines():
            json.loads(part, parse_constant=no_number)
    count("commands on hostile text", 1)


SILENT = ("journal verify RUN", "diff RUN COPY --json")
"""What prints no text of others."""
JSON_LINES = ("journal cat RUN", "export RUN", "export RUN --style plain")


def no_number(name: str) -> None:
    """NaN and the infinities are no JSON."""
    raise AssertionError(name)


# -- what holds that -------------------------------------------------------------------

DRAWS = {"progress.py", "rejudge/progress.py", "runs.py", "label/screen.py"}
"""What draws with rich: looked at above, and its texts are made visible one by one."""
RAW = {
    "main.py": {"write"},
    "journal.py": {"write"},
    "run.py": {"write"},
    "terminal.py": {"echo", "write"},
}
"""Bytes of the stream, and of frames; the cursor that is shown again; the one way."""
ELSEWHERE = {"export/eval_file.py", "export/pair_files.py", "export/exported.py"}
"""What writes files."""


def test_there_is_one_way_to_the_terminal() -> None:
    """Whatever is printed goes through `cli/terminal.py`, or is looked at above."""
    root = Path(__file__).parents[3] / "cli"
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        used = {
            called
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call)
            and (called := _called(node.func)) in ("echo", "secho", "print", "write")
            and not (called == "write" and isinstance(node.func, ast.Name))
        }
        if name not in DRAWS | ELSEWHERE:
            assert used <= RAW.get(name, set()) | _of_modules(name), (name, used)


def _called(function: ast.expr) -> str:
    return str(getattr(function, "id", getattr(function, "attr", "")))


def _of_modules(name: str) -> set[str]:
    # Functions of our own that are called write.
    return {"write"} if name in ("export/command.py",) else set()
