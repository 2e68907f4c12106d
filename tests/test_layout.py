"""What may import what, and how large a piece may grow."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Imports go one way: a folder may import itself and what stands to its right.
FOLDERS = ("cli", "engine", "journal", "states")
MODULES = [
    path.relative_to(ROOT)
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*.py"))
]
DURABLE_CALLS = {"fsync", "fdatasync", "rename", "replace", "ftruncate", "truncate"}

every_module = pytest.mark.parametrize("module", MODULES, ids=str)


def tree(module: Path) -> ast.Module:
    """A module's syntax."""
    return ast.parse((ROOT / module).read_text())


def imported(module: Path) -> Iterator[str]:
    """Every module that is imported anywhere in this one, by its dotted name."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno} is a relative import"
            assert node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_there_are_modules_to_look_at() -> None:
    """The tests below walk the real tree, all four folders of it."""
    assert {module.parts[0] for module in MODULES} == set(FOLDERS)
    assert len(MODULES) > 40


@every_module
def test_imports_go_one_way(module: Path) -> None:
    """cli -> engine -> journal -> states, and always as onlinedpo.*."""
    allowed = FOLDERS[FOLDERS.index(module.parts[0]) :]
    for name in imported(module):
        first, *rest = name.split(".")
        assert first not in (*FOLDERS, "tests"), f"{name} is not onlinedpo.{name}"
        if first == "onlinedpo":
            assert rest and rest[0] in allowed, f"{module} imports {name}"


@every_module
def test_each_layer_has_its_libraries(module: Path) -> None:
    """MLX in engine/, msgpack in the codec, click and rich in cli/, states pure."""
    tops = {name.split(".")[0] for name in imported(module)}
    folder = module.parts[0]
    if folder != "engine":
        assert not tops & {"mlx", "mlx_lm", "transformers", "tokenizers", "torch"}
    if module != Path("journal/codec.py"):
        assert "msgpack" not in tops
    if folder != "cli":
        assert not tops & {"click", "rich"}
    others = tops - set(sys.stdlib_module_names) - {"onlinedpo"}
    if folder == "states":
        assert others <= {"transitions"}
        assert not tops & {"os", "pathlib", "shutil", "tempfile", "io", "random"}
    if folder == "journal":
        assert others <= {"msgpack"}


@pytest.mark.parametrize(
    "module", [m for m in MODULES if m.parts[0] == "journal"], ids=str
)
def test_durable_calls_stand_in_one_place(module: Path) -> None:
    """In journal/, only disk, writer and crashpoint move, cut or sync files."""
    if module.stem in ("disk", "writer", "crashpoint"):
        return
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert (node.value.id, node.attr) not in {("os", c) for c in DURABLE_CALLS}
        if isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names}
            assert node.module != "os" or not names & DURABLE_CALLS


@every_module
def test_a_module_and_a_function_fit_the_eye(module: Path) -> None:
    """260 lines and 60 lines at most; tables of words (*_data.py) may be longer."""
    lines = (ROOT / module).read_text().count("\n")
    functions = [
        node
        for node in ast.walk(tree(module))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    if module.stem.endswith("_data"):
        assert not functions, f"{module} is said to be data"
    else:
        assert lines <= 260, f"{module} has {lines} lines"
    for node in functions:
        length = (node.end_lineno or 0) - node.lineno + 1
        assert length <= 60, f"{module}: {node.name} has {length} lines"


def loaded(statement: str) -> set[str]:
    """The modules that a fresh process has after a statement."""
    program = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests" / "links")},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_command_line_starts_without_mlx() -> None:
    """`status` and `--help` start in a blink, and on a machine without MLX."""
    modules = loaded("import onlinedpo.cli.main")
    assert "onlinedpo.cli.run" in modules
    tops = {name.split(".")[0] for name in modules}
    assert not tops & {"mlx", "mlx_lm", "transformers", "tokenizers", "numpy", "rich"}
    assert not any(name.startswith("onlinedpo.engine") for name in modules)


def test_states_load_nothing_but_transitions() -> None:
    """What is true of a run can be computed anywhere."""
    before = {name.split(".")[0] for name in loaded("pass")}
    names = [
        ".".join(m.with_suffix("").parts) for m in MODULES if m.parts[0] == "states"
    ]
    imports = ", ".join(f"onlinedpo.{n}" for n in names if "__" not in n)
    after = {name.split(".")[0] for name in loaded(f"import {imports}")}
    new = after - before - set(sys.stdlib_module_names)
    assert new <= {"onlinedpo", "transitions", "six"}
    assert {"onlinedpo", "transitions"} <= new
