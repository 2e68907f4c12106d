"""The README says what the program does: each claim that can be checked is."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import click
import pytest

from onlinedpo.cli.main import cli
from onlinedpo.states import errors, lifecycle

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
FOLDERS = ("states", "journal", "engine", "cli")


def file_tree() -> str:
    """One line a folder or module: its path, and the first line of its docstring."""
    lines = []
    for folder in FOLDERS:
        first, *rest = _told(ROOT / folder)
        lines += [first, *sorted(rest)]
    return "\n".join(lines)


def _told(folder: Path) -> list[str]:
    """The folder itself, then its modules, and the folders in it as one line each."""
    inner = [p.parent for p in folder.glob("*/__init__.py")]
    modules = [p for p in folder.glob("*.py") if not p.name.startswith("__")]
    return [_line(p) for p in (folder, *inner, *modules)]


def _line(path: Path) -> str:
    source = path / "__init__.py" if path.is_dir() else path
    doc = ast.get_docstring(ast.parse(source.read_text())) or ""
    name = f"{path.relative_to(ROOT)}{'/' * path.is_dir()}"
    return f"{name:<24} {doc.splitlines()[0] if doc else ''}".rstrip()


def commands() -> list[str]:
    """Every onlinedpo command line that the README shows."""
    blocks = re.findall(r"^```\n(.*?)^```", README, flags=re.M | re.S)
    joined = "\n".join(blocks).replace("\\\n", " ")
    found = re.findall(r"(?:^|&& )(onlinedpo .*)$", joined, flags=re.M)
    return [line.split("  #")[0] for line in found]


def test_the_state_diagram_is_the_transition_table() -> None:
    """The drawing shows the moves that the program makes, and no other."""
    assert f"```mermaid\n{lifecycle.diagram()}\n```" in README


def test_the_file_tree_has_every_module() -> None:
    """The tree has one line for each module, in the words of the module itself."""
    assert f"```\n{file_tree()}\n```" in README, file_tree()


@pytest.mark.parametrize("line", commands())
def test_a_command_in_the_readme_can_be_typed(line: str) -> None:
    """Every command that the README shows parses."""
    name, *arguments = shlex.split(line)[1:]
    command = cli.commands[name]

    assert isinstance(command.make_context(name, arguments), click.Context)


@pytest.mark.parametrize("name", cli.commands)
def test_a_command_is_in_the_readme_and_has_help_with_an_example(name: str) -> None:
    """No command is undocumented."""
    assert f"onlinedpo {name}" in README
    assert "Example" in (cli.commands[name].help or "")


def test_the_exit_codes_are_the_errors() -> None:
    """The table lists the code of every error that exists."""
    listed = {int(n) for n in re.findall(r"^\| (\d+) \|", README, flags=re.M)}
    root = errors.OnlineDPOError
    kinds = [
        e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, root)
    ]

    assert {0, 130, *(kind.exit_code for kind in kinds)} == listed


def test_the_test_command_is_what_ci_runs() -> None:
    """CI types the README's own test command."""
    command = 'pip install ".[dev]" && pytest'

    assert f"\n{command}\n" in README
    assert command.replace("install", "install -q") in (ROOT / ".ci/run").read_text()
