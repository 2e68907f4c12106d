"""The named points of the program (`journal/crashpoint.py`), and what passes them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]

OF_A_RUN = {
    *("SEGMENT.write", "SEGMENT.rename", "config.yaml.write", "config.yaml.rename"),
    *("journal.append", "journal.sync", "state.move"),
    *("checkpoint.adapters.safetensors", "checkpoint.optimizer.safetensors"),
    *("checkpoint.manifest", "checkpoint.sync", "checkpoint.prune"),
    *("folder.rename", "folder.sync", "adapters.rename"),
    *("adapter_config.json.write", "adapter_config.json.rename"),
    *("metrics.jsonl.write", "metrics.jsonl.rename"),
}
"""What a run passes that a model judges; SEGMENT is that of the process."""

APPENDS = {"journal.append", "journal.sync", "state.move"}
CONFIG = {"config.yaml.write", "config.yaml.rename"}
FOLDER = {"folder.rename", "folder.sync"}
OF_A_REWIND = {"SEGMENT.write", "SEGMENT.rename", *APPENDS}
OF_A_FORK = {*OF_A_REWIND, *CONFIG, *FOLDER, "fork.written"}
OF_A_SALVAGE = {
    *("guidelines.md.write", "guidelines.md.rename", "salvage.written"),
    *("salvaged-*.jsonl.write", "salvaged-*.jsonl.rename", *CONFIG, *FOLDER),
}
OF_AN_EXPORT = FOLDER
OF_TASKS = {
    *("tasks.json.write", "tasks.json.rename", "tasks.xml.write", "tasks.xml.rename"),
}
OF_LABELLING = {"PAIR.md.write", "PAIR.md.rename"}
OF_A_REJUDGE = {*OF_A_REWIND, *CONFIG}
OF_A_REPAIR = {"TAIL.tail.write", "TAIL.tail.rename", "tail.cut"}
"""What a start passes beside, that finds half a frame."""
EVERY = {
    *(*OF_A_RUN, *OF_A_FORK, *OF_A_SALVAGE, *OF_TASKS, *OF_LABELLING, *OF_A_REJUDGE),
    *OF_A_REPAIR,
}
"""Each of these is passed, and each is one at which some test kills a process."""


def general(point: str) -> str:
    """A point's name without what differs from run to run."""
    point = re.sub(r"\d{6}-[0-9a-f]{8}\.md", "PAIR.md", point)
    point = re.sub(r"\d{6}-\d+-[0-9a-f]{8}\.tail", "TAIL.tail", point)
    point = re.sub(r"salvaged-(later-)?[0-9a-f]{8}", "salvaged-*", point)
    return re.sub(r"\d{6}\.odj", "SEGMENT", point)


def in_the_program() -> set[str]:
    """Every name that `reached` is given, with a star for what is put in."""
    found = set()
    for folder in ("cli", "engine", "journal", "states"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.Call(func=ast.Name(id="reached"), args=[name]):
                        found.add(_pattern(name))
    return found


def _pattern(name: ast.expr) -> str:
    match name:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            texts = [p.value if isinstance(p, ast.Constant) else "*" for p in parts]
            return "".join(map(str, texts))
    raise AssertionError(f"line {name.lineno}: {ast.unparse(name)} is no name")


def matches(point: str, pattern: str) -> bool:
    """Whether a point is one that such a call names."""
    return bool(re.fullmatch(re.escape(pattern).replace(r"\*", ".+"), point))
