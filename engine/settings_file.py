"""A settings file: YAML or JSON, every key with its line, no key twice."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import yaml

from onlinedpo.states.errors import UsageError
from onlinedpo.states.foreign.read import Given, read

_HINT = "A settings file is lines such as 'batch_size: 8'."
_MOST_NODES = 100_000
_LARGEST = 1 << 20
"""Bytes of a settings file; what is larger is something else, such as the data."""
_LONGEST_NUMBER = 3500
"""Characters of a whole number, in any base: Python prints 4300 digits at most."""
_PATHS = (
    *("model", "data", "judge", "adapter_path", "offline_pairs", "chat_template"),
    *("resume_adapter_file", "reference_model_path"),
)
"""Settings that may be a path, in which ~ is the home folder."""


class _Loader(yaml.SafeLoader):
    """YAML in which 1e-5 is a number, as mlx-lm reads it; YAML 1.1 has it as text."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """A node's value; where PyYAML trips over it, an error that has the line."""
        line = node.start_mark.line + 1
        if node.tag.endswith(":int") and len(node.value) > _LONGEST_NUMBER:
            raise _NoValue("the number is too large", line)
        try:
            return super().construct_object(node, deep)
        except _NoValue:
            raise
        except ValueError as error:  # Such as a date that is none.
            raise _NoValue(str(error).partition(";")[0], line) from error
        except (AttributeError, LookupError, OverflowError, TypeError) as error:
            raise _NoValue(f"it is no {node.tag.rpartition(':')[2]}", line) from error


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def read_settings(path: Path) -> dict[str, Any]:
    """Settings from a YAML or JSON file; raises `UsageError` naming the file."""
    return read_file(path)[0].settings


def read_file(path: Path) -> tuple[Given, dict[str, int]]:
    """What a file gives, and the line of each of its keys, where it is known."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise UsageError(
                f"{path} is larger than {_LARGEST >> 20} MB",
                hint=f"{_HINT} Is it the data? That is given by --data.",
            )
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text", hint=_HINT) from error
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", hint=_HINT
        ) from error
    values, lines = parse(text, str(path))
    if values is None:
        values = {}
    if not isinstance(values, Mapping):
        raise UsageError(f"{path} holds no settings", hint=_HINT)
    given = read(values, str(path), lines)
    for name in _PATHS:
        value = given.settings.get(name)
        if isinstance(value, str) and value.startswith("~"):
            # With a NUL in it there is no such home; the settings refuse that.
            with suppress(ValueError):
                given.settings[name] = os.path.expanduser(value)
    return given, lines


def parse(text: str, where: str) -> tuple[Any, dict[str, int]]:
    """A YAML or JSON text as plain values, and the lines of its keys.

    Raises `UsageError`: `where` it is no YAML, or has a key twice.
    """
    try:
        if text.lstrip().startswith("{"):
            with suppress(_NoJson):
                return _json(text, where), {}
        return _yaml(text, where)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        told = ", ".join(filter(None, (error.context, error.problem)))
        raise UsageError(
            f"{where}:{mark.line + 1 if mark else 1} is not YAML: {told}",
            hint="Indent with spaces, not with tabs." if "'\\t'" in told else _HINT,
        ) from error
    except yaml.reader.ReaderError as error:
        raise UsageError(f"{where} is not YAML: {error.reason}", hint=_HINT) from error
    except UsageError:
        raise
    except _NoValue as error:
        raise UsageError(
            f"{where}:{error.line} cannot be read: {error}", hint=_HINT
        ) from error
    except ValueError as error:  # In JSON, a number of 5000 digits.
        why = str(error).partition(";")[0]
        raise UsageError(f"{where} cannot be read: {why}", hint=_HINT) from error
    except RecursionError as error:
        raise UsageError(f"{where} is nested too deeply", hint=_HINT) from error


def _yaml(text: str, where: str) -> tuple[Any, dict[str, int]]:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, {}
        lines = dict(_keys(node, where))
        return loader.construct_document(node), lines
    finally:
        loader.dispose()


def _json(text: str, where: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                _refuse_twice(key, where)
            found[key] = value
        return found

    try:
        return json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        if not where.endswith(".json"):
            raise _NoJson from error
        raise UsageError(
            f"{where}:{error.lineno} is not JSON: {error.msg}", hint=_HINT
        ) from error


class _NoValue(ValueError):
    """A text of YAML that is tagged as, or looks like, something that it is not."""

    def __init__(self, why: str, line: int) -> None:
        super().__init__(why)
        self.line = line


class _NoJson(Exception):
    """It may be YAML that begins as JSON does."""


def _keys(root: yaml.Node, where: str) -> Iterator[tuple[str, int]]:
    """The line of every key of the two upper levels; raises `UsageError`.

    That is for a key that stands twice in a mapping (PyYAML takes the last), and for
    a value that holds itself or unfolds without end.
    """
    waiting: list[tuple[yaml.Node, str, int]] = [(root, "", 0)]
    for _ in range(_MOST_NODES):
        if not waiting:
            return
        node, path, depth = waiting.pop()
        if isinstance(node, yaml.SequenceNode):
            waiting += [(item, path, depth + 2) for item in node.value]
        if not isinstance(node, yaml.MappingNode):
            continue
        before: dict[str, int] = {}
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and name != "<<":
                if name in before:
                    _refuse_twice(name, where, before[name], line)
                before[name] = line
                if depth < 2:
                    yield f"{path}{name}", line
            waiting.append((value, f"{path}{name}.", depth + 1))
    raise UsageError(f"{where} unfolds without end: a value holds itself", hint=_HINT)


def _refuse_twice(key: str, where: str, *lines: int) -> NoReturn:
    at = f", in lines {lines[0]} and {lines[1]}" if lines else ""
    raise UsageError(
        f"'{key}' is given twice in {where}{at}", hint="Keep one of the two."
    )
