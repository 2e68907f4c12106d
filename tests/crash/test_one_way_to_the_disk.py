"""Every change of a run's files goes through `journal/disk.py`: one small module."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]

CHANGING = {
    "chmod", "copyfile", "copytree", "fdatasync", "fsync", "ftruncate", "hardlink_to",
    "link", "link_to", "makedirs", "mkdir", "move", "pwrite", "removedirs", "rename",
    "renames", "rmdir", "rmtree", "symlink", "symlink_to", "touch", "truncate",
    "unlink", "utime", "write_bytes", "write_text",
}  # fmt: skip
"""Calls of os, pathlib and shutil that change files, by their last name."""

ELSEWHERE = {
    "cli/export/pair_files.py": "files for people, made whole below a temporary name",
    "cli/export/eval_file.py": "opens a part of a zip file in memory",
    "engine/demo/make.py": "the demo's model, made once by us",
    "engine/reports/scalars.py": "tensorboardX writes; made again at every start",
    "journal/crashpoint.py": "for tests",
}
"""Modules that change files which are no part of a run, and why that is well."""


def changes(path: Path) -> list[str]:
    """Where a module changes files by itself."""
    calls = [
        n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)
    ]
    return [
        f"line {call.lineno}: {ast.unparse(call)}" for call in calls if is_change(call)
    ]


def is_change(call: ast.Call) -> bool:
    """Whether a call changes a file, as far as its text tells."""
    match call.func:
        case ast.Attribute(value=ast.Name(id="disk" | "atomic" | "self")):
            return False
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name in CHANGING or (name == "open" and writes(call))
    return False


def writes(call: ast.Call) -> bool:
    """Whether an `open` is for writing, by its mode."""
    given = [*call.args, *(k.value for k in call.keywords if k.arg == "mode")]
    modes = [a.value for a in given if isinstance(a, ast.Constant)]
    return any(
        isinstance(mode, str) and len(mode) < 4 and set(mode) & set("wax+")
        for mode in modes
    )


def test_no_other_module_changes_files() -> None:
    """What is not seen in `journal/disk.py` is not done to a run."""
    parts = ("states", "journal", "engine", "cli")
    modules = [path for part in parts for path in (ROOT / part).rglob("*.py")]
    found = {path.relative_to(ROOT).as_posix(): changes(path) for path in modules}
    outside = {name for name, where in found.items() if where}
    assert outside - {"journal/disk.py", *ELSEWHERE} == set(), found
    assert outside >= set(ELSEWHERE), "an exception that is none any more"
